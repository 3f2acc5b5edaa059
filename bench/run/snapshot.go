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
	return b.restores(ctx, w, partitions, w.keys.Users, func(ctx context.Context, o order, i int) (pair, error) {
		p, err := b.snapshotOnce(ctx, o, i)
		if err == nil {
			fmt.Fprintf(b.say, "bench: snapshot run %d of %d: %.2f s from the snapshot, %.2f s from the changelog; bare %.2f s\n",
				i+1, b.s.runs, p.heddle.SteadySeconds, p.changelog.SteadySeconds, p.bare.SteadySeconds)
		}
		return p, err
	})
}

func (b *bench) snapshotOnce(ctx context.Context, o order, i int) (p pair, err error) {
	o.profile = ""
	entries := o.workload.keys.Users
	home, snapshots := filepath.Join(b.work, "home"), filepath.Join(b.work, o.name+"-snapshots")
	if err := os.MkdirAll(snapshots, 0o755); err != nil {
		return p, err
	}
	defer os.RemoveAll(snapshots)

	whole := o
	whole.config = append(whole.config, "bench.scan=true")
	if p.changelog, err = b.restored(ctx, whole, entries); err != nil {
		return p, fmt.Errorf("heddle, from the changelog: %w", err)
	}
	if err := b.takeSnapshots(ctx, o, snapshots); err != nil {
		return p, fmt.Errorf("heddle, taking snapshots: %w", err)
	}
	if err := os.RemoveAll(home); err != nil {
		return p, err
	}
	from := whole
	from.log += "-from"
	from.config = append(from.config, "heddle.snapshot.uri=file://"+snapshots)
	if b.s.profiles != "" {
		from.environment = []string{steady.EnvReadyProfile + "=" + filepath.Join(b.s.profiles, fmt.Sprintf("snapshot-%d-run%d-heddle.prof", o.partitions, i+1))}
	}
	if p.heddle, err = b.restored(ctx, from, entries); err != nil {
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
	p.bare = p.bare.ready(entries)
	return p, nil
}

// takeSnapshots runs the job on its local state until each of its stores has a
// complete snapshot. Some entries are replaced meanwhile: a task that has nothing to
// do commits, and offers its store, but once a minute.
func (b *bench) takeSnapshots(ctx context.Context, o order, folder string) (err error) {
	live, err := b.live(ctx, o.workload, o.in)
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
		if len(tasks) == o.partitions {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("%d of %d stores have a snapshot after %v; the job said:\n%s", len(tasks), o.partitions, snapshotLimit, tail(o.log, 20))
		case <-ended.done:
			return errors.Join(errors.New("it ended"), ended.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
