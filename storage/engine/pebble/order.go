package pebble

import (
	"encoding/binary"
	"slices"
	"strings"

	"heddle/storage/engine"
)

// order puts the writes of a batch into the order of their keys, each key once.
// It keeps its memory for the next batch.
type order struct {
	refs []ref
	out  []int32
}

// ref is a write of a batch with the first bytes of its key, which decide most
// comparisons without touching the key.
type ref struct {
	head  uint64
	index int32
}

// of returns the indices of the batch's writes by key; of the writes of one key
// the last one only. What it returns is valid until the next call.
func (o *order) of(batch []engine.Write) []int32 {
	o.refs, o.out = slices.Grow(o.refs[:0], len(batch)), slices.Grow(o.out[:0], len(batch))
	sorted := true
	for i := range batch {
		sorted = sorted && (i == 0 || batch[i-1].Key < batch[i].Key)
		if !sorted {
			break
		}
		o.out = append(o.out, int32(i))
	}
	if sorted {
		return o.out
	}
	o.out = o.out[:0]
	for i := range batch {
		o.refs = append(o.refs, ref{head: headOf(batch[i].Key), index: int32(i)})
	}
	slices.SortFunc(o.refs, func(a, b ref) int {
		switch {
		case a.head < b.head:
			return -1
		case a.head > b.head:
			return 1
		}
		if c := strings.Compare(batch[a.index].Key, batch[b.index].Key); c != 0 {
			return c
		}
		return int(a.index - b.index)
	})
	for i, r := range o.refs {
		if i+1 < len(o.refs) && o.refs[i+1].head == r.head && batch[o.refs[i+1].index].Key == batch[r.index].Key {
			continue
		}
		o.out = append(o.out, r.index)
	}
	return o.out
}

// headOf is the first eight bytes of a key as a number of the same order; a
// shorter key is filled up with zeros.
func headOf[K string | []byte](key K) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}
