package pebble

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"heddle/storage/engine"
)

// order puts the writes of a batch into the order of their keys, each key once.
type order struct {
	refs, aux []sortRef
	out       []uint32
}

// orders are those that no batch needs now: all engines of the process share
// their memory, for it is a batch's size and needed for a moment only.
var orders = sync.Pool{New: func() any { return &order{} }}

// fewWrites is the number of writes up to which comparing is faster than
// counting.
const fewWrites = 128

// of returns the indices of the batch's writes by key; of the writes of one key
// the last one only. What it returns is valid until the next call.
func (o *order) of(batch []engine.Write) []uint32 {
	o.out = slices.Grow(o.out[:0], len(batch))
	if len(batch) == 0 {
		return o.out
	}
	first := batch[0].Key
	shared, sorted := len(first), true
	for i := range batch {
		k := batch[i].Key
		if len(k) < shared || k[:shared] != first[:shared] {
			shared = sharedPrefix(k, first[:shared])
		}
		if sorted {
			sorted = i == 0 || batch[i-1].Key < k
			o.out = append(o.out, uint32(i))
		}
	}
	if sorted {
		return o.out
	}
	o.out, o.refs = o.out[:0], slices.Grow(o.refs[:0], len(batch))
	for i := range batch {
		o.refs = append(o.refs, sortRef{head: headOf(batch[i].Key[shared:]), start: uint32(i)})
	}
	if len(batch) <= fewWrites {
		sortWrites(batch, o.refs)
	} else {
		o.aux = slices.Grow(o.aux[:0], len(o.refs))[:len(o.refs)]
		sortByHead(o.refs, o.aux, func(ties []sortRef) { sortWrites(batch, ties) })
	}
	for i, r := range o.refs {
		if i+1 < len(o.refs) && o.refs[i+1].head == r.head && batch[o.refs[i+1].start].Key == batch[r.start].Key {
			continue
		}
		o.out = append(o.out, r.start)
	}
	return o.out
}

// sortWrites sorts by key, and writes of one key by their place in the batch.
func sortWrites(batch []engine.Write, refs []sortRef) {
	slices.SortFunc(refs, func(a, b sortRef) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		if c := strings.Compare(batch[a.start].Key, batch[b.start].Key); c != 0 {
			return c
		}
		return cmp.Compare(a.start, b.start)
	})
}

// headOf is the first eight bytes of a key as a number of the same order; a
// shorter key is filled up with zeros.
func headOf[K string | []byte](key K) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}
