package pebble

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// Snapshot is engine.Engine's.
func (e *Engine) Snapshot() engine.Snapshot {
	if e.closed {
		return &snapshot{e: e}
	}
	s := &snapshot{e: e, snap: e.db.NewSnapshot()}
	e.snapshots.add(s)
	return s
}

// snapshot is the database as it was. The database cannot be closed while one
// is open, so the engine closes those that are left over.
type snapshot struct {
	e    *Engine
	mu   sync.Mutex
	snap *pebble.Snapshot // nil: closed
}

// Range is engine.Snapshot's.
func (s *snapshot) Range(from, to string) engine.Iterator {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snap == nil {
		return &iterator{err: s.e.fail("reading a snapshot", errClosed)}
	}
	return s.e.iterate(s.snap, from, to)
}

// Close is engine.Snapshot's.
func (s *snapshot) Close() error {
	s.e.snapshots.remove(s)
	return s.release()
}

func (s *snapshot) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snap == nil {
		return nil
	}
	err := s.snap.Close()
	s.snap = nil
	return s.e.fail("closing a snapshot", err)
}

// snapshots are those that are open.
type snapshots struct {
	mu   sync.Mutex
	open map[*snapshot]struct{}
}

func (o *snapshots) add(s *snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[*snapshot]struct{}{}
	}
	o.open[s] = struct{}{}
}

func (o *snapshots) remove(s *snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}

// release closes all of them.
func (o *snapshots) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.open {
		_ = s.release() // it only gives memory and files back
	}
	o.open = nil
}
