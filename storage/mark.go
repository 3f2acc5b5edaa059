package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"heddle/system"
)

// NoOffset is the offset of a state to which no record of the changelog
// belongs: the empty one.
const NoOffset int64 = -1

// Mark says which state an engine holds: what the records of the changelog up
// to Offset make together.
type Mark struct {
	// Between tells that the state is one between two commits, and of no use to
	// anybody but the process that wrote it. The other fields are empty then.
	Between bool
	// Beside tells that another process wrote to the changelog while the state
	// came to be, so that it is none of the changelog's. The other fields are
	// empty then.
	Beside bool
	// Topic is the changelog's id; zero if unknown. Another topic's offsets mean
	// nothing, though they may lie between the ends of this one.
	Topic system.TopicID
	// Offset is the last record that belongs to the state; NoOffset.
	Offset int64
	// Checkpoint is the id of the checkpoint that was safe; "" if the state is
	// that of a restore.
	Checkpoint string
	// At is a time before which no record behind Offset was written, in ms; the
	// zero time if unknown.
	At time.Time
}

// The encoding: a version, flags; with markTopic the topic's id; unless it is of
// no use to others the offset plus one as an unsigned varint, At in ms as a signed one,
// and the checkpoint's id to the end.
const (
	markVersion = 1
	markBetween = 1
	// markTopic came later: a mark without an id is as it was before.
	markTopic = 2
	// markBeside came later, too: who does not know it does not use the state.
	markBeside = 4
	// maxCheckpointID bounds the id; ours have less than 30 bytes.
	maxCheckpointID = 255
)

// AppendMark appends the mark's bytes.
func AppendMark(dst []byte, m Mark) []byte {
	switch {
	case m.Between:
		return append(dst, markVersion, markBetween)
	case m.Beside:
		return append(dst, markVersion, markBeside)
	}
	if m.Topic == (system.TopicID{}) {
		dst = append(dst, markVersion, 0)
	} else {
		dst = append(append(dst, markVersion, markTopic), m.Topic[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(max(m.Offset, NoOffset)+1))
	var at int64
	if !m.At.IsZero() {
		at = m.At.UnixMilli()
	}
	dst = binary.AppendVarint(dst, at)
	return append(dst, m.Checkpoint[:min(len(m.Checkpoint), maxCheckpointID)]...)
}

var errMarkShort = errors.New("it is cut off")

// ParseMark reads what AppendMark wrote.
func ParseMark(b []byte) (Mark, error) {
	m, err := parseMark(b)
	if err != nil {
		return Mark{}, fmt.Errorf("mark %.40x: %w", b, err)
	}
	return m, nil
}

func parseMark(b []byte) (Mark, error) {
	if len(b) < 2 {
		return Mark{}, errMarkShort
	}
	if b[0] != markVersion {
		return Mark{}, fmt.Errorf("its version is %d, not %d", b[0], markVersion)
	}
	rest := b[2:]
	var topic system.TopicID
	switch {
	case b[1] == markBetween && len(rest) == 0:
		return Mark{Between: true}, nil
	case b[1] == markBeside && len(rest) == 0:
		return Mark{Beside: true}, nil
	case b[1] == markTopic && len(rest) < len(topic):
		return Mark{}, errMarkShort
	case b[1] == markTopic:
		rest = rest[copy(topic[:], rest):]
	case b[1] != 0:
		return Mark{}, fmt.Errorf("its flags are %#x with %d more bytes", b[1], len(rest))
	}
	offset, n := binary.Uvarint(rest)
	if n <= 0 || offset > math.MaxInt64 {
		return Mark{}, errMarkShort
	}
	rest = rest[n:]
	at, n := binary.Varint(rest)
	if n <= 0 {
		return Mark{}, errMarkShort
	}
	rest = rest[n:]
	if len(rest) > maxCheckpointID {
		return Mark{}, fmt.Errorf("its checkpoint has %d bytes", len(rest))
	}
	m := Mark{Topic: topic, Offset: int64(offset) - 1, Checkpoint: string(rest)}
	if at != 0 {
		m.At = time.UnixMilli(at).UTC()
	}
	return m, nil
}
