package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/system"
)

// outbox is one writer's way into the producer. Send and Flush are called by
// the writer's goroutine; the client calls delivered, for one record after the
// other, from its own.
//
// The way of a record costs no allocation: records lie in slabs that are used
// again, and what is known of acknowledgements is a counter and, per partition,
// the newest offset.
type outbox struct {
	p       *producer
	name    string
	promise func(*kgo.Record, error) // delivered, bound once

	// The writer's own.
	slab   *slab
	used   int
	sent   int64
	last   *acks
	closed bool

	// Shared with the client's goroutine.
	done   atomic.Int64 // records delivered or failed
	target atomic.Int64 // what Flush waits for done to reach
	failed atomic.Pointer[error]
	wake   chan struct{} // holds one token

	mu    sync.Mutex
	acked map[string]*acks // by topic

	// delivered's own.
	lastAcked *acks
}

// acks holds the newest acknowledged offset of each partition of a topic, plus
// 1; 0 is none.
type acks struct {
	topic  string
	limit  int // largest sum of a record's key, value and headers
	newest []atomic.Int64
	mu     sync.Mutex
	more   map[int32]int64 // of partitions that were added since
}

// slabSize is how many records share a slab: enough to make its cost small,
// few enough for a thousand idle outboxes to weigh little.
const slabSize = 32

// slab holds records that the client has; it is used again when all were
// acknowledged. It rides along as the records' context, which the client never
// cancels by, so that delivered finds it.
type slab struct {
	context.Context
	records [slabSize]kgo.Record
	left    atomic.Int32 // not acknowledged yet
}

var slabs = sync.Pool{New: func() any { return &slab{Context: context.Background()} }}

func newOutbox(p *producer, name string) *outbox {
	o := &outbox{p: p, name: name, wake: make(chan struct{}, 1), acked: map[string]*acks{}}
	o.promise = o.delivered
	return o
}

func (o *outbox) Partitions(ctx context.Context, stream string) (int32, error) {
	return o.p.partitions(ctx, stream)
}

// Send keeps the record's slices until it is acknowledged: they must not be
// changed. It blocks while more than buffer.memory is not acknowledged.
func (o *outbox) Send(r system.Record) error {
	if e := o.failed.Load(); e != nil {
		return *e
	}
	if o.closed {
		return fmt.Errorf("send to stream %s for %s: outbox %w", r.Stream, o.name, errClosed)
	}
	a := o.last
	if a == nil || a.topic != r.Stream {
		var err error
		if a, err = o.topic(r.Stream); err != nil {
			return o.fail(r.Stream, err)
		}
		o.last = a
	}
	size := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	if size > a.limit {
		return o.fail(r.Stream, tooLarge(size, o.p.limits.record(r.Stream)))
	}

	rec := o.next()
	rec.Topic = a.topic
	rec.Key, rec.Value = r.Key, r.Value
	if r.Timestamp != 0 {
		rec.Timestamp = time.UnixMilli(r.Timestamp)
	}
	switch {
	case r.At > 0:
		rec.Partition = r.At - 1
	case r.PartitionKey != nil:
		rec.Partition = byBytes
		if h, ok := system.JavaHash(r.PartitionKey); ok {
			rec.Partition, rec.Offset = byHash, int64(h)
		}
	default:
		rec.Partition = byBytes
	}
	if len(r.Headers) > 0 {
		rec.Headers = make([]kgo.RecordHeader, len(r.Headers))
		for i, h := range r.Headers {
			rec.Headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		}
	}
	o.sent++
	o.p.link.client.Produce(rec.Context, rec, o.promise)
	return nil
}

// next gives an empty record that knows its slab.
func (o *outbox) next() *kgo.Record {
	if o.slab == nil || o.used == slabSize {
		o.slab = slabs.Get().(*slab)
		o.slab.left.Store(slabSize)
		o.used = 0
	}
	r := &o.slab.records[o.used]
	o.used++
	*r = kgo.Record{Context: o.slab}
	return r
}

// topic makes sure that the topic exists.
func (o *outbox) topic(name string) (*acks, error) {
	o.mu.Lock()
	a := o.acked[name]
	o.mu.Unlock()
	if a != nil {
		return a, nil
	}
	n, err := o.p.known(o.p.s.ctx, name)
	if err != nil {
		return nil, err
	}
	a = &acks{topic: name, limit: int(o.p.limits.record(name).Bytes), newest: make([]atomic.Int64, n)}
	o.mu.Lock()
	o.acked[name] = a
	o.mu.Unlock()
	return a, nil
}

// delivered is called by the client when a record is acknowledged or given up.
func (o *outbox) delivered(r *kgo.Record, err error) {
	s := r.Context.(*slab)
	if err != nil {
		size := len(r.Key) + len(r.Value)
		_ = o.fail(r.Topic, o.p.sendError(r.Topic, size, err)) // kept in o.failed
	} else {
		a := o.lastAcked
		if a == nil || a.topic != r.Topic {
			o.mu.Lock()
			a = o.acked[r.Topic]
			o.mu.Unlock()
			o.lastAcked = a
		}
		a.set(r.Partition, r.Offset)
		if s.left.Add(-1) == 0 {
			// Not those of failed records, of which the client may still hold
			// something.
			slabs.Put(s)
		}
	}
	if o.done.Add(1) == o.target.Load() {
		o.notify()
	}
}

func (o *outbox) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// fail keeps the first failure and returns it.
func (o *outbox) fail(stream string, err error) error {
	err = fmt.Errorf("system %s: send to stream %s for %s: %w", o.p.s.name, stream, o.name, err)
	o.failed.CompareAndSwap(nil, &err)
	o.notify()
	return *o.failed.Load()
}

func (a *acks) set(partition int32, offset int64) {
	if int(partition) < len(a.newest) {
		a.newest[partition].Store(offset + 1)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.more == nil {
		a.more = map[int32]int64{}
	}
	a.more[partition] = offset + 1
}

func (a *acks) get(partition int32) (int64, bool) {
	if partition < 0 {
		return 0, false
	}
	var n int64
	if int(partition) < len(a.newest) {
		n = a.newest[partition].Load()
	} else {
		a.mu.Lock()
		n = a.more[partition]
		a.mu.Unlock()
	}
	return n - 1, n > 0
}

// Flush waits for this outbox's records alone. What lingers in the client to
// make larger batches is sent at once.
func (o *outbox) Flush(ctx context.Context) error {
	// A kick does not reach records whose topic the client is still asking
	// about; these begin to linger afterwards. So it is repeated.
	const firstKick, lastKick = 15 * time.Millisecond, 2 * time.Second
	var kick *time.Timer
	next := firstKick
	for {
		if e := o.failed.Load(); e != nil {
			return *e
		}
		if o.done.Load() >= o.sent {
			return nil
		}
		// delivered looks at target after it counted, and this looks at done
		// after it set target: one of the two sees the other.
		o.target.Store(o.sent)
		if o.done.Load() >= o.sent {
			continue
		}
		if kick == nil {
			o.p.kick()
			kick = time.NewTimer(next)
			defer kick.Stop()
		}
		select {
		case <-o.wake:
		case <-kick.C:
			o.p.kick()
			next = min(2*next, lastKick)
			kick.Reset(next)
		case <-ctx.Done():
			return fmt.Errorf("system %s: flush for %s: %d records are not acknowledged: %w",
				o.p.s.name, o.name, o.sent-o.done.Load(), context.Cause(ctx))
		}
	}
}

// Acked is by records that were acknowledged; with acks=0 there is none.
func (o *outbox) Acked(stream string, partition int32) (int64, bool) {
	o.mu.Lock()
	a := o.acked[stream]
	o.mu.Unlock()
	if a == nil {
		return 0, false
	}
	return a.get(partition)
}

// Close ends the outbox; it does not wait for what was not flushed.
func (o *outbox) Close() error {
	o.closed = true
	return nil
}
