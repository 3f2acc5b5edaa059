package pebble

import (
	"encoding/binary"
	"hash/maphash"
)

// rows is a cache of single entries before the tables. A block of a table holds
// a hundred small entries, and finding one of them costs a search in each
// memtable, in each file that may have it, and in the block; here it is one
// look-up. It holds what was read or written last, in as many bytes as it may.
//
// Entries lie one after the other in chunks, which are used again in turn, so
// that what was put in first goes first. A slot of the table says where an entry
// lies; one whose entry is gone is free. There are no pointers in it, and
// nothing in it grows before it is used.
type rows struct {
	slots  []uint64 // buckets of eight: 16 bits of the hash, 48 bits position plus one
	used   int      // slots that were taken since the table was made
	chunks [][]byte
	limit  int    // of chunks
	head   uint64 // position behind the newest entry; never goes back
	most   int    // slots
	seed   maphash.Seed
}

const (
	rowChunk   = 64 << 10
	rowHeader  = 4
	rowLargest = 4 << 10 // larger entries gain little
	bucket     = 8
	firstSlots = 1 << 10
	posBits    = 48
	posMask    = 1<<posBits - 1
	// leastRows is the size below which there is no such cache.
	leastRows = 3 * rowChunk
)

// newRows makes a cache of so many bytes; nil if that is too little to be of use.
func newRows(bytes int64) *rows {
	if bytes < leastRows {
		return nil
	}
	r := &rows{seed: maphash.MakeSeed(), most: firstSlots}
	// A slot takes eight bytes, a small entry about thirty.
	for int64(r.most)*2*8 <= bytes/3 {
		r.most *= 2
	}
	r.limit = max(int((bytes-int64(r.most)*8)/rowChunk), 2)
	return r
}

// clear forgets everything.
func (r *rows) clear() {
	if r != nil {
		r.slots, r.used, r.chunks, r.head = nil, 0, nil, 0
	}
}

// tail is the position of the oldest entry that is still there.
func (r *rows) tail() uint64 {
	at := r.head / rowChunk
	if at < uint64(r.limit) {
		return 0
	}
	return (at - uint64(r.limit) + 1) * rowChunk
}

// at gives the entry at a position.
func (r *rows) at(pos uint64) (key, value []byte) {
	b := r.chunks[pos/rowChunk%uint64(r.limit)][pos%rowChunk:]
	k := int(binary.LittleEndian.Uint16(b))
	v := int(binary.LittleEndian.Uint16(b[2:]))
	b = b[rowHeader:]
	return b[:k:k], b[k : k+v : k+v]
}

// find gives the slot of a key.
func (r *rows) find(hash uint64, key string) (slot int, value []byte, ok bool) {
	if len(r.slots) == 0 {
		return 0, nil, false
	}
	first := int(hash%uint64(len(r.slots)/bucket)) * bucket
	tag, tail := hash>>posBits, r.tail()
	for i := first; i < first+bucket; i++ {
		s := r.slots[i]
		if s>>posBits != tag || s&posMask == 0 {
			continue
		}
		pos := s&posMask - 1
		if pos < tail {
			continue
		}
		if k, v := r.at(pos); string(k) == key {
			return i, v, true
		}
	}
	return 0, nil, false
}

// get gives the value of a key, valid until the next put.
func (r *rows) get(key string) (value []byte, ok bool) {
	if r == nil {
		return nil, false
	}
	_, value, ok = r.find(maphash.String(r.seed, key), key)
	return value, ok
}

// put keeps the value of a key, in place of the one that it has.
func (r *rows) put(key string, value []byte) {
	if r == nil {
		return
	}
	n := rowHeader + len(key) + len(value)
	if n > rowLargest {
		r.remove(key)
		return
	}
	hash := maphash.String(r.seed, key)
	slot, old, ok := r.find(hash, key)
	if ok && len(old) == len(value) {
		copy(old, value)
		return
	}
	pos := r.room(n)
	b := r.chunks[pos/rowChunk%uint64(r.limit)][pos%rowChunk:]
	binary.LittleEndian.PutUint16(b, uint16(len(key)))
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)))
	copy(b[rowHeader:], key)
	copy(b[rowHeader+len(key):], value)
	if ok {
		r.slots[slot] = hash>>posBits<<posBits | pos + 1
		return
	}
	r.enter(hash, pos)
}

// room gives the position for so many bytes.
func (r *rows) room(n int) uint64 {
	if left := rowChunk - r.head%rowChunk; uint64(n) > left {
		r.head += left
	}
	if r.head%rowChunk == 0 && int(r.head/rowChunk) == len(r.chunks) && len(r.chunks) < r.limit {
		r.chunks = append(r.chunks, make([]byte, rowChunk))
	}
	pos := r.head
	r.head += uint64(n)
	return pos
}

// enter takes a slot for an entry that has none: a free one, or that of the
// oldest entry of the bucket.
func (r *rows) enter(hash, pos uint64) {
	// When half of the slots are taken, one bucket in fifty is full; at three
	// quarters it would be one in seven, and their oldest entries would go before
	// their time.
	if r.used >= len(r.slots)/2 && len(r.slots) < r.most {
		r.grow()
	}
	first := int(hash%uint64(len(r.slots)/bucket)) * bucket
	slot, oldest, tail := first, uint64(posMask), r.tail()
	for i := first; i < first+bucket; i++ {
		p := r.slots[i] & posMask
		if p <= tail { // with the one that positions are more: it is free or gone
			if p == 0 {
				r.used++
			}
			slot = i
			break
		}
		if p < oldest {
			slot, oldest = i, p
		}
	}
	r.slots[slot] = hash>>posBits<<posBits | pos + 1
}

// grow makes the table twice as large.
func (r *rows) grow() {
	old := r.slots
	r.slots, r.used = make([]uint64, max(2*len(old), firstSlots)), 0
	tail := r.tail()
	for _, s := range old {
		if p := s & posMask; p > tail {
			key, _ := r.at(p - 1)
			r.enter(maphash.Bytes(r.seed, key), p-1)
		}
	}
}

// remove forgets a key.
func (r *rows) remove(key string) {
	if r == nil {
		return
	}
	if slot, _, ok := r.find(maphash.String(r.seed, key), key); ok {
		r.slots[slot] = 0
		r.used--
	}
}
