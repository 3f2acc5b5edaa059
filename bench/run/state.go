package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
	"heddle/bench/steady"
)

// minMemory is what a process takes for itself, whatever its state.
const minMemory = 64 << 20

func stateMiB(w workload) float64 {
	return round(float64(w.keys.Users*w.entrySize())/(1<<20), 0)
}

// history makes a changelog that holds every key so many times, in no order.
func (b *bench) history(ctx context.Context, w workload, partitions int) (string, error) {
	b.n++
	name := fmt.Sprintf("bench-%s-%s-changelog-%d-%d", b.stamp, w.name, partitions, b.n)
	if err := b.topic(ctx, name, partitions, asChangelog); err != nil {
		return "", err
	}
	records := w.keys.Users * w.history
	fmt.Fprintf(b.say, "bench: %s: writing a changelog of %d records of %d keys in %d partitions\n", w.name, records, w.keys.Users, partitions)
	each := input.Keys{Users: w.keys.Users, Each: true, Size: w.keys.Size}
	return name, b.kafka.fill(ctx, name, records, func(i int64) *kgo.Record {
		return &kgo.Record{Key: each.AppendKey(nil, i), Value: input.AppendState(nil, each.User(i), w.valueBytes)}
	})
}

// restores runs a workload of restores once and again on one changelog; records is
// what its rates count.
func (b *bench) restores(ctx context.Context, w workload, partitions int, records int64, once func(ctx context.Context, o order, i int) (pair, error)) ([]summary, error) {
	log, err := b.history(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), log)
	var pairs []pair
	for i := range b.s.runs {
		o, err := b.orderOn(ctx, w, log, partitions, i)
		if err != nil {
			return nil, err
		}
		p, err := once(ctx, o, i)
		b.forget(context.WithoutCancel(ctx), o.in)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	s := b.summarize(w, partitions, records, pairs)
	s.seconds(pairs)
	s.StateMiB, s.History = stateMiB(w), w.history
	return []summary{s}, nil
}

// orderOn makes an order with an input that is empty, for a store with that
// changelog.
func (b *bench) orderOn(ctx context.Context, w workload, log string, partitions, i int) (order, error) {
	w.records = 0
	in, err := b.input(ctx, w, partitions)
	if err != nil {
		return order{}, err
	}
	o, err := b.order(ctx, w, in, partitions, i, "heddle")
	if err != nil {
		b.forget(context.WithoutCancel(ctx), in)
		return o, err
	}
	b.forget(ctx, o.createdOutput)
	o.createdOutput = log
	return o, nil
}

// restore measures how a store comes back from its changelog alone, and how
// fast the next start is, which finds it on disk.
func (b *bench) restore(ctx context.Context, w workload, partitions int) ([]summary, error) {
	records := w.keys.Users * w.history
	return b.restores(ctx, w, partitions, records, func(ctx context.Context, o order, i int) (pair, error) {
		p, err := b.restoreOnce(ctx, o, records, i)
		if err == nil {
			b.tell(w, i, p)
			fmt.Fprintf(b.say, "bench: restore run %d of %d: heddle %.2f s, bare %.2f s; again with local state %.2f s; all read in %.1f s with a peak of %d MiB\n",
				i+1, b.s.runs, p.heddle.SteadySeconds, p.bare.SteadySeconds, p.again.ReadySeconds, p.heddle.ScanSeconds, p.heddle.scanPeak>>20)
		}
		return p, err
	})
}

func (b *bench) restoreOnce(ctx context.Context, o order, records int64, i int) (p pair, err error) {
	if o.profile != "" {
		o.environment = append(o.environment, steady.EnvReadyProfile+"="+o.profile)
		o.profile = ""
	}
	o.config = append(o.config, "bench.scan=true")
	if p.heddle, err = b.restored(ctx, o, records); err != nil {
		return p, fmt.Errorf("heddle: %w", err)
	}
	o.environment = nil
	if p.again, err = b.restored(ctx, o, records); err != nil {
		return p, fmt.Errorf("heddle, the second start: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(b.work, "home")); err != nil {
		return p, err
	}
	if b.s.profiles != "" {
		o.environment = []string{steady.EnvReadyProfile + "=" + filepath.Join(b.s.profiles, fmt.Sprintf("restore-%d-run%d-bare.prof", o.partitions, i+1))}
	}
	if p.bare, err = b.start(ctx, o, b.bare); err != nil {
		return p, fmt.Errorf("bare loop: %w", err)
	}
	p.bare = p.bare.ready(records)
	return p, nil
}

// restored starts the job, and checks all of what it has restored; records is
// what its rate counts.
func (b *bench) restored(ctx context.Context, o order, records int64) (result, error) {
	r, err := b.start(ctx, o, b.heddle)
	if err != nil {
		return r, err
	}
	if r.Scanned != o.workload.keys.Users {
		return r, fmt.Errorf("the restored stores hold %d entries, the changelog %d", r.Scanned, o.workload.keys.Users)
	}
	r.scanPeak, r.PeakRSSBytes = r.PeakRSSBytes, r.ReadyRSSBytes // reading it all takes more
	return r.ready(records), nil
}

// start runs a side and gives what it reports.
func (b *bench) start(ctx context.Context, o order, do side) (result, error) {
	started := time.Now()
	if err := do(ctx, o); err != nil {
		return result{}, err
	}
	rep, err := steady.Read(o.report)
	return result{Report: rep, whole: time.Since(started)}, err
}

// large measures a store that is ten times as large as what the process may
// take of memory. Both sides have it on disk when they begin.
func (b *bench) large(ctx context.Context, w workload, partitions int) ([]summary, error) {
	log, err := b.history(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), log)
	heddle, err := b.orderOn(ctx, w, log, partitions, 0)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), heddle.in)
	heddle.profile = ""
	if _, err := b.start(ctx, heddle, b.heddle); err != nil {
		return nil, fmt.Errorf("heddle, restoring: %w", err)
	}
	bare := heddle
	bare.state, bare.workload.name = filepath.Join(b.work, "bare-state"), restore
	if _, err := b.start(ctx, bare, b.bare); err != nil {
		return nil, fmt.Errorf("bare loop, restoring: %w", err)
	}
	defer os.RemoveAll(filepath.Join(b.work, "home"))
	defer os.RemoveAll(bare.state)

	memory := max(w.keys.Users*w.entrySize()/10, minMemory)
	var pairs []pair
	for i := range b.s.runs {
		p, err := b.largeOnce(ctx, w, partitions, i, memory, heddle, bare)
		if err != nil {
			return nil, err
		}
		b.tell(w, i, p)
		pairs = append(pairs, p)
	}
	s := b.summarize(w, partitions, w.records, pairs)
	s.StateMiB = stateMiB(w)
	return []summary{s}, nil
}

func (b *bench) largeOnce(ctx context.Context, w workload, partitions, i int, memory int64, heddle, bare order) (p pair, err error) {
	in, err := b.input(ctx, w, partitions)
	if err != nil {
		return p, err
	}
	defer b.forget(context.WithoutCancel(ctx), in)
	o, err := b.order(ctx, w, in, partitions, i, "bare")
	if err != nil {
		return p, err
	}
	defer b.forget(context.WithoutCancel(ctx), o.createdOutput)
	limit := fmt.Sprintf("GOMEMLIMIT=%d", memory*9/10)
	// Caches and buffers are a small part of it: the collector needs room, and
	// what is fetched ahead and not yet acknowledged takes some, too.
	cache, buffer := memory/8, memory/16
	o.state, o.environment = bare.state, []string{limit}
	o.bareArgs = []string{fmt.Sprintf("--cache-bytes=%d", cache), fmt.Sprintf("--buffer-bytes=%d", buffer)}

	h := o
	h.name, h.createdOutput, h.report = heddle.name, heddle.createdOutput, o.report+".heddle"
	h.config = append(h.config,
		fmt.Sprintf("stores.state.container.cache.size.bytes=%d", cache),
		fmt.Sprintf("stores.state.container.write.buffer.size.bytes=%d", buffer),
		fmt.Sprintf("heddle.stores.state.object.cache.bytes=%d", memory/32))
	if b.s.profiles != "" {
		h.profile = filepath.Join(b.s.profiles, fmt.Sprintf("%s-%d-run%d-heddle.prof", w.name, partitions, i+1))
	}
	if p.heddle, err = b.start(ctx, h, b.heddle); err != nil {
		return p, fmt.Errorf("heddle: %w", err)
	}
	if p.heddle, err = measured(p.heddle, w.records); err != nil {
		return p, fmt.Errorf("heddle: %w", err)
	}
	if p.bare, err = b.start(ctx, o, b.bare); err != nil {
		return p, fmt.Errorf("bare loop: %w", err)
	}
	p.bare, err = measured(p.bare, w.records)
	return p, err
}
