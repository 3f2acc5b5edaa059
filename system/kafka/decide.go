package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"heddle/system"
	"heddle/task"
)

// batchHead is what the head of a record batch says of its place and of its
// transaction.
type batchHead struct {
	first, last int64 // offsets
	producer    int64
	epoch       int16 // the producer's
	kind        batchKind
}

type batchKind uint8

const (
	// noTransaction: not part of a transaction, and so decided.
	noTransaction batchKind = iota
	// inTransaction: decided by the next marker of the producer.
	inTransaction
	// commitMarker and abortMarker end the producer's transaction.
	commitMarker
	abortMarker
	// otherControl decides nothing.
	otherControl
)

// headsOf reads the heads in a fetch's answer, whose records have been read:
// lengths and checksums are right. What was cut off at the end is left.
func headsOf(raw []byte) ([]batchHead, error) {
	var heads []batchHead
	for len(raw) >= batchOverhead {
		size := int64(int32(binary.BigEndian.Uint32(raw[lengthAt:]))) + 12
		// Before Kafka 0.11 nothing was part of a transaction, and what has no
		// head is taken for that.
		if old := raw[magicAt] < 2; size > int64(len(raw)) || old && size <= magicAt || !old && size < batchOverhead {
			break
		} else if old {
			raw = raw[size:]
			continue
		}
		batch := raw[:size]
		raw = raw[size:]
		h := batchHead{
			first:    int64(binary.BigEndian.Uint64(batch)),
			producer: int64(binary.BigEndian.Uint64(batch[producerAt:])),
			epoch:    int16(binary.BigEndian.Uint16(batch[producerEpochAt:])),
		}
		h.last = h.first + int64(int32(binary.BigEndian.Uint32(batch[lastDeltaAt:])))
		switch attributes := binary.BigEndian.Uint16(batch[attributesAt:]); {
		case attributes&controlBit != 0:
			var err error
			if h.kind, err = controlKind(batch[batchOverhead:]); err != nil {
				return heads, fmt.Errorf("%w at offset %d: %w", errBadBatch, h.first, err)
			}
		case attributes&transactionalBit != 0:
			h.kind = inTransaction
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// decider tells which messages of a partition are committed by its batches
// alone, as a reader gets them who is given everything (read_uncommitted). It
// begins where no transaction is cut in two that mine picks messages of in front
// of that place; the last stable offset of any moment is such a place.
//
// The list of aborted transactions that Kafka gives readers of committed records
// is not needed: a record of a transaction is decided by the next marker of its
// producer. Compaction keeps a marker for as long as there are records of its
// transaction.
type decider struct {
	mine func(*task.Message) bool
	// queue are the picked messages that cannot be given yet, in the order of
	// their offsets: the first is not decided.
	queue []undecided
	// open counts those in queue that are not decided, by producer.
	open map[int64]int
}

// undecided is a message that waits for a marker, or for one before it that
// does.
type undecided struct {
	message  task.Message
	producer int64
	epoch    int16
	fate     batchKind // inTransaction, until a marker came; noTransaction if it never waited
}

// next takes the heads of the batches that come next, and the messages in them,
// and gives the picked messages of which it is now known that they are
// committed, in the order of their offsets.
func (d *decider) next(heads []batchHead, ms []task.Message) []task.Message {
	var out []task.Message
	for _, h := range heads {
		var of []task.Message
		ms, of = d.without(ms, h, &out)
		switch h.kind {
		case noTransaction, inTransaction:
			for i := range of {
				out = d.add(out, &of[i], h)
			}
		case commitMarker, abortMarker:
			out = d.marker(out, h)
		case otherControl:
		}
	}
	for i := range ms {
		out = d.add(out, &ms[i], batchHead{})
	}
	return out
}

// without splits off the messages of a batch; those before it have no head.
func (d *decider) without(ms []task.Message, h batchHead, out *[]task.Message) (rest, of []task.Message) {
	for len(ms) > 0 && ms[0].Offset < h.first {
		*out = d.add(*out, &ms[0], batchHead{})
		ms = ms[1:]
	}
	n := 0
	for n < len(ms) && ms[n].Offset <= h.last {
		n++
	}
	return ms[n:], ms[:n]
}

func (d *decider) add(out []task.Message, m *task.Message, h batchHead) []task.Message {
	if !d.mine(m) {
		return out
	}
	if h.kind == noTransaction && len(d.queue) == 0 {
		return append(out, *m)
	}
	if h.kind == inTransaction {
		if d.open == nil {
			d.open = map[int64]int{}
		}
		d.open[h.producer]++
	}
	d.queue = append(d.queue, undecided{*m, h.producer, h.epoch, h.kind})
	return out
}

// marker ends the transaction of its producer. Its epoch is the transaction's,
// or a newer one if the producer was fenced; an older one ends nothing.
func (d *decider) marker(out []task.Message, h batchHead) []task.Message {
	if d.open[h.producer] == 0 {
		return out
	}
	for i := range d.queue {
		if u := &d.queue[i]; u.fate == inTransaction && u.producer == h.producer && u.epoch <= h.epoch {
			u.fate = h.kind
			d.open[h.producer]--
		}
	}
	n := 0
	for n < len(d.queue) && d.queue[n].fate != inTransaction {
		if d.queue[n].fate != abortMarker {
			out = append(out, d.queue[n].message)
		}
		n++
	}
	d.queue = slices.Delete(d.queue, 0, n)
	return out
}

// rest is called at the end: it gives those of the messages left that are
// committed, which wait for others in front of them, and the offset of the first
// that no marker has decided; -1: nothing is left.
func (d *decider) rest() (committed []task.Message, open int64) {
	open = -1
	for i := range d.queue {
		switch u := &d.queue[i]; {
		case u.fate != inTransaction:
			if u.fate != abortMarker {
				committed = append(committed, u.message)
			}
		case open < 0:
			open = u.message.Offset
		}
	}
	return committed, open
}

// ReadDecided reads everything, committed or not, and decides by itself.
func (s *System) ReadDecided(ctx context.Context, stream string, partition int32, from int64, mine func(*task.Message) bool, each func([]task.Message) error) (open int64, err error) {
	l, err := s.ask(ctx)
	if err != nil {
		return -1, err
	}
	d := decider{mine: mine}
	at, err := s.readAs(ctx, l, readUncommitted, stream, partition, from, system.End, func(a *decoded) error {
		if ms := d.next(a.heads, a.messages); len(ms) > 0 {
			return each(ms)
		}
		return nil
	})
	ms, open := d.rest()
	if err == nil && len(ms) > 0 {
		err = each(ms)
	}
	if err != nil {
		return open, fmt.Errorf("system %s: read stream %s, partition %d, at offset %d: %w", s.name, stream, partition, at, err)
	}
	return open, nil
}
