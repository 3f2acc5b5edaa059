package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"heddle/bench/steady"
)

// recovery kills containers, and bare loops, and measures the time to their next
// record: with the local state, and without.
func (b *bench) recovery(ctx context.Context, w workload, partitions int) ([]summary, error) {
	var all []summary
	for _, state := range []string{"kept", "lost"} {
		pairs, err := b.recoveries(ctx, w, partitions, state)
		if err != nil {
			return nil, fmt.Errorf("local state %s: %w", state, err)
		}
		s := b.summarize(w, partitions, w.keys.Users, pairs)
		s.seconds(pairs)
		s.State = state
		all = append(all, s)
	}
	return all, nil
}

func (b *bench) recoveries(ctx context.Context, w workload, partitions int, state string) (pairs []pair, err error) {
	w.records = w.keys.Users // each once, before the first kill
	in, err := b.input(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), in)
	o, err := b.order(ctx, w, in, partitions, 0, "heddle")
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), o.createdOutput)
	o.profile = ""
	signs := &signs{file: filepath.Join(b.work, o.name+".signs")}
	o.config = append(o.config, "task.class=bench.Recover", "bench.signs="+signs.file,
		"bench.await="+strconv.FormatInt(w.records, 10))
	once := o
	factory := "process"
	if b.s.yarn {
		factory = "yarn"
	}
	o.config = append(o.config, "job.factory.class="+factory, "cluster-manager.container.retry.count=-1")
	if state == "lost" {
		o.config = append(o.config, "stores.counts.clean.on.container.start=true")
	} else {
		// What was kept is on the host of the killed container.
		o.config = append(o.config, "job.host-affinity.enabled=true")
	}
	live, err := b.live(ctx, w, in)
	if err != nil {
		return nil, err
	}
	defer live.end() //nolint:errcheck // a second end says nothing new
	if pairs, err = b.killHeddle(ctx, o, signs); err != nil {
		return nil, fmt.Errorf("heddle: %w", err)
	}
	if err := b.killBare(ctx, o, state, pairs); err != nil {
		return nil, fmt.Errorf("bare loop: %w", err)
	}
	if err := live.end(); err != nil {
		return nil, err
	}
	// The rest of the input; then every total has to be right, whatever was
	// killed when.
	if _, err := b.start(ctx, once, b.heddleOnly); err != nil {
		return nil, fmt.Errorf("heddle, the rest of the input: %w", err)
	}
	t := newTotals(w.keys, live.written)
	if err := b.kafka.readAll(ctx, o.createdOutput, t.record); err != nil {
		return nil, err
	}
	for i := range pairs {
		pairs[i].heddle.written = t.written
		fmt.Fprintf(b.say, "bench: recovery, local state %s, kill %d of %d: heddle %.2f s, bare %.2f s\n",
			state, i+1, len(pairs), pairs[i].heddle.SteadySeconds, pairs[i].bare.SteadySeconds)
	}
	return pairs, t.verdict()
}

// heddleOnly is heddle for a task that writes no report.
func (b *bench) heddleOnly(ctx context.Context, o order) error {
	if err := b.heddle(ctx, o); err != nil {
		return err
	}
	return os.WriteFile(o.report, []byte("{}"), 0o600)
}

// killHeddle kills the job's container again and again.
func (b *bench) killHeddle(ctx context.Context, o order, signs *signs) (pairs []pair, err error) {
	ended, stop, err := b.submit(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	last, err := signs.await(ctx, steady.Caught, 0, ended)
	if err != nil {
		return nil, err
	}
	for i := range b.s.runs {
		if err := wait(ctx, settle+time.Duration(i)*settleStep%settleRound); err != nil {
			return pairs, err
		}
		killed := time.Now()
		if err := syscall.Kill(last.PID, syscall.SIGKILL); err != nil {
			return pairs, fmt.Errorf("kill -9 of the container, process %d: %w", last.PID, err)
		}
		if last, err = signs.await(ctx, steady.First, last.PID, ended); err != nil {
			return pairs, err
		}
		pairs = append(pairs, pair{heddle: recovered(last, killed, o.workload.keys.Users)})
	}
	return pairs, nil
}

// submit starts the job and gives what tells of its end, and how it is stopped in
// order. On YARN run-job ends once the containers run.
func (b *bench) submit(ctx context.Context, o order) (*end, func() error, error) {
	if !b.s.yarn {
		cmd, ended, err := b.background(ctx, o, filepath.Join(b.s.programs, "run-job"), b.job(o)...)
		return ended, func() error { return ended.stop(cmd, o) }, err
	}
	kill := func() error {
		args := slices.DeleteFunc(b.job(o), func(arg string) bool { return arg == "--quiet" })
		return b.process(context.WithoutCancel(ctx), o, filepath.Join(b.s.programs, "run-job"), append([]string{"kill"}, args...)...)
	}
	if err := b.process(ctx, o, filepath.Join(b.s.programs, "run-job"), b.job(o)...); err != nil {
		return nil, nil, errors.Join(err, kill())
	}
	return &end{done: make(chan struct{})}, kill, nil
}

// killBare kills bare loops, which are started again at once.
func (b *bench) killBare(ctx context.Context, o order, state string, pairs []pair) error {
	o.state = filepath.Join(b.work, o.name+"-bare")
	defer os.RemoveAll(o.state)
	signs := &signs{file: filepath.Join(b.work, o.name+"-bare.signs")}
	o.bareArgs = []string{"--signs=" + signs.file}
	cmd, ended, err := b.background(ctx, o, filepath.Join(b.s.programs, "bare"), b.loop(o)...)
	if err != nil {
		return err
	}
	last, err := signs.await(ctx, steady.First, 0, ended)
	for i := range pairs {
		if err != nil {
			break
		}
		killed := time.Now()
		_ = cmd.Process.Kill()
		<-ended.done
		if state == "lost" {
			if err := os.RemoveAll(o.state); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(o.state, 0o755); err != nil {
			return err
		}
		if cmd, ended, err = b.background(ctx, o, filepath.Join(b.s.programs, "bare"), b.loop(o)...); err != nil {
			return err
		}
		if last, err = signs.await(ctx, steady.First, last.PID, ended); err == nil {
			pairs[i].bare = recovered(last, killed, o.workload.keys.Users)
		}
	}
	_ = cmd.Process.Kill()
	<-ended.done
	return err
}
