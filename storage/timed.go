package storage

import (
	"iter"
	"time"

	"heddle/task"
)

// clocked is a store one of whose calls in timedOneOf is timed (Samza: the timers of
// KeyValueStorageEngineMetrics, which time each). It is above all other layers: what
// the task waits for counts.
type clocked struct {
	task.Store
	now    func() time.Time
	timers callTimers
	// gets and puts are how many calls are left until one is timed.
	gets, puts int
}

var _ task.Store = (*clocked)(nil)

// callTimers are for the calls of a task. A range is timed until its first entry:
// the rest is the task's own time.
type callTimers struct {
	get, getAll, put, putAll, delete, rangeFirst, allFirst, snapshot task.Timer
}

// timedOneOf is how many gets, and how many puts and deletes, there are for one that
// is timed: to ask the clock twice costs as much as a get from the cache.
const timedOneOf = 128

// due counts down to the next call that is timed.
func due(left *int) bool {
	if *left--; *left >= 0 {
		return false
	}
	*left = timedOneOf - 1
	return true
}

// since tells a timer of a call.
func (t *clocked) since(began time.Time, of task.Timer) { of.Observe(t.now().Sub(began)) }

// Get is task.Store's.
func (t *clocked) Get(key any) (any, error) {
	if !due(&t.gets) {
		return t.Store.Get(key)
	}
	began := t.now()
	value, err := t.Store.Get(key)
	t.since(began, t.timers.get)
	return value, err
}

// GetInto is task.Store's.
func (t *clocked) GetInto(key, v any) (bool, error) {
	if !due(&t.gets) {
		return t.Store.GetInto(key, v)
	}
	began := t.now()
	ok, err := t.Store.GetInto(key, v)
	t.since(began, t.timers.get)
	return ok, err
}

// Put is task.Store's.
func (t *clocked) Put(key, value any) error {
	if !due(&t.puts) {
		return t.Store.Put(key, value)
	}
	began := t.now()
	err := t.Store.Put(key, value)
	t.since(began, t.timers.put)
	return err
}

// Delete is task.Store's.
func (t *clocked) Delete(key any) error {
	if !due(&t.puts) {
		return t.Store.Delete(key)
	}
	began := t.now()
	err := t.Store.Delete(key)
	t.since(began, t.timers.delete)
	return err
}

// GetAll is task.Store's.
func (t *clocked) GetAll(keys []any) ([]any, error) {
	defer t.since(t.now(), t.timers.getAll)
	return t.Store.GetAll(keys)
}

// PutAll is task.Store's.
func (t *clocked) PutAll(entries []task.Entry) error {
	defer t.since(t.now(), t.timers.putAll)
	return t.Store.PutAll(entries)
}

// Snapshot is task.Store's.
func (t *clocked) Snapshot(from, to any) (task.Snapshot, error) {
	defer t.since(t.now(), t.timers.snapshot)
	return t.Store.Snapshot(from, to)
}

// Range is task.Store's.
func (t *clocked) Range(from, to any) iter.Seq[task.Entry] {
	return t.first(t.Store.Range(from, to), t.timers.rangeFirst)
}

// Prefix is task.Store's.
func (t *clocked) Prefix(prefix any) iter.Seq[task.Entry] {
	return t.first(t.Store.Prefix(prefix), t.timers.rangeFirst)
}

// All is task.Store's.
func (t *clocked) All() iter.Seq[task.Entry] { return t.first(t.Store.All(), t.timers.allFirst) }

// first times how long it takes until an iteration has its first entry, or its end.
func (t *clocked) first(entries iter.Seq[task.Entry], of task.Timer) iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		began, waiting := t.now(), true
		for e := range entries {
			if waiting {
				t.since(began, of)
				waiting = false
			}
			if !yield(e) {
				return
			}
		}
		if waiting {
			t.since(began, of)
		}
	}
}
