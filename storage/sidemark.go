package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"heddle/system"
)

// sidePlace is how far one partition of a side input has been read.
type sidePlace struct {
	partition system.Partition
	// next is the offset of the first message that is not in the store.
	next int64
	// at is a time before which no message from next on was written, in ms; the
	// zero time if unknown.
	at time.Time
	// topic is the stream's id; zero if unknown.
	topic system.TopicID
}

// The encoding of a mark of side inputs: a version of its own (no Mark has it),
// the number of places, and for each its system, stream, partition, next and at;
// in the later version the stream's id as well. Without any id the earlier one is
// written.
const (
	sideMarkVersion    = 2
	sideMarkWithTopics = 3
	// maxPlaces and maxPlaceName bound what is believed of a mark.
	maxPlaces    = 1 << 20
	maxPlaceName = 1 << 10
)

// appendSideMark appends the mark's bytes. The places need not be sorted; equal
// ones give equal bytes.
func appendSideMark(dst []byte, places []sidePlace) []byte {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b sidePlace) int {
		return cmpPartitions(a.partition, b.partition)
	})
	version := byte(sideMarkVersion)
	if slices.ContainsFunc(places, func(p sidePlace) bool { return p.topic != (system.TopicID{}) }) {
		version = sideMarkWithTopics
	}
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(len(places)))
	for _, p := range places {
		for _, name := range []string{p.partition.System, p.partition.Stream} {
			dst = binary.AppendUvarint(dst, uint64(len(name)))
			dst = append(dst, name...)
		}
		dst = binary.AppendUvarint(dst, uint64(max(p.partition.Partition, 0)))
		dst = binary.AppendUvarint(dst, uint64(max(p.next, 0)))
		var at int64
		if !p.at.IsZero() {
			at = p.at.UnixMilli()
		}
		dst = binary.AppendVarint(dst, at)
		if version == sideMarkWithTopics {
			dst = append(dst, p.topic[:]...)
		}
	}
	return dst
}

func cmpPartitions(a, b system.Partition) int {
	if c := strings.Compare(a.System, b.System); c != 0 {
		return c
	}
	if c := strings.Compare(a.Stream, b.Stream); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

var errSideMark = errors.New("it is none of side inputs, or damaged")

// parseSideMark reads what appendSideMark wrote.
func parseSideMark(b []byte) ([]sidePlace, error) {
	fail := func() ([]sidePlace, error) { return nil, fmt.Errorf("mark %.40x: %w", b, errSideMark) }
	if len(b) < 2 || b[0] != sideMarkVersion && b[0] != sideMarkWithTopics {
		return fail()
	}
	rest, good := b[1:], true
	number := func(limit uint64) uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > limit {
			good, rest = false, nil
			return 0
		}
		rest = rest[n:]
		return v
	}
	text := func() string {
		n := int(number(maxPlaceName))
		if n > len(rest) {
			good, rest = false, nil
			return ""
		}
		s := string(rest[:n])
		rest = rest[n:]
		return s
	}
	var out []sidePlace
	for count := number(maxPlaces); count > 0 && good; count-- {
		p := sidePlace{partition: system.Partition{System: text(), Stream: text()}}
		p.partition.Partition = int32(number(math.MaxInt32))
		p.next = int64(number(math.MaxInt64))
		at, n := binary.Varint(rest)
		if n <= 0 {
			return fail()
		}
		rest = rest[n:]
		if at != 0 {
			p.at = time.UnixMilli(at).UTC()
		}
		if b[0] == sideMarkWithTopics {
			if len(rest) < len(p.topic) {
				return fail()
			}
			rest = rest[copy(p.topic[:], rest):]
		}
		out = append(out, p)
	}
	if !good || len(rest) > 0 {
		return fail()
	}
	return out, nil
}
