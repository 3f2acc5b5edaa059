package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"heddle/bench/steady"
)

// snapshotLimit is how long a first snapshot of all stores is waited for.
const snapshotLimit = 5 * time.Minute

// snapshot measures how a store comes back from its snapshot when nothing of it is
// on the disk, beside the changelog alone: its history is longer than the store.
func (b *bench) snapshot(ctx context.Context, w workload, partitions int) ([]summary, error) {
	log, err := b.history(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), log)
	var pairs []pair
	for i := range b.s.runs {
		p, err := b.snapshotOnce(ctx, w, log, partitions, i)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(b.say, "bench: snapshot run %d of %d: %.2f s from the snapshot, %.2f s from the changelog; bare %.2f s\n",
			i+1, b.s.runs, p.heddle.SteadySeconds, p.changelog.SteadySeconds, p.bare.SteadySeconds)
		pairs = append(pairs, p)
	}
	s := b.summarize(w, partitions, w.keys.Users, pairs)
	s.seconds(pairs)
	s.StateMiB, s.History = stateMiB(w), w.history
	return []summary{s}, nil
}

func (b *bench) snapshotOnce(ctx context.Context, w workload, log string, partitions, i int) (p pair, err error) {
	in, err := b.input(ctx, w, partitions) // it stays empty
	if err != nil {
		return p, err
	}
	defer b.forget(context.WithoutCancel(ctx), in)
	o, err := b.order(ctx, w, in, partitions, i, "heddle")
	if err != nil {
		return p, err
	}
	b.forget(ctx, o.createdOutput)
	o.createdOutput, o.profile = log, ""
	home, snapshots := filepath.Join(b.work, "home"), filepath.Join(b.work, o.name+"-snapshots")
	if err := os.MkdirAll(snapshots, 0o755); err != nil {
		return p, err
	}
	defer os.RemoveAll(snapshots)

	whole := o
	whole.config = append(whole.config, "bench.scan=true")
	if p.changelog, err = b.restored(ctx, whole, w); err != nil {
		return p, fmt.Errorf("heddle, from the changelog: %w", err)
	}
	if err := b.takeSnapshots(ctx, o, in, snapshots, partitions); err != nil {
		return p, fmt.Errorf("heddle, taking snapshots: %w", err)
	}
	if err := os.RemoveAll(home); err != nil {
		return p, err
	}
	from := whole
	from.log += "-from"
	from.config = append(from.config, "heddle.snapshot.uri=file://"+snapshots)
	if b.s.profiles != "" {
		from.environment = []string{steady.EnvReadyProfile + "=" + filepath.Join(b.s.profiles, fmt.Sprintf("snapshot-%d-run%d-heddle.prof", partitions, i+1))}
	}
	if p.heddle, err = b.restored(ctx, from, w); err != nil {
		return p, fmt.Errorf("heddle, from the snapshot: %w", err)
	}
	if err := os.RemoveAll(home); err != nil {
		return p, err
	}
	bare := o
	bare.workload.name = restore
	if p.bare, err = b.start(ctx, bare, b.bare); err != nil {
		return p, fmt.Errorf("bare loop: %w", err)
	}
	p.bare = p.bare.ready(w.keys.Users)
	return p, nil
}

// restored starts the job, and checks all of what it has restored.
func (b *bench) restored(ctx context.Context, o order, w workload) (result, error) {
	r, err := b.start(ctx, o, b.heddle)
	if err != nil {
		return r, err
	}
	if r.Scanned != w.keys.Users {
		return r, fmt.Errorf("the restored stores hold %d entries of %d", r.Scanned, w.keys.Users)
	}
	r.PeakRSSBytes = r.ReadyRSSBytes // reading it all afterwards takes more
	return r.ready(w.keys.Users), nil
}

// takeSnapshots runs the job on its local state until each of its stores has a
// complete snapshot. Some entries are replaced meanwhile: a task that has nothing to
// do commits, and offers its store, but once a minute.
func (b *bench) takeSnapshots(ctx context.Context, o order, in, folder string, stores int) (err error) {
	live, err := b.live(ctx, o.workload, in)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, live.end()) }()
	o.config = append(o.config, "heddle.snapshot.uri=file://"+folder, "heddle.snapshot.interval.ms=1000")
	cmd, ended, err := b.background(ctx, o, filepath.Join(b.s.programs, "run-job"), b.job(o)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ended.stop(cmd, o)) }()
	limit := time.NewTimer(snapshotLimit)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		// Written last, and complete under this name.
		manifests, err := filepath.Glob(filepath.Join(folder, "heddle-v1", "*", "state", "*", "manifests", "*.json"))
		if err != nil {
			return err
		}
		tasks := map[string]bool{}
		for _, m := range manifests {
			tasks[strings.TrimSuffix(filepath.Dir(m), "manifests")] = true
		}
		if len(tasks) == stores {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("%d of %d stores have a snapshot after %v; the job said:\n%s", len(tasks), stores, snapshotLimit, tail(o.log, 20))
		case <-ended.done:
			return errors.Join(errors.New("it ended"), ended.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
