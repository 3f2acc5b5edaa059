// Package memory is the engine that holds everything in memory. It is not for
// state that shall outlive the process: that is what a changelog is for.
package memory

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/tidwall/btree"

	"heddle/storage/engine"
)

// Engine holds everything in a B-tree. A range works on a copy that shares all
// nodes; a node is copied when it is first written to after that.
type Engine struct {
	tree  btree.Map[string, string]
	mark  []byte
	bytes int64 // of keys and values
	// published is what readers see; nil while there is none.
	published atomic.Pointer[btree.Map[string, string]]
}

var _ engine.Concurrent = (*Engine)(nil)

func init() { //nolint:gochecknoinits // an engine makes itself known, as a driver does
	engine.Register(engine.Memory, func(engine.Options) (engine.Engine, error) { return New(), nil })
}

// New makes an empty engine.
func New() *Engine { return &Engine{} }

// Get is engine.Engine's.
func (m *Engine) Get(dst []byte, key string) ([]byte, bool, error) {
	v, ok := m.tree.Get(key)
	if !ok {
		return dst, false, nil
	}
	return append(dst, v...), true, nil
}

// Apply is engine.Engine's.
func (m *Engine) Apply(batch []engine.Write, mark []byte) error {
	if mark != nil {
		m.mark = slices.Clone(mark)
	}
	for _, w := range batch {
		if w.Value == nil {
			if old, ok := m.tree.Delete(w.Key); ok {
				m.bytes -= int64(len(w.Key) + len(old))
			}
			continue
		}
		old, replaced := m.tree.Set(w.Key, string(w.Value))
		if m.bytes += int64(len(w.Value) - len(old)); !replaced {
			m.bytes += int64(len(w.Key))
		}
	}
	if len(batch) > 0 && m.published.Load() != nil {
		m.published.Store(m.tree.Copy())
	}
	return nil
}

// Reader is engine.Concurrent's. From the first one on each Apply publishes a
// copy of the tree that shares all nodes but those which are written to next.
func (m *Engine) Reader() engine.Reader {
	if m.published.Load() == nil {
		m.published.Store(m.tree.Copy())
	}
	return reader{m}
}

// reader reads what is published: a tree that nobody changes.
type reader struct{ m *Engine }

func (r reader) Get(dst []byte, key string) ([]byte, bool, error) {
	v, ok := r.m.published.Load().Get(key)
	if !ok {
		return dst, false, nil
	}
	return append(dst, v...), true, nil
}

// Len is the number of entries.
func (r reader) Len() int { return r.m.published.Load().Len() }

func (r reader) Range(from, to string) engine.Iterator {
	return &iterator{it: r.m.published.Load().Iter(), from: from, to: to}
}

func (r reader) Snapshot() engine.Snapshot { return &snapshot{r.m.published.Load()} }

// Size is the bytes of all keys and values; memory is about twice that.
func (m *Engine) Size() int64 { return m.bytes }

// Mark is engine.Engine's.
func (m *Engine) Mark() ([]byte, error) { return m.mark, nil }

// Len is the number of entries.
func (m *Engine) Len() int { return m.tree.Len() }

// Range is engine.Engine's.
func (m *Engine) Range(from, to string) engine.Iterator {
	return &iterator{it: m.tree.Copy().Iter(), from: from, to: to}
}

// Snapshot is engine.Engine's.
func (m *Engine) Snapshot() engine.Snapshot { return &snapshot{m.tree.Copy()} }

// snapshot is a copy of the tree that shares its nodes and is only read.
type snapshot struct{ tree *btree.Map[string, string] }

// Range is engine.Snapshot's.
func (s *snapshot) Range(from, to string) engine.Iterator {
	return &iterator{it: s.tree.Iter(), from: from, to: to}
}

// Close is engine.Snapshot's.
func (s *snapshot) Close() error { return nil }

// Close is engine.Engine's.
func (m *Engine) Close() error {
	m.tree.Clear()
	return nil
}

type iterator struct {
	it       btree.MapIter[string, string]
	from, to string
	started  bool
	done     bool
}

func (i *iterator) Next() bool {
	if i.done {
		return false
	}
	more := false
	if i.started {
		more = i.it.Next()
	} else {
		i.started = true
		more = i.it.Seek(i.from)
	}
	i.done = !more || i.to != "" && i.it.Key() >= i.to
	return !i.done
}

func (i *iterator) Key() string { return i.it.Key() }

func (i *iterator) Value() []byte { return bytesOf(i.it.Value()) }

func (i *iterator) Err() error { return nil }

func (i *iterator) Close() error {
	*i = iterator{done: true}
	return nil
}

// bytesOf is s as bytes that nobody may change. It is never nil.
func bytesOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
