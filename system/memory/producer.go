package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"heddle/system"
	"heddle/task"
)

type producer struct {
	broker *Broker

	mu     sync.Mutex
	closed bool
	boxes  []*outbox
}

func (p *producer) Outbox(name string) (system.Outbox, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("outbox %q: producer %w", name, errClosed)
	}
	o := newOutbox(p.broker, name)
	p.boxes = append(p.boxes, o)
	return o, nil
}

func newOutbox(b *Broker, name string) *outbox {
	o := &outbox{broker: b, name: name, acked: map[place]int64{}}
	o.cond = sync.NewCond(&o.mu)
	return o
}

// Close ends the outboxes; what was not acknowledged is lost, as when a process
// ends.
func (p *producer) Close() error {
	p.mu.Lock()
	p.closed = true
	boxes := p.boxes
	p.mu.Unlock()
	for _, o := range boxes {
		_ = o.Close() // it cannot fail
	}
	return nil
}

type place struct {
	stream    string
	partition int32
}

type outbox struct {
	broker *Broker
	name   string
	// of a transactional one
	txn   *transaction
	id    string
	epoch int

	mu      sync.Mutex
	cond    *sync.Cond
	queue   []queued // sent, not yet acknowledged; the first may be in work
	writing bool     // a goroutine works on queue
	sticky  int32    // the partition of keyless records
	err     error    // the first failure, for good
	closed  bool
	acked   map[place]int64
}

type queued struct {
	at  place
	rec system.Record
}

func (o *outbox) Partitions(_ context.Context, stream string) (int32, error) {
	return o.broker.partitions(stream)
}

func (o *outbox) Send(r system.Record) error {
	faults := o.broker.currentFaults()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return fmt.Errorf("outbox %q: %w", o.name, errClosed)
	}
	if o.err != nil {
		return o.err
	}
	n, err := o.broker.partitions(r.Stream)
	if err != nil {
		return o.fail(r, err)
	}
	if faults.Send != nil {
		o.mu.Unlock()
		err = faults.Send(o.name, r)
		o.mu.Lock()
		if err != nil {
			return o.fail(r, err)
		}
	}
	// The caller may use its slices again.
	r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	q := queued{at: place{r.Stream, o.choose(r, n)}, rec: r}
	if faults.Ack == nil && len(o.queue) == 0 {
		return o.write(q)
	}
	o.queue = append(o.queue, q)
	if !o.writing {
		o.writing = true
		go o.work()
	}
	return nil
}

func (o *outbox) choose(r system.Record, n int32) int32 {
	if r.At > 0 {
		return r.At - 1
	}
	if p, ok := system.KeyPartition(r.PartitionKey, n); ok {
		return p
	}
	if r.Key != nil {
		return system.BytesPartition(r.Key, n)
	}
	return o.sticky % n
}

// work writes what is queued, in order, until nothing is left.
func (o *outbox) work() {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		o.writing = false
		o.cond.Broadcast()
	}()
	for len(o.queue) > 0 && o.err == nil && !o.closed {
		q := o.queue[0]
		if f := o.broker.currentFaults().Ack; f != nil {
			o.mu.Unlock()
			err := f(o.name, q.rec)
			o.mu.Lock()
			if err != nil {
				_ = o.fail(q.rec, err) // kept in o.err
				return
			}
			if o.closed {
				return
			}
		}
		_ = o.write(q) // kept in o.err
		o.queue = o.queue[1:]
		o.cond.Broadcast()
	}
}

// write needs o.mu.
func (o *outbox) write(q queued) error {
	offset, err := o.broker.append(q.at.stream, q.at.partition, Record{
		Key: q.rec.Key, Value: q.rec.Value, Timestamp: q.rec.Timestamp,
		Headers: append([]task.Header(nil), q.rec.Headers...), Outbox: o.name, txn: o.txn,
	}, o.fencedNow)
	if err != nil {
		return o.fail(q.rec, err)
	}
	o.acked[q.at] = offset
	return nil
}

// fail needs o.mu.
func (o *outbox) fail(r system.Record, err error) error {
	return o.failFor(fmt.Sprintf("send to stream %q", r.Stream), err)
}

// failFor needs o.mu.
func (o *outbox) failFor(what string, err error) error {
	if o.err == nil {
		o.err = fmt.Errorf("%s for %s: %w", what, o.name, err)
	}
	o.cond.Broadcast()
	return o.err
}

func (o *outbox) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.cond.Broadcast()
	})
	defer stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && o.err == nil && !o.closed && ctx.Err() == nil {
		o.cond.Wait()
	}
	switch {
	case o.err != nil:
		return o.err
	case len(o.queue) == 0:
		return nil
	case o.closed:
		return fmt.Errorf("flush outbox %q: %w", o.name, errClosed)
	}
	return fmt.Errorf("flush outbox %q: %d records are not acknowledged: %w", o.name, len(o.queue), ctx.Err())
}

func (o *outbox) Acked(stream string, partition int32) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	offset, ok := o.acked[place{stream, partition}]
	return offset, ok
}

func (o *outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.cond.Broadcast()
	return nil
}
