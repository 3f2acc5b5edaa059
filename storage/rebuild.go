package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// Rebuild says what is rebuilt of a store for somebody who wants to look at it.
type Rebuild struct {
	Spec Spec
	// Partition of the changelog is the task's.
	Partition int32
	// Target is what the task's checkpoint says of the store; nil if it does not
	// know it.
	Target *Target
	// ToEnd rebuilds to the changelog's end instead.
	ToEnd bool
	// Dir is the folder for the engine; it must not exist.
	Dir    string
	Logger *slog.Logger
	Now    func() time.Time
}

// Rebuilt is what a rebuild read.
type Rebuilt struct {
	// From and To are the offsets that were read, [From, To); End is where the
	// changelog ended.
	From, To, End  int64
	Records, Bytes int64
	// Warning says what is not as it should be; "" if all is well.
	Warning string
}

// Run reads the changelog into an engine on disk at Dir. It writes nowhere else:
// what lies behind the target is left alone, not undone. What it left after an
// error is of no use. progress may be nil.
func (r Rebuild) Run(ctx context.Context, sys system.System, progress func(Progress)) (Rebuilt, error) {
	out, err := r.run(ctx, sys, progress)
	if err != nil {
		return out, fmt.Errorf("rebuild store %q from its changelog %s, partition %d: %w", r.Spec.Name, r.Spec.Changelog, r.Partition, err)
	}
	return out, nil
}

func (r Rebuild) logger() *slog.Logger {
	if r.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Logger.With("store", r.Spec.Name, "changelog", r.Spec.Changelog.String(), "partition", r.Partition)
}

func (r Rebuild) run(ctx context.Context, sys system.System, progress func(Progress)) (out Rebuilt, err error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	admin, err := sys.Admin()
	if err != nil {
		return out, err
	}
	all, err := admin.Offsets(ctx, r.Spec.Changelog.Stream)
	if err != nil {
		return out, err
	}
	if int(r.Partition) >= len(all) {
		return out, fmt.Errorf("the topic has only %d partitions", len(all))
	}
	policy := r.Spec.Policy
	policy.ToNewest, policy.DropExisting = policy.ToNewest || r.ToEnd, false
	began := r.Now()
	ends := settled(all[r.Partition], policy, r.logger())
	plan, err := MakePlan(r.Target, nil, ends, policy, began)
	if err != nil {
		return out, err
	}
	out = Rebuilt{From: plan.From, To: plan.To, End: plan.End, Warning: plan.Warning}
	if r.Target == nil && plan.Warning != "" {
		out.Warning = "no checkpoint knows this store yet: it is rebuilt from all that its changelog holds"
	}
	e, err := engine.Open(engine.Pebble, engine.Options{Dir: r.Dir, Compression: r.Spec.Compression, BlockSize: r.Spec.BlockBytes, Logger: r.Logger})
	if err != nil {
		return out, ailing(err, r.Spec.Name, "", r.Dir)
	}
	defer func() { err = ailing(errors.Join(err, e.Close()), r.Spec.Name, "", r.Dir) }()
	disk, ok := e.(engine.OnDisk)
	if !ok {
		return out, fmt.Errorf("the engine %q does not lie on disk", engine.Pebble)
	}
	mark := AppendMark(nil, Mark{Topic: ends.Topic, Offset: plan.Offset, At: began})
	if plan.From >= plan.To {
		return out, disk.Apply(nil, mark)
	}
	load, err := disk.Load()
	if err != nil {
		return out, err
	}
	p := Progress{Store: r.Spec.Name, From: plan.From, To: plan.To, Changelog: system.Partition{
		System: r.Spec.Changelog.System, Stream: r.Spec.Changelog.Stream, Partition: r.Partition}}
	next, err := sys.Read(ctx, r.Spec.Changelog.Stream, r.Partition, plan.From, plan.To, func(batch []task.Message) error {
		for i := range batch {
			m := &batch[i]
			p.Next = m.Offset + 1
			if m.KeyBytes == nil {
				continue
			}
			p.Records++
			p.Bytes += int64(len(m.KeyBytes) + len(m.ValueBytes))
			value := m.ValueBytes
			if r.Spec.TTL > 0 && !time.UnixMilli(m.Timestamp).Add(r.Spec.TTL).After(began) {
				value = nil // it has ended
			}
			if err := load.Add(m.KeyBytes, value); err != nil {
				return err
			}
		}
		p.pace(r.Now().Sub(began))
		progress(p)
		return nil
	})
	if err == nil && next < plan.To {
		err = fmt.Errorf("reading ended at offset %d of %d", next, plan.To)
	}
	if err != nil {
		return out, errors.Join(err, load.Abort())
	}
	out.Records, out.Bytes = p.Records, p.Bytes
	return out, load.Finish(mark)
}

// OpenRebuilt opens what a rebuild left in a folder, for reading. The serdes are
// given by name, as serde.New takes them; "" stands for bytes.
func OpenRebuilt(dir, keySerde, valueSerde string) (View, func() error, error) {
	v := View{Keys: serde.Bytes{}, Values: serde.Bytes{}}
	var err error
	for _, s := range []struct {
		name string
		to   *task.Serde
	}{{keySerde, &v.Keys}, {valueSerde, &v.Values}} {
		if s.name == "" {
			continue
		}
		if *s.to, err = serde.New(s.name); err != nil {
			return View{}, nil, err
		}
	}
	e, err := engine.Open(engine.Pebble, engine.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		return View{}, nil, err
	}
	v.from = e
	return v, e.Close, nil
}
