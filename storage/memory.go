package storage

import (
	"unsafe"

	"github.com/tidwall/btree"
)

// inMemory is an Engine that holds everything in a B-tree. A range works on a
// copy that shares all nodes; a node is copied when it is first written to
// after that.
type inMemory struct {
	tree btree.Map[string, string]
}

func newMemory() *inMemory { return &inMemory{} }

func (m *inMemory) Get(dst []byte, key string) ([]byte, bool, error) {
	v, ok := m.tree.Get(key)
	if !ok {
		return dst, false, nil
	}
	return append(dst, v...), true, nil
}

func (m *inMemory) Apply(batch []Write) error {
	for _, w := range batch {
		if w.Value == nil {
			m.tree.Delete(w.Key)
		} else {
			m.tree.Set(w.Key, string(w.Value))
		}
	}
	return nil
}

func (m *inMemory) Range(from, to string) Iterator {
	return &inMemoryIterator{it: m.tree.Copy().Iter(), from: from, to: to}
}

func (m *inMemory) Close() error {
	m.tree.Clear()
	return nil
}

type inMemoryIterator struct {
	it       btree.MapIter[string, string]
	from, to string
	started  bool
	done     bool
}

func (i *inMemoryIterator) Next() bool {
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

func (i *inMemoryIterator) Key() string { return i.it.Key() }

func (i *inMemoryIterator) Value() []byte { return bytesOf(i.it.Value()) }

func (i *inMemoryIterator) Err() error { return nil }

func (i *inMemoryIterator) Close() error {
	*i = inMemoryIterator{done: true}
	return nil
}

// bytesOf is s as bytes that nobody may change. It is never nil.
func bytesOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// textOf is b as a string, for as long as nobody changes b.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
