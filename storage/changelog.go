package storage

import (
	"context"
	"fmt"

	"heddle/storage/engine"
	"heddle/system"
)

// changelog is where the writes of one store are recorded (Samza:
// LoggedStore): the key and the value as the engine has them, no value for a
// delete, in the task's own partition.
type changelog struct {
	stream    system.StreamID
	partition int32
	out       system.Outbox
	// from is where the partition ended when the store was restored, and sent how
	// many records were written here since.
	from, sent int64
}

func (c *changelog) String() string {
	return fmt.Sprintf("changelog %s, partition %d", c.stream, c.partition)
}

// write sends one record; at is its timestamp in ms, 0 for now. Neither slice may be written to after that: the
// outbox holds them until the record is acknowledged.
func (c *changelog) write(key string, value []byte, at int64) error {
	c.sent++
	return c.out.Send(system.Record{Stream: c.stream.Stream, At: c.partition + 1, Key: bytesOf(key), Value: value, Timestamp: at})
}

// acked is the newest offset known to be written by this store; ok is false
// if it wrote nothing yet.
func (c *changelog) acked() (int64, bool) { return c.out.Acked(c.stream.Stream, c.partition) }

// alone tells, when all is acknowledged, that nobody else wrote to the partition
// since the store was restored: the newest offset is the one that its own records
// lead to. Otherwise the state is not what the records up to that offset make: a
// container that was frozen and goes on beside its replacement has a state of its
// own, as has the replacement. wrote and would are the offset and what it would
// be.
func (c *changelog) alone() (ok bool, wrote, would int64) {
	offset, any := c.acked()
	if !any {
		return true, 0, 0
	}
	return offset == c.from+c.sent-1, offset, c.from + c.sent - 1
}

// logged is an engine whose writes go to the changelog, too.
type logged struct {
	engine.Engine
	log *changelog
}

// Apply records the writes first: if the changelog refuses one, the engine has
// none of them.
func (l logged) Apply(batch []engine.Write, mark []byte) error {
	for _, w := range batch {
		if err := l.log.write(w.Key, w.Value, w.At); err != nil {
			return fmt.Errorf("write to the %v: %w", l.log, err)
		}
	}
	return l.Engine.Apply(batch, mark)
}

// findLimit asks how large a record of the changelog may be.
func (st *opened) findLimit(ctx context.Context) error {
	out, ok := st.log.out.(system.Limited)
	if !ok {
		return nil
	}
	limit, err := out.RecordLimit(ctx, st.log.stream.Stream)
	if err != nil {
		return fmt.Errorf("changelog %s: how large a record may be: %w", st.log.stream, err)
	}
	st.sizes.bound(limit)
	return nil
}
