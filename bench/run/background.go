package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// end is that of a process in the background.
type end struct {
	done chan struct{} // closed once it has ended
	err  error
}

func (b *bench) background(ctx context.Context, o order, program string, args ...string) (*exec.Cmd, *end, error) {
	cmd, f, err := b.command(ctx, o, program, args...)
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	e := &end{done: make(chan struct{})}
	go func() {
		err := errors.Join(cmd.Wait(), f.Close())
		if err != nil {
			e.err = fmt.Errorf("%s: %w; it said:\n%s", filepath.Base(program), err, tail(o.log, 20))
		}
		close(e.done)
	}()
	return cmd, e, nil
}

// stop ends a job in order.
func (e *end) stop(cmd *exec.Cmd, o order) error {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
		return e.err
	case <-time.After(time.Minute):
		return fmt.Errorf("run-job did not end within a minute of SIGTERM; it said:\n%s", tail(o.log, 20))
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
