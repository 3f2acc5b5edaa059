package checkpoint

import (
	"context"
	"errors"
	"fmt"

	"heddle/system"
)

// pending is one Write on its way.
type pending struct {
	task    string
	c       Checkpoint
	records []system.Record
	done    chan error // holds one answer
}

var errClosed = errors.New("closed")

// Write hands the checkpoint to the writer and waits for the broker's
// acknowledgement of all its versions.
func (k *Kafka) Write(ctx context.Context, taskName string, c Checkpoint) error {
	p := &pending{task: taskName, c: c, records: k.Records(taskName, c), done: make(chan error, 1)}
	k.mu.Lock()
	if k.closed || k.out == nil {
		k.mu.Unlock()
		return k.failed("write to", errClosed)
	}
	k.queue = append(k.queue, p)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // it is awake already
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("checkpoint of task %q: %w", taskName, k.failed("write to", err))
		}
		return nil
	case <-ctx.Done():
		// It may or may not be written; both are right, for everything it speaks
		// of is.
		return fmt.Errorf("checkpoint of task %q: %w", taskName, k.failed("write to", context.Cause(ctx)))
	}
}

// Records are one for each version that is written.
func (k *Kafka) Records(taskName string, c Checkpoint) []system.Record {
	records := make([]system.Record, 0, len(k.o.WriteVersions))
	with := headers(c, k.o.Transactional)
	for _, v := range k.o.WriteVersions {
		r := system.Record{Stream: k.o.Topic, At: 1, Headers: with}
		if v == 2 {
			r.Key, r.Value = AppendKey(nil, Key{k.o.Grouper, taskName, TypeV2}), AppendV2(nil, c)
		} else {
			r.Key, r.Value = AppendKey(nil, Key{k.o.Grouper, taskName, TypeV1}), AppendV1(nil, c)
		}
		records = append(records, r)
	}
	return records
}

// write is the one goroutine that uses the outbox. Whatever was handed in
// while it waited for the broker goes into the next batch.
func (k *Kafka) write(ctx context.Context) {
	defer close(k.ended)
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
		}
		last := ctx.Err() != nil // then nothing more can come in
		k.mu.Lock()
		batch := k.queue
		k.queue = nil
		k.mu.Unlock()
		err := k.send(ctx, batch)
		if err == nil {
			k.mu.Lock()
			for _, p := range batch {
				k.last[p.task] = p.c
			}
			k.mu.Unlock()
		}
		for _, p := range batch {
			p.done <- err
		}
		if last {
			return
		}
	}
}

func (k *Kafka) send(ctx context.Context, batch []*pending) error {
	if len(batch) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return errClosed
	}
	for _, p := range batch {
		for _, r := range p.records {
			if err := k.out.Send(r); err != nil {
				return err
			}
		}
	}
	return k.out.Flush(ctx)
}
