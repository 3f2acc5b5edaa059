package storage

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"heddle/storage/engine"
	"heddle/task"
)

// This file holds what somebody who is not the task may see of a store.

// ErrNoStore: the task has no store of this name.
var ErrNoStore = errors.New("there is no such store")

// ErrUncommitted: so much was written since the last commit that the engine had
// to take some of it, and does not hold the committed state alone until the next
// one.
var ErrUncommitted = errors.New("more was written since the last commit than its write buffer holds, so the committed state cannot be seen until the next commit; ask for the live state, or again later")

// View is a store as it was at one moment. Get is the task's goroutine's; the
// iterator of Range may live in another one, and whatever the task does after
// Range is not seen by it. It has to be closed before the Set is.
type View struct {
	// Keys and Values are the store's serdes; any goroutine may use them.
	Keys, Values task.Serde

	from engine.Engine
}

// View gives a view of a store. A live one hands what the cache holds down
// first, as the task's own Range does. The task's goroutine calls it.
func (s *Set) View(store string, live bool) (View, error) {
	for _, st := range s.stores {
		if st.spec.Name != store {
			continue
		}
		v := View{Keys: st.keys, Values: st.values, from: st.store.engine}
		switch {
		case st.err != nil:
			return View{}, st.err
		case live && st.cache == nil:
		case !live && st.pending.spilled:
			return View{}, fmt.Errorf("store %q of task %q: %w", store, s.o.TaskName, ErrUncommitted)
		case !live:
			v.from = st.expiry.over(st.engine)
		default:
			if err := st.write(); err != nil {
				return View{}, err
			}
		}
		return v, nil
	}
	for _, l := range s.lent {
		if l.name == store {
			return View{Keys: l.keys, Values: l.values, from: l.engine}, l.err
		}
	}
	return View{}, fmt.Errorf("store %q of task %q: %w; there are %s", store, s.o.TaskName, ErrNoStore, strings.Join(s.Names(), ", "))
}

// Size is how large a store is.
type Size struct {
	Store string
	// Entries and Bytes are -1 where the engine cannot tell, as one on disk its
	// entries; what it tells of files is an estimate.
	Entries, Bytes int64
	// Snapshot tells when the newest snapshot of it was taken that is known here by
	// then; the zero time: none. Any goroutine may call it. nil: it has none.
	Snapshot func() time.Time
}

// Sizes gives the sizes of the stores' committed state. It costs little. The
// task's goroutine calls it.
func (s *Set) Sizes() []Size {
	out := make([]Size, 0, len(s.stores)+len(s.lent))
	for _, st := range s.stores {
		size := Size{Store: st.spec.Name, Entries: -1, Bytes: -1}
		if s.o.Snapshots != nil && st.log != nil && st.onDisk() != nil {
			keeper, id := s.o.Snapshots, st.id
			size.Snapshot = func() time.Time { return keeper.Newest(id) }
		}
		if e, ok := st.engine.(interface{ Len() int }); ok {
			size.Entries = int64(e.Len())
		}
		if e, ok := st.engine.(interface{ Size() int64 }); ok {
			size.Bytes = e.Size()
		}
		out = append(out, size)
	}
	for _, l := range s.lent {
		if r, ok := l.engine.(readOnly); ok {
			entries, bytes := r.size()
			out = append(out, Size{Store: l.name, Entries: entries, Bytes: bytes})
		}
	}
	return out
}

// Get gives the value of an encoded key; ok is false if there is none.
func (v View) Get(key string) (value []byte, ok bool, err error) {
	return v.from.Get([]byte{}, key)
}

// Range iterates over the encoded keys in [from, to); an empty to stands for
// the end.
func (v View) Range(from, to string) engine.Iterator { return v.from.Range(from, to) }
