package storage

import (
	"fmt"
	"iter"

	"heddle/storage/engine"
	"heddle/task"
)

// Snapshot is task.Store's. What is in the cache goes to the engine first,
// which alone has an order.
func (s *store) Snapshot(from, to any) (task.Snapshot, error) {
	if s.err != nil {
		return nil, s.err
	}
	lo, hi, empty, err := s.bounds(from, to)
	if err != nil {
		return nil, s.failed("snapshot", err)
	}
	s.count.snapshots++
	if s.cache != nil {
		if err := s.write(); err != nil {
			return nil, err
		}
	}
	return &snapshot{
		of:   s.engine.Snapshot(),
		read: reader{s.name, s.keys, s.values, s.rawValues},
		from: lo, to: hi, empty: empty,
	}, nil
}

// snapshot is a store as it was. It knows nothing of the store, which belongs
// to another goroutine.
type snapshot struct {
	of       engine.Snapshot
	read     reader
	from, to string
	empty    bool
}

// Entries is task.Snapshot's.
func (s *snapshot) Entries() iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		if s.empty {
			return
		}
		if err := s.read.entries(s.of.Range(s.from, s.to), yield); err != nil {
			yield(task.Entry{Err: fmt.Errorf("snapshot of store %q: %w", s.read.name, err)})
		}
	}
}

// Close is task.Snapshot's.
func (s *snapshot) Close() error {
	if err := s.of.Close(); err != nil {
		return fmt.Errorf("snapshot of store %q: %w", s.read.name, err)
	}
	return nil
}
