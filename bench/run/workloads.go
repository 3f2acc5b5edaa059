package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
)

const (
	passThrough = "passthrough"
	count       = "count"
	countCache  = "count-cache"
	restore     = "restore"
	snapshot    = "snapshot"
	large       = "large"
	recovery    = "recovery"
)

// workload is what is measured.
type workload struct {
	name       string
	properties string // file of the job, without its ending
	records    int64  // of the input
	keys       input.Keys
	history    int64 // how often a changelog that is made for it has each key
	valueBytes int   // of an entry of its store, where it is a large one
}

// entrySize is a key and a value of a large store.
func (w workload) entrySize() int64 {
	return int64(len(w.keys.AppendKey(nil, 0)) + w.valueBytes)
}

var workloads = map[string]workload{
	passThrough: {passThrough, "passthrough", 2_000_000, input.Keys{Users: input.Users}, 0, 0},
	count:       {count, "count", 2_000_000, input.Keys{Users: input.Users}, 0, 0},
	countCache:  {countCache, "count", 4_000_000, input.Keys{Users: 1_000_000, First: true}, 0, 0},
	restore:     {restore, "state", 0, input.Keys{Users: 10_000_000, Each: true}, 1, input.ValueSize},
	snapshot:    {snapshot, "state", 0, input.Keys{Users: 1_000_000, Each: true}, 10, input.ValueSize},
	large:       {large, "state", 1_000_000, input.Keys{Users: 10_000_000}, 1, input.ValueSize},
	recovery:    {recovery, "count", 0, input.Keys{Users: 1_000_000, Each: true}, 0, 0},
}

// of is the workload as the command line wants it.
func (w workload) of(s settings) workload {
	if s.records != 0 {
		w.records = s.records
	}
	if s.keys != 0 {
		w.keys.Users = s.keys
	}
	if s.history != 0 && w.history != 0 {
		w.history = s.history
	}
	if w.valueBytes != 0 {
		w.keys.Size = s.keyBytes
		if s.valueBytes != 0 {
			w.valueBytes = s.valueBytes
		}
	}
	return w
}

// after is how many records come before those that are measured: each key once.
func (w workload) after() int64 {
	if w.keys.First {
		return w.keys.Users
	}
	return 0
}

// record is record i of the input.
func (w workload) record(i int64) *kgo.Record {
	r := &kgo.Record{Key: w.keys.AppendKey(nil, i)}
	switch w.name {
	case passThrough:
		r.Value = input.AppendValue(nil, i)
	case large:
		r.Value = []byte{}
	default:
		r.Value = w.keys.AppendEvent(nil, i)
	}
	return r
}

// workload runs a workload and sums it up.
func (b *bench) workload(ctx context.Context, w workload, partitions int) ([]summary, error) {
	switch w.name {
	case restore:
		return b.restore(ctx, w, partitions)
	case snapshot:
		return b.snapshot(ctx, w, partitions)
	case large:
		return b.large(ctx, w, partitions)
	case recovery:
		return b.recovery(ctx, w, partitions)
	}
	pairs, err := b.streaming(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	return []summary{b.summarize(w, partitions, w.records, pairs)}, nil
}

// streaming runs both sides in turn over one input.
func (b *bench) streaming(ctx context.Context, w workload, partitions int) ([]pair, error) {
	in, err := b.input(ctx, w, partitions)
	if err != nil {
		return nil, err
	}
	defer b.forget(context.WithoutCancel(ctx), in)
	var pairs []pair
	for i := range b.s.runs {
		var p pair
		var err error
		if p.heddle, err = b.one(ctx, w, in, partitions, i, "heddle", b.heddle); err != nil {
			return nil, fmt.Errorf("heddle: %w", err)
		}
		if b.s.guarantee {
			if p.exactly, err = b.one(ctx, w, in, partitions, i, "exactly-once", b.heddle); err != nil {
				return nil, fmt.Errorf("heddle, exactly-once: %w", err)
			}
		}
		if p.bare, err = b.one(ctx, w, in, partitions, i, "bare", b.bare); err != nil {
			return nil, fmt.Errorf("bare loop: %w", err)
		}
		b.tell(w, i, p)
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// tell shows a pair on the way.
func (b *bench) tell(w workload, i int, p pair) {
	exactly := ""
	if p.exactly.SteadySeconds > 0 {
		exactly = fmt.Sprintf("exactly-once %.0f/s, %.2f; ", p.exactly.rate(), p.exactly.cpu())
	}
	fmt.Fprintf(b.say, "bench: %s run %d of %d: heddle %.0f/s, %.2f CPU s per million, %.0f MiB; %sbare %.0f/s, %.2f, %.0f MiB\n",
		w.name, i+1, b.s.runs, p.heddle.rate(), p.heddle.cpu(), p.heddle.rss(), exactly, p.bare.rate(), p.bare.cpu(), p.bare.rss())
}

// input makes and fills the topic that a workload reads.
func (b *bench) input(ctx context.Context, w workload, partitions int) (string, error) {
	b.n++
	in := fmt.Sprintf("bench-%s-%s-%d-%d", b.stamp, w.name, partitions, b.n)
	if err := b.topic(ctx, in, partitions, asStream); err != nil {
		return "", err
	}
	fmt.Fprintf(b.say, "bench: %s: writing %d records to %d partitions\n", w.name, w.records, partitions)
	return in, b.kafka.fill(ctx, in, w.records, w.record)
}

// side runs one process over the input.
type side func(ctx context.Context, o order) error

// order is what a side is told.
type order struct {
	workload      workload
	in            string
	partitions    int
	name          string // of this run
	report        string
	profile       string
	log           string
	createdOutput string // pass-through's output; the changelog of others
	state         string // folder of the bare loop's databases
	config        []string
	environment   []string
	bareArgs      []string
}

// order makes what a side is told, with an output of its own.
func (b *bench) order(ctx context.Context, w workload, in string, partitions, i int, who string) (order, error) {
	b.n++
	name := fmt.Sprintf("bench-%s-%d", b.stamp, b.n)
	o := order{
		workload: w, in: in, partitions: partitions, name: name,
		report: filepath.Join(b.work, name+".json"), log: filepath.Join(b.work, name+".log"),
		createdOutput: name + "-out",
	}
	if who == "exactly-once" {
		o.config = append(o.config, "heddle.processing.guarantee=exactly-once", "task.commit.ms=1000")
	} else if b.s.guarantee {
		o.config = append(o.config, "task.commit.ms=1000")
	}
	if b.s.profiles != "" {
		o.profile = filepath.Join(b.s.profiles, fmt.Sprintf("%s-%d-run%d-%s.prof", w.name, partitions, i+1, who))
	}
	outPartitions, as := partitions, asChangelog
	if w.name == passThrough {
		outPartitions, as = b.s.outPartitions, asStream
	}
	return o, b.topic(ctx, o.createdOutput, outPartitions, as)
}

// one runs a side once and checks what it did.
func (b *bench) one(ctx context.Context, w workload, in string, partitions, i int, who string, do side) (result, error) {
	o, err := b.order(ctx, w, in, partitions, i, who)
	if err != nil {
		return result{}, err
	}
	defer b.forget(context.WithoutCancel(ctx), o.createdOutput)
	if w.name == countCache {
		o.config = append(o.config, fmt.Sprintf("stores.counts.object.cache.size=%d", max(w.keys.Users/10/int64(partitions), 1)))
	}
	started := time.Now()
	if err := do(ctx, o); err != nil {
		return result{}, err
	}
	r, err := readResult(o.report, w.records, time.Since(started))
	if err != nil {
		return result{}, err
	}
	r.written, err = b.kafka.check(ctx, w, o.createdOutput)
	return r, err
}
