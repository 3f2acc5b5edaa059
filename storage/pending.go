package storage

import (
	"github.com/tidwall/btree"

	"heddle/storage/engine"
)

// pending holds what was written since the last commit over the engine, which
// holds the committed state alone. It looks like an engine with both; Apply
// with a mark is the commit.
type pending struct {
	engine.Engine

	// writes has one write for each key, in the order of their first write, and
	// index its place.
	writes []engine.Write
	index  index
	// ordered is the same in order. It is made when a range is first asked for
	// after a commit: a store that is only asked for keys does not pay for it.
	ordered *btree.Map[string, []byte]
	bytes   int64

	// soft is the size above which a commit is asked for, hard that above which
	// what is pending is spilled; 0: never.
	soft, hard int64
	// need asks for a commit; it is called once between two commits.
	need  func()
	asked bool
	// between is the mark of what is spilled; nil for stores whose engine has no
	// use for marks.
	between []byte
	// spilled: the engine holds more than the committed state.
	spilled bool
	spills  int64
}

const (
	// pendingOverhead is about what a pending write takes besides its key and
	// value.
	pendingOverhead = 96
	// spillFactor times the size at which a commit is asked for may become
	// pending until that commit.
	spillFactor = 4
	// keepIndex is the size above which the index is made anew for the next
	// commit, so that one large commit does not hold its memory for good.
	keepIndex = 1 << 16
)

func newPending(e engine.Engine) *pending {
	return &pending{Engine: e}
}

// Get is engine.Engine's.
func (p *pending) Get(dst []byte, key string) ([]byte, bool, error) {
	if i, _ := p.find(key); i >= 0 {
		v := p.writes[i].Value
		if v == nil {
			return dst, false, nil
		}
		return append(dst, v...), true, nil
	}
	return p.Engine.Get(dst, key)
}

// find gives the place of a key's write; -1 if there is none. hash is the key's.
func (p *pending) find(key string) (i int, hash uint32) {
	hash = hashOf(key)
	return p.index.find(hash, func(at int) bool { return p.writes[at].Key == key }), hash
}

// Apply is engine.Engine's, but that it keeps values, too. With a mark all
// that is pending goes to the engine, in one batch.
func (p *pending) Apply(batch []engine.Write, mark []byte) error {
	for _, w := range batch {
		p.put(w)
	}
	if mark != nil {
		return p.commit(mark)
	}
	if p.soft > 0 && p.bytes > p.soft && !p.asked && p.need != nil {
		p.asked = true
		p.need()
	}
	if p.hard > 0 && p.bytes > p.hard {
		return p.spill()
	}
	return nil
}

func (p *pending) put(w engine.Write) {
	if p.ordered != nil {
		p.ordered.Set(w.Key, w.Value)
	}
	i, hash := p.find(w.Key)
	if i >= 0 {
		p.bytes += int64(len(w.Value) - len(p.writes[i].Value))
		p.writes[i].Value = w.Value
		return
	}
	p.index.add(hash, len(p.writes))
	p.writes = append(p.writes, w)
	p.bytes += int64(len(w.Key)+len(w.Value)) + pendingOverhead
}

// commit makes what is pending part of the committed state.
func (p *pending) commit(mark []byte) error {
	if err := p.Engine.Apply(p.writes, mark); err != nil {
		return err
	}
	p.clear()
	p.asked, p.spilled = false, false
	return nil
}

// spill hands what is pending to the engine before the commit. If the process
// ends before that, the engine's state is of no use.
func (p *pending) spill() error {
	if err := p.Engine.Apply(p.writes, p.between); err != nil {
		return err
	}
	p.clear()
	p.spilled = true
	p.spills++
	return nil
}

func (p *pending) clear() {
	if len(p.writes) > keepIndex {
		p.writes, p.index = nil, index{}
	} else {
		clear(p.writes)
		p.writes = p.writes[:0]
		p.index.clear()
	}
	p.ordered = nil
	p.bytes = 0
}

// Range is engine.Engine's.
func (p *pending) Range(from, to string) engine.Iterator {
	under := p.Engine.Range(from, to)
	if len(p.writes) == 0 {
		return under
	}
	return merge(under, p.copy(), from, to)
}

// copy is what is pending, in order, and does not change any more.
func (p *pending) copy() *btree.Map[string, []byte] {
	if p.ordered == nil {
		p.ordered = &btree.Map[string, []byte]{}
		for _, w := range p.writes {
			p.ordered.Set(w.Key, w.Value)
		}
	}
	return p.ordered.Copy()
}

// Snapshot is engine.Engine's.
func (p *pending) Snapshot() engine.Snapshot {
	under := p.Engine.Snapshot()
	if len(p.writes) == 0 {
		return under
	}
	return pendingSnapshot{under, p.copy()}
}

type pendingSnapshot struct {
	engine.Snapshot
	over *btree.Map[string, []byte]
}

// Range is engine.Snapshot's.
func (s pendingSnapshot) Range(from, to string) engine.Iterator {
	return merge(s.Snapshot.Range(from, to), s.over, from, to)
}

// merge walks over under with what lies over it.
func merge(under engine.Iterator, over *btree.Map[string, []byte], from, to string) engine.Iterator {
	m := &merged{under: under, over: over.Iter(), to: to}
	m.overOK = m.overAt(m.over.Seek(from))
	if !m.overOK {
		return under
	}
	m.nextUnder()
	return m
}

// merged walks over two ranges in order; of the same key it gives the one
// above. It holds neither in memory: the upper is a copy that shares its nodes.
type merged struct {
	under           engine.Iterator
	over            btree.MapIter[string, []byte]
	to              string
	underOK, overOK bool
	// atUnder and atOver say where the current entry lies; both are passed by
	// the next Next.
	atUnder, atOver bool
}

func (m *merged) overAt(more bool) bool {
	return more && (m.to == "" || m.over.Key() < m.to)
}

func (m *merged) nextUnder() { m.underOK = m.under.Next() }
func (m *merged) nextOver()  { m.overOK = m.overAt(m.over.Next()) }

func (m *merged) Next() bool {
	for {
		if m.atUnder {
			m.nextUnder()
		}
		if m.atOver {
			m.nextOver()
		}
		m.atUnder, m.atOver = false, false
		if !m.underOK && m.under.Err() != nil {
			return false
		}
		switch {
		case m.underOK && m.overOK:
			u, o := m.under.Key(), m.over.Key()
			m.atUnder, m.atOver = u <= o, o <= u
		case m.underOK:
			m.atUnder = true
		case m.overOK:
			m.atOver = true
		default:
			return false
		}
		if !m.atOver || m.over.Value() != nil {
			return true
		}
		// It was deleted above.
	}
}

func (m *merged) Key() string {
	if m.atOver {
		return m.over.Key()
	}
	return m.under.Key()
}

func (m *merged) Value() []byte {
	if m.atOver {
		return m.over.Value()
	}
	return m.under.Value()
}

func (m *merged) Err() error { return m.under.Err() }

func (m *merged) Close() error {
	m.over, m.overOK, m.atOver = btree.MapIter[string, []byte]{}, false, false
	m.underOK, m.atUnder = false, false
	return m.under.Close()
}
