package am

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// Processes is a Cluster of child processes on this machine (Samza:
// ProcessJobFactory). It grants every request at once.
type Processes struct {
	// Command makes the command of a container's process, not yet started:
	// program, arguments, environment.
	Command func(l Launch) (*exec.Cmd, error)
	// Output takes what the processes print, a line at a time with the
	// processor's id before it; nil discards it.
	Output io.Writer
	// Name begins the containers' ids.
	Name string

	mu       sync.Mutex
	n        int
	running  map[string]*child
	wait     sync.WaitGroup
	events   chan<- Event
	ctx      context.Context
	outputMu sync.Mutex
}

// Start keeps where events go; there is nobody to register with.
func (p *Processes) Start(ctx context.Context, _ Self, events chan<- Event) error {
	p.ctx, p.events, p.running = ctx, events, map[string]*child{}
	return nil
}

// Hurry changes nothing: children are waited for, not asked.
func (p *Processes) Hurry(bool) {}

func (p *Processes) send(e Event) {
	p.wait.Go(func() {
		select {
		case p.events <- e:
		case <-p.ctx.Done():
		}
	})
}

// Do grants a request, starts a process or kills one.
func (p *Processes) Do(a Action) {
	switch a := a.(type) {
	case Request:
		p.mu.Lock()
		p.n++
		id := fmt.Sprintf("%s_%06d", p.Name, p.n)
		p.mu.Unlock()
		p.send(Allocated{[]Allocation{{ID: id, Host: "localhost", For: a.Processor}}})
	case Launch:
		if err := p.launch(a); err != nil {
			p.send(LaunchFailed{a.In.ID, err.Error()})
		}
	case Kill:
		p.mu.Lock()
		if c := p.running[a.ContainerID]; c != nil {
			c.kill()
		}
		p.mu.Unlock()
	}
}

// child is one container's process.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
}

func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

func (p *Processes) launch(a Launch) error {
	cmd, err := p.Command(a)
	if err != nil {
		return err
	}
	// A group of its own: a Ctrl-C in the terminal reaches run-job alone, which
	// then stops the containers gracefully.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &prefixed{p: p, prefix: []byte("container " + a.Processor + " | ")}
	if p.Output != nil {
		cmd.Stdout, cmd.Stderr = out, out
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	c := &child{cmd, make(chan struct{})}
	p.running[a.In.ID] = c
	p.mu.Unlock()
	p.send(Launched{a.In.ID})
	p.wait.Go(func() {
		err := cmd.Wait()
		if p.Output != nil {
			out.end()
		}
		p.mu.Lock()
		delete(p.running, a.In.ID)
		p.mu.Unlock()
		close(c.done)
		x := Exit{ContainerID: a.In.ID, Status: exitStatus(cmd, err)}
		select {
		case p.events <- Completed{[]Exit{x}}:
		case <-p.ctx.Done():
		}
	})
	return nil
}

// exitStatus is the exit code, or 128+n after signal n, as a shell has it.
func exitStatus(cmd *exec.Cmd, err error) int {
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		return cmd.ProcessState.ExitCode()
	}
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return exit.ExitCode()
}

// Finish kills what is left and waits until it is gone.
func (p *Processes) Finish(ctx context.Context, _ Finish) error {
	p.mu.Lock()
	var left []*child
	for _, c := range p.running {
		c.kill()
		left = append(left, c)
	}
	p.mu.Unlock()
	for _, c := range left {
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// prefixed writes whole lines with a prefix.
type prefixed struct {
	p      *Processes
	prefix []byte
	line   []byte
}

func (w *prefixed) Write(b []byte) (int, error) {
	for _, c := range b {
		w.line = append(w.line, c)
		if c == '\n' {
			w.flush()
		}
	}
	return len(b), nil
}

func (w *prefixed) end() {
	if len(w.line) > 0 {
		w.line = append(w.line, '\n')
		w.flush()
	}
}

func (w *prefixed) flush() {
	w.p.outputMu.Lock()
	defer w.p.outputMu.Unlock()
	_, _ = w.p.Output.Write(append(w.prefix[:len(w.prefix):len(w.prefix)], w.line...))
	w.line = w.line[:0]
}
