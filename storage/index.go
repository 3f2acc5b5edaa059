package storage

import "hash/maphash"

// index finds where the entry of a key is in some list by the hash of the key. It
// holds neither keys nor pointers: eight bytes for an entry, next to each other for
// the entries of one hash. Most look-ups are of keys that are not there, and cost one
// look into memory; a map costs several, and one more for each key that it compares.
//
// It is a table with linear probing.
type index struct {
	// slots hold the hash above, and below the place plus one; 0: free.
	slots []uint64
	used  int
}

// seedOfIndexes is the process's.
var seedOfIndexes = maphash.MakeSeed()

// hashOf is the hash of a key as an index takes it.
func hashOf(key string) uint32 { return uint32(maphash.String(seedOfIndexes, key)) }

const leastSlots = 16

// first is the slot with which a search begins.
func (x *index) first(hash uint32) int { return int(hash) & (len(x.slots) - 1) }

// next is the slot after another.
func (x *index) next(slot int) int { return (slot + 1) & (len(x.slots) - 1) }

// find gives the place of a hash that is the one, -1 if there is none. Whose key it
// is that lies there is the caller's to compare.
func (x *index) find(hash uint32, isIt func(at int) bool) int {
	if x.used == 0 {
		return -1
	}
	for i := x.first(hash); ; i = x.next(i) {
		s := x.slots[i]
		if s == 0 {
			return -1
		}
		if uint32(s>>32) == hash {
			if at := int(uint32(s)) - 1; isIt(at) {
				return at
			}
		}
	}
}

// add puts in a place.
func (x *index) add(hash uint32, at int) {
	if x.used >= len(x.slots)/4*3 {
		x.grow()
	}
	x.used++
	x.put(uint64(hash)<<32 | uint64(at+1))
}

func (x *index) put(s uint64) {
	i := x.first(uint32(s >> 32))
	for x.slots[i] != 0 {
		i = x.next(i)
	}
	x.slots[i] = s
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, max(2*len(old), leastSlots))
	for _, s := range old {
		if s != 0 {
			x.put(s)
		}
	}
}

// remove takes out a place that is there. What follows without a gap moves up, unless
// its search begins behind the hole.
func (x *index) remove(hash uint32, at int) {
	mask := len(x.slots) - 1
	hole := x.first(hash)
	for x.slots[hole] != uint64(hash)<<32|uint64(at+1) {
		hole = x.next(hole)
	}
	for i := x.next(hole); x.slots[i] != 0; i = x.next(i) {
		home := x.first(uint32(x.slots[i] >> 32))
		if (i-home)&mask >= (i-hole)&mask {
			x.slots[hole], hole = x.slots[i], i
		}
	}
	x.slots[hole] = 0
	x.used--
}

// clear takes out everything and keeps the memory.
func (x *index) clear() {
	clear(x.slots)
	x.used = 0
}
