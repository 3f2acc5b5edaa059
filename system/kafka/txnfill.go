package kafka

import (
	"fmt"
	"math/rand/v2"

	"heddle/system"
)

// Send copies the record's bytes. It blocks while more than buffer.memory is
// not acknowledged, as long as something of its own is under way.
func (o *txnOutbox) Send(r system.Record) error {
	if e := o.failed.Load(); e != nil {
		return *e
	}
	t := o.last
	if t == nil || t.name != r.Stream {
		var err error
		if t, err = o.topic(r.Stream); err != nil {
			return o.fail("send to stream "+r.Stream, err)
		}
		o.last = t
	}
	size := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	if size > t.limit {
		return o.fail("send to stream "+r.Stream, tooLarge(size, o.t.p.limits.record(r.Stream)))
	}
	p, err := t.choose(&r, size, o.t.p.set.stickyBytes)
	if err != nil {
		return o.fail("send to stream "+r.Stream, err)
	}
	size = recordSize(&r)
	if b := p.open; b != nil {
		before := cap(b.buf.b)
		if b.room(size, !o.tight()) {
			if after := cap(b.buf.b); after != before {
				o.account(int64(after - before))
			}
		} else {
			o.seal(p)
			if err := o.makeRoom(); err != nil {
				return err
			}
		}
	}
	if p.open == nil {
		p.open = newTxnBatch(size)
		o.account(int64(cap(p.open.buf.b)))
		o.dirty = append(o.dirty, p)
	}
	at := r.Timestamp
	if at == 0 {
		at = o.now().UnixMilli()
	}
	p.open.add(&r, at)
	return nil
}

// choose gives the record's partition.
func (t *txnTopic) choose(r *system.Record, size, stickyBytes int) (*txnPart, error) {
	n := int32(len(t.parts))
	switch {
	case r.At > n:
		return nil, fmt.Errorf("there is no partition %d, only %d partitions", r.At-1, n)
	case r.At > 0:
		return &t.parts[r.At-1], nil
	case r.PartitionKey != nil:
		if h, ok := system.JavaHash(r.PartitionKey); ok {
			return &t.parts[system.HashPartition(h, n)], nil
		}
	}
	if r.Key != nil {
		return &t.parts[system.BytesPartition(r.Key, n)], nil
	}
	if t.sticky < 0 || t.used >= stickyBytes {
		next := rand.IntN(int(n))
		if next == t.sticky && n > 1 {
			next = (next + 1) % int(n)
		}
		t.sticky, t.used = next, 0
	}
	t.used += size
	return &t.parts[t.sticky], nil
}

// topic makes sure that the topic exists.
func (o *txnOutbox) topic(name string) (*txnTopic, error) {
	if t := o.topics[name]; t != nil {
		return t, nil
	}
	n, err := o.t.p.known(o.ctx, name)
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, fmt.Errorf("it has no partitions")
	}
	t := &txnTopic{name: name, limit: int(o.t.p.limits.record(name).Bytes), parts: make([]txnPart, n), sticky: -1}
	for i := range t.parts {
		t.parts[i] = txnPart{topic: t, partition: int32(i), leader: -1}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.topics == nil {
		o.topics, o.sending = map[string]*txnTopic{}, map[int32]bool{}
	}
	o.topics[name] = t
	return t, nil
}

// tight says that the memory of all writers together is more than half of
// what they may have: batches then stay as large as they are.
func (o *txnOutbox) tight() bool { return o.t.buffered.Load() > o.t.p.set.buffer/2 }

func (o *txnOutbox) account(n int64) {
	o.t.buffered.Add(n)
	o.mu.Lock()
	o.held += n
	o.mu.Unlock()
}

// makeRoom waits while there is too much in the buffers, and something of this
// writer's is under way. What other writers hold and do not send is not waited
// for: nobody may ever send it.
func (o *txnOutbox) makeRoom() error {
	if o.t.buffered.Load() <= o.t.p.set.buffer {
		return nil
	}
	o.sealAll()
	for o.t.buffered.Load() > o.t.p.set.buffer {
		if e := o.failed.Load(); e != nil {
			return *e
		}
		o.mu.Lock()
		left := o.unacked
		o.mu.Unlock()
		if left == 0 {
			return nil
		}
		<-o.wake // fail leaves a token, too
	}
	return nil
}

// seal hands a partition's open batch to the sender.
func (o *txnOutbox) seal(p *txnPart) {
	b := p.open
	p.open = nil
	for i, d := range o.dirty {
		if d == p {
			o.dirty[i] = o.dirty[len(o.dirty)-1]
			o.dirty = o.dirty[:len(o.dirty)-1]
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.enqueue(p, b)
	o.dispatch()
}

func (o *txnOutbox) sealAll() {
	if len(o.dirty) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, p := range o.dirty {
		o.enqueue(p, p.open)
		p.open, o.dirty[i] = nil, nil
	}
	o.dirty = o.dirty[:0]
	o.dispatch()
}

// enqueue needs o.mu.
func (o *txnOutbox) enqueue(p *txnPart, b *txnBatch) {
	b.sealed = o.now()
	if o.began.IsZero() {
		o.began = b.sealed
	}
	p.queue = append(p.queue, b)
	o.unacked++
	if !p.inReady {
		p.inReady = true
		o.ready = append(o.ready, p)
	}
}
