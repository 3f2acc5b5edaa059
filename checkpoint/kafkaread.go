package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"heddle/system"
	"heddle/task"
)

// found is the checkpoint that counts so far for one task.
type found struct {
	version int
	time    int64 // ms
	offset  int64
	value   []byte
	topics  []byte // of the header; nil: there is none
	exactly bool   // it was written exactly-once
}

// read takes in what was committed since it was called last, and the
// checkpoints of all tasks.
func (k *Kafka) read(ctx context.Context) error { return k.readTo(ctx, system.End) }

// readSettled reads to the end that the topic has now, for which it waits until
// the transactions are over that are open now.
func (k *Kafka) readSettled(ctx context.Context) error {
	ends, err := k.ends(ctx)
	if err != nil {
		return err
	}
	if ends.Stable < ends.Next {
		k.o.Logger.Warn("a transaction is open on the checkpoint topic; waiting until it is over: its writer commits, is replaced, or Kafka aborts it (about a minute after it began)",
			"topic", k.o.Topic, "read to", ends.Stable, "end", ends.Next)
	}
	return k.readTo(ctx, ends.Next)
}

// ends are those of the topic's one partition.
func (k *Kafka) ends(ctx context.Context) (system.Ends, error) {
	admin, err := k.o.System.Admin()
	if err != nil {
		return system.Ends{}, err
	}
	ends, err := admin.Offsets(ctx, k.o.Topic)
	if err != nil {
		return system.Ends{}, err
	}
	if ends[0].Stable < ends[0].Next && k.waits != nil {
		k.waits()
	}
	return ends[0], nil
}

// readTo reads on to an offset and takes over what was found for all tasks.
func (k *Kafka) readTo(ctx context.Context, to int64) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	next, err := k.o.System.Read(ctx, k.o.Topic, 0, k.next, to, k.takeAll)
	if err != nil {
		return err
	}
	k.next = next
	return k.adopt(nil)
}

// takeAll needs k.reading.
func (k *Kafka) takeAll(batch []task.Message) error {
	for i := range batch {
		if err := k.take(k.found, &batch[i], k.warned); err != nil {
			return fmt.Errorf("offset %d: %w", batch[i].Offset, err)
		}
	}
	return nil
}

// adopt lets Last give what was found for these tasks; nil: all. What other
// tasks wrote by themselves is newer than what was found of them. It needs
// k.reading.
func (k *Kafka) adopt(only map[string]bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, f := range k.found {
		if f.value == nil || only != nil && !only[name] {
			continue
		}
		var c Checkpoint
		var err error
		if f.version == 2 {
			c, err = ParseV2(f.value)
		} else {
			c, err = ParseV1(f.value, k.o.Stores)
		}
		if err != nil {
			err = fmt.Errorf("offset %d: task %q: %w", f.offset, name, err)
			if !k.o.Lenient {
				return fmt.Errorf("%w; job.checkpoint.validation.enabled=false passes over it", err)
			}
			k.o.Logger.Warn("checkpoint passed over", "topic", k.o.Topic, "error", err)
			continue
		}
		c.Topics = parseTopics(f.topics)
		k.last[name] = c
	}
	return nil
}

// Refresh reads on from where Start ended, to the end that the topic has now,
// and not only to its last stable offset: while a transaction of another task
// is open (its container was killed between its checkpoint and the end of its
// commit), committed checkpoints of these tasks may lie behind it. Taking an
// older one for the newest would process its inputs twice.
//
// It waits for nobody: whatever was written for these tasks under their
// transactional ids is decided once those are taken over, and what is open of
// other tasks tells nothing of these. Only a stranger who writes checkpoints of
// these tasks in a transaction of his own is waited for.
func (k *Kafka) Refresh(ctx context.Context, taskNames []string) error {
	only := make(map[string]bool, len(taskNames))
	for _, name := range taskNames {
		only[name] = true
	}
	mine := func(m *task.Message) bool {
		key, err := ParseKey(m.KeyBytes)
		return err == nil && only[key.TaskName]
	}
	sys, ok := k.o.System.(system.Transactional)
	if !ok {
		return k.failed("read", system.ErrNoTransactions)
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	// The position stays: what lies behind it of other tasks was not looked at.
	open, err := sys.ReadDecided(ctx, k.o.Topic, 0, k.next, mine, k.takeAll)
	if err == nil && open >= 0 {
		err = k.await(ctx, open, mine)
	}
	if err == nil {
		err = k.adopt(only)
	}
	if err != nil {
		return k.failed("read", err)
	}
	return nil
}

// await reads on from an open transaction with what is mine, once it is over. What
// was read behind it is read again. It needs k.reading.
func (k *Kafka) await(ctx context.Context, open int64, mine func(*task.Message) bool) error {
	ends, err := k.ends(ctx)
	if err != nil {
		return err
	}
	k.o.Logger.Warn("a transaction is open that holds checkpoints of these tasks, and is not theirs; waiting until it is over: its writer commits, or Kafka aborts it (about a minute after it began)",
		"topic", k.o.Topic, "offset", open)
	_, err = k.o.System.Read(ctx, k.o.Topic, 0, open, ends.Next, func(ms []task.Message) error {
		return k.takeAll(slices.DeleteFunc(slices.Clone(ms), func(m task.Message) bool { return !mine(&m) }))
	})
	return err
}

// look takes in all that is committed now, also behind open transactions, which it
// passes over.
func (k *Kafka) look(ctx context.Context) error {
	sys, ok := k.o.System.(system.Transactional)
	if !ok {
		return k.read(ctx)
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if _, err := sys.ReadDecided(ctx, k.o.Topic, 0, k.next, func(*task.Message) bool { return true }, k.takeAll); err != nil {
		return err
	}
	return k.adopt(nil)
}

// take looks at one record. The rules are Samza's: a later record replaces an
// earlier one of the same or a less preferred version, or one that is older by
// MaxAge.
func (k *Kafka) take(tasks map[string]found, m *task.Message, warned map[string]bool) error {
	if m.KeyBytes == nil {
		return errors.New("a record without a key, which no checkpoint has: something else writes to this topic")
	}
	key, err := ParseKey(m.KeyBytes)
	if err != nil {
		if !k.o.Lenient {
			return fmt.Errorf("%w; job.checkpoint.validation.enabled=false passes over it", err)
		}
		k.o.Logger.Warn("checkpoint passed over", "topic", k.o.Topic, "offset", m.Offset, "error", err)
		return nil
	}
	if key.Grouper != k.o.Grouper {
		err := grouperError{key.TaskName, key.Grouper, k.o.Grouper}
		if !k.o.Lenient {
			return err
		}
		if !warned[key.Grouper] {
			warned[key.Grouper] = true
			k.o.Logger.Warn("checkpoints of another grouper", "topic", k.o.Topic, "offset", m.Offset, "error", err)
		}
	}
	version := key.Version()
	rank := slices.Index(k.o.ReadVersions, version)
	if rank < 0 {
		return nil
	}
	old, ok := tasks[key.TaskName]
	if ok && rank > slices.Index(k.o.ReadVersions, old.version) && m.Timestamp-old.time <= k.o.MaxAge.Milliseconds() {
		return nil
	}
	tasks[key.TaskName] = found{version, m.Timestamp, m.Offset, slices.Clone(m.ValueBytes), slices.Clone(headerValue(m.Headers, topicsHeader)), exactlyOnce(m.Headers)}
	return nil
}
