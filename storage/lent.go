package storage

import (
	"errors"
	"fmt"
	"time"

	"heddle/storage/engine"
	"heddle/task"
)

// ErrSideStore: a store that is filled from side inputs was written to by a task.
var ErrSideStore = errors.New("it is filled from its side inputs (stores.NAME.side.inputs) and is read only: write to a store of the task's own, or send to the stream that fills it")

// lent is a Side as one task sees it: what is in the engine, read without a
// lock. The task's goroutine uses it.
type lent struct {
	*store
	side    *Side
	metrics *storeMetrics
	// face is what the task sees.
	face     task.Store
	measured time.Time
}

// Lend adds a store that is filled from side inputs to those of the task. It has
// been filled, and is closed by its owner after the Set.
func (s *Set) Lend(side *Side) error {
	e, ok := side.st.engine.(engine.Concurrent)
	if !ok {
		return fmt.Errorf("store %q: the engine %q cannot be read while it is filled; set stores.%s.factory to memory or pebble", side.Name(), side.st.spec.Engine, side.Name())
	}
	spec := side.st.spec
	st := newStore(spec, readOnly{e.Reader(), e}, side.st.keys, side.st.values)
	st.ailing = side.st.ailing
	// What the engine says of itself is not this task's alone to ask.
	l := &lent{store: st, side: side, metrics: newStoreMetrics(s.o.Metrics, spec, nil)}
	l.face = l
	if l.metrics != nil {
		l.face = &clocked{Store: l.face, now: s.o.Now, timers: l.metrics.calls}
	}
	s.lent = append(s.lent, l)
	return nil
}

// Put is task.Store's: it fails.
func (l lent) Put(any, any) error { return l.failed("put", ErrSideStore) }

// Delete is task.Store's: it fails.
func (l lent) Delete(any) error { return l.failed("delete", ErrSideStore) }

// PutAll is task.Store's: it fails.
func (l lent) PutAll([]task.Entry) error { return l.failed("put", ErrSideStore) }

// Flush is task.Store's: there is nothing to flush.
func (l lent) Flush() error { return nil }

var _ task.Store = lent{}

// publish brings the metrics up to what the task did, and now and then to how large
// the store is.
func (l *lent) publish(now time.Time) {
	l.metrics.publish(l.store, 0)
	if !l.measured.IsZero() && now.Sub(l.measured) < measureEvery {
		return
	}
	l.measured = now
	if r, ok := l.engine.(readOnly); ok {
		if _, bytes := r.size(); bytes >= 0 {
			l.metrics.measured(bytes, nil)
		}
	}
}

// readOnly is a Reader in the place of an engine.
type readOnly struct {
	engine.Reader
	under engine.Engine
}

func (readOnly) Apply([]engine.Write, []byte) error { return ErrSideStore }
func (readOnly) Mark() ([]byte, error)              { return nil, nil }
func (readOnly) Close() error                       { return nil }

// size is about how large it is; -1 where that is not known.
func (r readOnly) size() (entries, bytes int64) {
	entries, bytes = -1, -1
	if l, ok := r.Reader.(interface{ Len() int }); ok {
		entries = int64(l.Len())
	}
	if d, ok := r.under.(engine.OnDisk); ok {
		bytes = d.Size()
	}
	return entries, bytes
}
