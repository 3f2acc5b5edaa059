package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
)

// piece holds records in memory until they are sorted: one after the other, and
// where each begins. A record is the length of its key, that of its value plus
// one (zero: a deletion), the key and the value. Keys are those of the
// database, with the byte in front.
type piece struct {
	bytes   []byte
	starts  []uint32
	shared  int // so many bytes at the front are the same in all keys
	first   []byte
	refs    []sortRef
	aux     []sortRef
	reading int
}

// sortRef is a record, or a write of a batch, with the eight bytes of its key that
// follow those that all keys share: they decide most comparisons without
// touching the key.
type sortRef struct {
	head  uint64
	start uint32 // where the record begins; the place in the batch
}

// pieces are those that no load needs now: the next load takes their memory, which
// is large, instead of asking for more before the collector has found it.
var pieces sync.Pool

// takePiece gives an empty piece with room for so many bytes.
func takePiece(bytes int) *piece {
	if p, ok := pieces.Get().(*piece); ok && cap(p.bytes) >= bytes {
		return p
	}
	return &piece{bytes: make([]byte, 0, bytes)}
}

// givePiece keeps a piece for the next load.
func givePiece(p *piece) {
	if cap(p.bytes) > 0 {
		p.reset()
		pieces.Put(p)
	}
}

// recordOverhead is what the lengths of a record take at most.
const recordOverhead = 2*binary.MaxVarintLen32 + 1

// full tells whether a record of so many bytes does not fit. A record that is
// larger than the limit has a piece of its own.
func (p *piece) full(n, maxBytes, maxRecords int) bool {
	return len(p.starts) > 0 && (len(p.bytes)+n+recordOverhead > maxBytes || len(p.starts) >= maxRecords)
}

var errTooLarge = errors.New("a record of more than 1 GiB cannot be stored")

func (p *piece) add(key, value []byte) error {
	if len(key)+len(value) > math.MaxInt32/2 {
		return errTooLarge
	}
	start := len(p.bytes)
	p.starts = append(p.starts, uint32(start))
	b := binary.AppendUvarint(p.bytes, uint64(len(key)+1))
	if value == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(value)+1))
	}
	at := len(b)
	b = append(b, userByte)
	b = append(b, key...)
	p.bytes = append(b, value...)
	if start == 0 {
		p.first = append(p.first[:0], p.bytes[at:at+1+len(key)]...)
		p.shared = len(p.first)
		return nil
	}
	if k := p.bytes[at : at+1+len(key)]; len(k) < p.shared || !bytes.Equal(k[:p.shared], p.first[:p.shared]) {
		p.shared = sharedPrefix(k, p.first[:p.shared])
	}
	return nil
}

// reset makes room for the next records in the same memory.
func (p *piece) reset() {
	p.bytes, p.starts, p.refs = p.bytes[:0], p.starts[:0], p.refs[:0]
	p.reading, p.shared = 0, 0
}

// sorted puts the records into the order of their keys and returns them as a
// source. The order of the records of one key stays.
func (p *piece) sorted() *piece {
	p.refs = slices.Grow(p.refs[:0], len(p.starts))
	ordered := true
	for _, start := range p.starts {
		key, _, _ := p.at(start)
		r := sortRef{head: headOf(key[p.shared:]), start: start}
		ordered = ordered && (len(p.refs) == 0 || p.refs[len(p.refs)-1].head < r.head)
		p.refs = append(p.refs, r)
	}
	p.reading = 0
	if ordered {
		return p
	}
	p.aux = slices.Grow(p.aux[:0], len(p.refs))[:len(p.refs)]
	sortByHead(p.refs, p.aux, p.sortTies)
	return p
}

// sortByHead sorts by the heads, and lets sortTies decide between those that have
// the same one; they come to it in the order in which they were. aux is as long as
// refs.
func sortByHead(refs, aux []sortRef, sortTies func([]sortRef)) {
	radixSort(refs, aux)
	for i := 0; i < len(refs); {
		j := i + 1
		for j < len(refs) && refs[j].head == refs[i].head {
			j++
		}
		if j-i > 1 {
			sortTies(refs[i:j])
		}
		i = j
	}
}

func (p *piece) sortTies(refs []sortRef) {
	slices.SortFunc(refs, func(a, b sortRef) int {
		ka, _, _ := p.at(a.start)
		kb, _, _ := p.at(b.start)
		if c := bytes.Compare(ka, kb); c != 0 {
			return c
		}
		return cmp.Compare(a.start, b.start)
	})
}

// at is the record that begins at start; a nil value is a deletion.
func (p *piece) at(start uint32) (key, value []byte, end int) {
	b := p.bytes[start:]
	k, n := binary.Uvarint(b)
	v, m := binary.Uvarint(b[n:])
	at := n + m
	keyEnd := at + int(k)
	key = b[at:keyEnd:keyEnd]
	if v == 0 {
		return key, nil, int(start) + keyEnd
	}
	valueEnd := keyEnd + int(v) - 1
	return key, b[keyEnd:valueEnd:valueEnd], int(start) + valueEnd
}

// next is source's: of the records of one key the last one.
func (p *piece) next() (key, value []byte, ok bool, err error) {
	if p.reading >= len(p.refs) {
		return nil, nil, false, nil
	}
	r := p.refs[p.reading]
	p.reading++
	key, value, _ = p.at(r.start)
	for p.reading < len(p.refs) && p.refs[p.reading].head == r.head {
		k, v, _ := p.at(p.refs[p.reading].start)
		if !bytes.Equal(k, key) {
			break
		}
		key, value = k, v
		p.reading++
	}
	return key, value, true, nil
}

// sharedPrefix is how many bytes a and b have in common at the front.
func sharedPrefix[K string | []byte](a, b K) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// radixSort sorts by head and keeps the order of what is equal, in time linear
// to the number of bytes in which the heads differ.
func radixSort(refs, aux []sortRef) {
	var counts [8][256]uint32
	for _, r := range refs {
		h := r.head
		for b := range counts {
			counts[b][byte(h>>(8*b))]++
		}
	}
	from, to := refs, aux
	for b := range counts {
		c := &counts[b]
		if c[byte(from[0].head>>(8*b))] == uint32(len(from)) {
			continue
		}
		var sum uint32
		for i, n := range c {
			c[i] = sum
			sum += n
		}
		shift := 8 * b
		for _, r := range from {
			d := byte(r.head >> shift)
			to[c[d]] = r
			c[d]++
		}
		from, to = to, from
	}
	if len(from) > 0 && &from[0] != &refs[0] {
		copy(refs, from)
	}
}
