package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// restorer carries out the plan for one store.
type restorer struct {
	st       *opened
	sys      system.System
	log      *slog.Logger
	now      func() time.Time
	began    time.Time
	ends     system.Ends
	target   *Target
	mark     *Mark // of the state that is kept; nil: it begins empty
	source   Source
	progress func(Progress)
	p        Progress

	partStart, logged time.Time
	keyless           int64
	writes            []engine.Write
	last              int64 // offset of the newest of writes
	load              engine.Load
	stamped           []byte // of the record at hand
}

func (r *restorer) run(ctx context.Context, plan Plan) error {
	st := r.st
	if plan.Warning != "" {
		r.log.Warn("restore: " + plan.Warning)
	}
	r.p = st.progressOf()
	r.p.Source = r.source
	if err := r.replay(ctx, plan); err != nil {
		return err
	}
	st.position, st.topic, st.log.from = plan.Offset, r.ends.Topic, r.ends.Next
	if plan.Undoes() {
		changes, err := r.changes(ctx, plan.To, plan.End)
		if err == nil && changes {
			if st.spec.Policy.ExactlyOnce {
				r.log.Warn("restore: the changelog holds records behind the checkpoint that no transaction aborted, so it was written to at-least-once before; they are undone")
			}
			err = r.undo(ctx, plan.To, plan.End)
		}
		if err != nil {
			return fmt.Errorf("undo what came after the checkpoint: %w", err)
		}
	}
	if st.folder != nil {
		st.folder.Fresh = false
	}
	st.restored(r.p)
	if r.keyless > 0 {
		r.log.Warn("restore: records without a key were passed over; something else writes to this changelog", "records", r.keyless)
	}
	r.log.Info("store restored", "records", r.p.Records, "bytes", r.p.Bytes, "undone", r.p.Undone, "source", string(r.source),
		"offset", plan.Offset, "took", r.now().Sub(r.began).Round(time.Millisecond).String())
	r.p.Done, r.p.Left = true, 0
	r.progress(r.p)
	return nil
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
	r.partStart = r.now()
	r.logged = r.partStart
	next, err := r.readBatches(ctx, from, to, func(batch []task.Message) error {
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
		r.tell()
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

// readBatches is system.Read, but that a topic which drops records by age may
// have dropped some since it was asked where it begins.
func (r *restorer) readBatches(ctx context.Context, from, to int64, each func([]task.Message) error) (int64, error) {
	next, err := r.sys.Read(ctx, r.st.spec.Changelog.Stream, r.st.log.partition, from, to, each)
	for r.st.spec.Policy.ByAge && errors.Is(err, system.ErrOutOfRange) {
		// What is dropped is older than what was read, so nothing comes twice.
		at := max(next, r.p.Next)
		next, err = r.sys.Read(ctx, r.st.spec.Changelog.Stream, r.st.log.partition, system.Oldest, to, each)
		if next <= at {
			break
		}
	}
	return next, err
}

// stored is a record's value as the engine holds it. It is valid until the next
// call, unless it is the record's own.
func (r *restorer) stored(m *task.Message) []byte {
	if r.st.expiry == nil {
		return m.ValueBytes
	}
	v := r.st.expiry.restored(r.stamped[:0], m.ValueBytes, m.Timestamp, r.began.UnixMilli())
	if v != nil {
		r.stamped = v
	}
	return v
}

// keep is a value that outlives the next call of stored.
func (r *restorer) keep(v []byte) []byte {
	if r.st.expiry == nil || v == nil {
		return v
	}
	return append([]byte{}, v...)
}

// tellEvery is how often the log hears how far a long restore is.
const tellEvery = 5 * time.Second

// tell says how far it is, and how long the rest takes.
func (r *restorer) tell() {
	now := r.now()
	r.p.pace(now.Sub(r.partStart))
	r.progress(r.p)
	if now.Sub(r.logged) < tellEvery {
		return
	}
	r.logged = now
	doing := "restoring"
	if r.p.Undoing {
		doing = "undoing what came after the checkpoint"
	}
	r.log.Info("restore", "doing", doing, "offset", r.p.Next, "to", r.p.To,
		"per second", int64(r.p.Rate), "left", r.p.Left.Round(time.Second).String())
}

// From this many offsets on, records go into an engine on disk in bulk. Over
// local state the bar is higher: a process that ends within a bulk loses it.
const (
	bulkFrom     = 50_000
	bulkFromOver = 5_000_000
)

// bulk begins a load if the plan is long enough for it.
func (r *restorer) bulk(plan Plan) (err error) {
	from := int64(bulkFrom)
	if plan.Keep {
		from = bulkFromOver
	}
	e := r.st.onDisk()
	if e == nil || plan.To-plan.From < from {
		return nil
	}
	r.load, err = e.Load()
	return err
}

func (r *restorer) replay(ctx context.Context, plan Plan) error {
	if plan.From >= plan.To && plan.Keep {
		return nil
	}
	if err := r.bulk(plan); err != nil {
		return err
	}
	err := r.read(ctx, plan.From, plan.To, func(m *task.Message) error {
		r.p.Records++
		r.p.Bytes += int64(len(m.KeyBytes) + len(m.ValueBytes))
		if r.load != nil {
			return r.load.Add(m.KeyBytes, r.stored(m))
		}
		// A string of its own: the batch's memory is not to be held.
		r.writes = append(r.writes, engine.Write{Key: string(m.KeyBytes), Value: r.keep(r.stored(m))})
		r.last = m.Offset
		if len(r.writes) == maxApply {
			return r.apply()
		}
		return nil
	})
	final := AppendMark(nil, r.final(plan))
	switch {
	case r.load != nil && err != nil:
		return errors.Join(err, r.load.Abort())
	case err != nil:
		return err
	case r.load != nil:
		return r.load.Finish(final)
	}
	return r.st.engine.Apply(nil, final)
}

// final is the mark of the restored state.
func (r *restorer) final(plan Plan) Mark {
	m := Mark{Topic: r.ends.Topic, Offset: plan.Offset, At: r.began}
	if plan.To < plan.End && r.target != nil {
		// What lies behind it was written after that.
		m.At = r.target.Committed
	}
	return m
}

// apply hands what was read to the engine. On the way from one state to
// another each state between is one of the changelog, too, and no older than
// the first; but one that began empty is of unknown age until its end.
func (r *restorer) apply() error {
	if len(r.writes) == 0 {
		return nil
	}
	var mark []byte
	if r.mark != nil {
		mark = AppendMark(nil, Mark{Topic: r.ends.Topic, Offset: r.last, Checkpoint: r.mark.Checkpoint, At: r.mark.At})
	}
	err := r.st.engine.Apply(r.writes, mark)
	clear(r.writes)
	r.writes = r.writes[:0]
	return err
}
