package pebble

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mergeMemory is what the buffers of a merge take together.
const (
	mergeMemory   = 12 << 20
	minReadBuffer = 64 << 10
	maxReadBuffer = 512 << 10
)

// merger gives the records of several sources in the order of their keys; of
// the records of one key that of the last source. The sources are the leaves
// of a tree in which each inner node holds the one of two that loses, so that
// the next record costs one comparison a level.
type merger struct {
	leaves  []leaf
	losers  []int32 // [0] is the winner
	files   []*reader
	shared  int    // so many bytes at the front are the same in all keys
	given   []byte // the key that was given last
	started bool
}

type leaf struct {
	src   source
	key   []byte
	value []byte
	head  uint64 // the eight bytes of the key after the shared ones
	done  bool
}

// openRuns merges the runs, and the piece that comes after them unless it is
// nil.
func openRuns(fsys vfs.FS, runs []run, last *piece) (*merger, error) {
	m := &merger{}
	buffer := maxReadBuffer
	if len(runs) > 0 {
		buffer = min(max(mergeMemory/len(runs), minReadBuffer), maxReadBuffer)
	}
	var bounds [][]byte
	for _, r := range runs {
		f, err := openRun(fsys, r, buffer)
		if err != nil {
			return nil, errors.Join(err, m.close())
		}
		m.files = append(m.files, f)
		m.leaves = append(m.leaves, leaf{src: f})
		bounds = append(bounds, r.first, r.last)
	}
	if last != nil && len(last.refs) > 0 {
		m.leaves = append(m.leaves, leaf{src: last})
		bounds = append(bounds, last.first[:last.shared])
	}
	for i, b := range bounds {
		if i == 0 {
			m.shared = len(b)
			continue
		}
		m.shared = min(m.shared, sharedPrefix(b, bounds[0]))
	}
	return m, nil
}

func (m *merger) close() error {
	var errs []error
	for _, f := range m.files {
		errs = append(errs, f.close())
	}
	m.files = nil
	return errors.Join(errs...)
}

// next is source's.
func (m *merger) next() (key, value []byte, ok bool, err error) {
	if !m.started {
		if err := m.start(); err != nil {
			return nil, nil, false, err
		}
	} else if err := m.step(); err != nil {
		return nil, nil, false, err
	}
	if len(m.leaves) == 0 {
		return nil, nil, false, nil
	}
	w := &m.leaves[m.losers[0]]
	if w.done {
		return nil, nil, false, nil
	}
	return w.key, w.value, true, nil
}

func (m *merger) advance(i int32) error {
	l := &m.leaves[i]
	key, value, ok, err := l.src.next()
	if err != nil {
		return err
	}
	if !ok {
		l.key, l.value, l.done = nil, nil, true
		return nil
	}
	l.key, l.value, l.head = key, value, headOf(key[m.shared:])
	return nil
}

// start plays the first round: the tree over n leaves has the inner nodes 1 to
// n-1, and leaf i hangs below node (n+i)/2.
func (m *merger) start() error {
	m.started = true
	n := len(m.leaves)
	if n == 0 {
		return nil
	}
	for i := range m.leaves {
		if err := m.advance(int32(i)); err != nil {
			return err
		}
	}
	m.losers = make([]int32, n)
	winners := make([]int32, 2*n)
	for i := range n {
		winners[n+i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		a, b := winners[2*i], winners[2*i+1]
		if !m.before(a, b) {
			a, b = b, a
		}
		winners[i], m.losers[i] = a, b
	}
	m.losers[0] = winners[1]
	if n == 1 {
		m.losers[0] = 0
	}
	return nil
}

// step passes over the winner and the older records of its key, which win next:
// of equal keys that of the later source comes first.
func (m *merger) step() error {
	if len(m.leaves) == 0 {
		return nil
	}
	w := m.losers[0]
	if m.leaves[w].done {
		return nil
	}
	if len(m.leaves) == 1 {
		return m.advance(w)
	}
	head := m.leaves[w].head
	m.given = append(m.given[:0], m.leaves[w].key...)
	for at := w; ; at = m.losers[0] {
		if err := m.advance(at); err != nil {
			return err
		}
		m.replay(at)
		next := &m.leaves[m.losers[0]]
		// A source gives each key once.
		if m.losers[0] == w || next.done || next.head != head || !bytes.Equal(next.key, m.given) {
			return nil
		}
	}
}

// replay lets a leaf whose record was replaced play against the losers on its
// way to the top.
func (m *merger) replay(w int32) {
	for node := (len(m.leaves) + int(w)) / 2; node > 0; node /= 2 {
		if m.before(m.losers[node], w) {
			w, m.losers[node] = m.losers[node], w
		}
	}
	m.losers[0] = w
}

// before tells whether the record of leaf a comes before that of b.
func (m *merger) before(a, b int32) bool {
	x, y := &m.leaves[a], &m.leaves[b]
	switch {
	case x.done || y.done:
		return y.done && (!x.done || a > b)
	case x.head != y.head:
		return x.head < y.head
	}
	if c := bytes.Compare(x.key, y.key); c != 0 {
		return c < 0
	}
	return a > b
}
