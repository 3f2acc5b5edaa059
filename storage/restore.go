package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// Progress tells how far the restore of one store has come.
type Progress struct {
	Store     string
	Changelog system.Partition
	// Undoing tells the second part, the undoing of what came after the
	// checkpoint, from the first.
	Undoing bool
	// The records in [From, To) are read; Next is the next of them.
	From, Next, To int64
	// Records and Bytes (keys and values) were restored so far, and Undone
	// records undone.
	Records, Bytes, Undone int64
	// Done is true once, at the end of the store's restore.
	Done bool
}

// EndsFunc gives the ends of all partitions of a changelog.
type EndsFunc func(ctx context.Context, changelog system.StreamID) ([]system.Ends, error)

// SharedEnds asks the systems for the ends of each changelog only once, for
// all tasks of a container that are restored together. What the tasks write
// while others are still restored does not matter: each has its own partition.
func SharedEnds(systems map[string]system.System) EndsFunc {
	var mu sync.Mutex
	known := map[system.StreamID]func() ([]system.Ends, error){}
	return func(ctx context.Context, id system.StreamID) ([]system.Ends, error) {
		mu.Lock()
		ask, ok := known[id]
		if !ok {
			ask = sync.OnceValues(func() ([]system.Ends, error) { return askEnds(ctx, systems, id) })
			known[id] = ask
		}
		mu.Unlock()
		return ask()
	}
}

func askEnds(ctx context.Context, systems map[string]system.System, id system.StreamID) ([]system.Ends, error) {
	sys, ok := systems[id.System]
	if !ok {
		return nil, fmt.Errorf("changelog %s: system %q is not configured; set systems.%s.samza.factory", id, id.System, id.System)
	}
	admin, err := sys.Admin()
	if err != nil {
		return nil, err
	}
	return admin.Offsets(ctx, id.Stream)
}

// Restore fills the logged stores from their changelogs, and undoes what their
// changelogs hold beyond targets (by store name; a store that is missing there
// is unknown to the checkpoint). It has to be called once, before the stores
// are used. progress may be nil; it is called after each batch.
//
// What is undone is appended to the changelog: for each record behind the
// target, in order, the value that its key has at the target. A Kafka topic
// cannot be cut off. If what lies behind the target changes nothing, for it was
// undone before by a container that then died without a commit, it stays as it
// is: otherwise the changelog would double with each such start.
func (s *Set) Restore(ctx context.Context, systems map[string]system.System, targets map[string]Target, progress func(Progress)) error {
	ends := s.o.Ends
	if ends == nil {
		ends = func(ctx context.Context, id system.StreamID) ([]system.Ends, error) { return askEnds(ctx, systems, id) }
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	for _, st := range s.stores {
		if st.log == nil {
			continue
		}
		var target *Target
		if t, ok := targets[st.spec.Name]; ok {
			target = &t
		}
		if err := s.restore(ctx, st, systems[st.spec.Changelog.System], ends, target, progress); err != nil {
			return fmt.Errorf("restore store %q of task %q from the %v: %w", st.spec.Name, s.o.TaskName, st.log, err)
		}
	}
	return nil
}

func (s *Set) restore(ctx context.Context, st *opened, sys system.System, askEnds EndsFunc, target *Target, progress func(Progress)) error {
	all, err := askEnds(ctx, st.spec.Changelog)
	if err != nil {
		return err
	}
	if int(st.log.partition) >= len(all) {
		return fmt.Errorf("the topic has only %d partitions; it has to have one for each task: make it anew with more, or name another in stores.%s.changelog",
			len(all), st.spec.Name)
	}
	plan, err := MakePlan(target, all[st.log.partition], st.spec.Policy, s.o.now())
	if err != nil {
		return err
	}
	log := s.o.Logger.With("store", st.spec.Name, "changelog", st.spec.Changelog.String(), "partition", st.log.partition)
	if plan.Warning != "" {
		log.Warn("restore: " + plan.Warning)
	}
	start := s.o.now()
	r := restorer{st: st, sys: sys, engine: st.engine, progress: progress}
	r.p = Progress{Store: st.spec.Name, Changelog: system.Partition{
		System: st.spec.Changelog.System, Stream: st.spec.Changelog.Stream, Partition: st.log.partition}}
	if err := r.replay(ctx, plan.From, plan.To); err != nil {
		return err
	}
	st.position = plan.Offset
	if plan.Undoes() {
		changes, err := r.changes(ctx, plan.To, plan.End)
		if err == nil && changes {
			err = r.undo(ctx, plan.To, plan.End)
		}
		if err != nil {
			return fmt.Errorf("undo what came after the checkpoint: %w", err)
		}
	}
	st.restored(r.p)
	if r.keyless > 0 {
		log.Warn("restore: records without a key were passed over; something else writes to this changelog", "records", r.keyless)
	}
	log.Info("store restored", "records", r.p.Records, "bytes", r.p.Bytes, "undone", r.p.Undone,
		"offset", plan.Offset, "took", s.o.now().Sub(start).Round(time.Millisecond).String())
	r.p.Done = true
	progress(r.p)
	return nil
}

type restorer struct {
	st       *opened
	sys      system.System
	engine   engine.Engine // without the changelog
	progress func(Progress)
	p        Progress

	keyless int64
	writes  []engine.Write
}

// read walks over the records in [from, to).
func (r *restorer) read(ctx context.Context, from, to int64, each func(m *task.Message) error) error {
	if from >= to {
		return nil
	}
	if r.sys == nil {
		return fmt.Errorf("system %q is not configured", r.st.spec.Changelog.System)
	}
	r.p.From, r.p.Next, r.p.To = from, from, to
	next, err := r.sys.Read(ctx, r.st.spec.Changelog.Stream, r.st.log.partition, from, to, func(batch []task.Message) error {
		for i := range batch {
			m := &batch[i]
			r.p.Next = m.Offset + 1
			if m.KeyBytes == nil {
				r.keyless++
				continue
			}
			if err := each(m); err != nil {
				return err
			}
		}
		if err := r.apply(); err != nil {
			return err
		}
		r.progress(r.p)
		return nil
	})
	if err != nil {
		return err
	}
	if next < to {
		return fmt.Errorf("reading ended at offset %d of %d", next, to)
	}
	r.p.Next = to
	return nil
}

func (r *restorer) replay(ctx context.Context, from, to int64) error {
	return r.read(ctx, from, to, func(m *task.Message) error {
		r.p.Records++
		r.p.Bytes += int64(len(m.KeyBytes) + len(m.ValueBytes))
		// A string of its own: the batch's memory is not to be held.
		r.writes = append(r.writes, engine.Write{Key: string(m.KeyBytes), Value: m.ValueBytes})
		if len(r.writes) == maxApply {
			return r.apply()
		}
		return nil
	})
}

func (r *restorer) apply() error {
	if len(r.writes) == 0 {
		return nil
	}
	err := r.engine.Apply(r.writes, nil)
	clear(r.writes)
	r.writes = r.writes[:0]
	return err
}

// maxChanged bounds what changes keeps in mind.
const maxChanged = 1 << 20

var errEnough = errors.New("enough was read")

// changes tells if the records in [from, to), applied to the restored state,
// leave another one.
func (r *restorer) changes(ctx context.Context, from, to int64) (bool, error) {
	r.p.Undoing = true
	keyless := r.keyless
	defer func() { r.keyless = keyless }() // undo counts them
	changed := map[string]struct{}{}
	var value []byte
	err := r.read(ctx, from, to, func(m *task.Message) error {
		var ok bool
		var err error
		if value, ok, err = r.engine.Get(value[:0], textOf(m.KeyBytes)); err != nil {
			return err
		}
		if ok == (m.ValueBytes != nil) && bytes.Equal(value, m.ValueBytes) {
			delete(changed, textOf(m.KeyBytes))
			return nil
		}
		changed[string(m.KeyBytes)] = struct{}{}
		if len(changed) > maxChanged {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	return len(changed) > 0, nil
}

func (r *restorer) undo(ctx context.Context, from, to int64) error {
	err := r.read(ctx, from, to, func(m *task.Message) error {
		key := string(m.KeyBytes)
		// The outbox holds on to the value, so each has memory of its own.
		value, ok, err := r.engine.Get([]byte{}, key)
		if err != nil {
			return err
		}
		if !ok {
			value = nil
		}
		r.p.Undone++
		return r.st.log.write(key, value)
	})
	if err != nil {
		return err
	}
	return r.st.log.out.Flush(ctx)
}
