package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
)

// txnOutbox is one writer under one transactional id. Its writer's goroutine
// puts records into open batches without a lock; a batch that is full, or all
// at a Flush, goes to the partition's queue, from which one goroutine for each
// broker sends. That goroutine ends when there is nothing to send: an idle
// writer is this struct.
//
// Of each partition one batch is under way at a time, so that its sequence
// numbers are in order whatever is repeated. There is no lingering: nothing is
// seen before the commit anyway.
type txnOutbox struct {
	t       *transactor
	link    *link
	id      string
	name    string
	timeout time.Duration
	pid     int64
	epoch   int16
	ctx     context.Context
	end     context.CancelFunc

	// The writer's own.
	topics map[string]*txnTopic
	last   *txnTopic
	dirty  []*txnPart // with an open batch
	now    func() time.Time

	failed atomic.Pointer[error]
	wake   chan struct{} // holds one token: something was acknowledged, or failed

	mu      sync.Mutex
	ready   []*txnPart // with something in their queues
	sending map[int32]bool
	unacked int   // batches in queues
	held    int64 // bytes of batches, of all in transactor.buffered
	added   []*txnPart
	began   time.Time // of the transaction; zero: none
	wrote   bool      // since it took over
	closed  bool
}

// txnTopic is one topic, as the writer sees it.
type txnTopic struct {
	name   string
	limit  int // largest sum of key, value and headers
	parts  []txnPart
	sticky int // partition of keyless records; -1: none yet
	used   int // bytes that went there
}

// txnPart is one partition. All but open is guarded by txnOutbox.mu.
type txnPart struct {
	topic     *txnTopic
	partition int32
	open      *txnBatch // the writer's

	queue    []*txnBatch
	inReady  bool
	flying   bool  // the first of the queue is under way
	leader   int32 // -1: to be asked for
	unsure   bool  // what was sent last has not been answered
	added    bool  // to the transaction
	sequence int32
	acked    int64 // the newest offset, plus 1; 0: none
	tries    int
	asked    time.Time // the leader's answer must not be older
}

func newTxnOutbox(t *transactor, l *link, o system.TransactionOptions) *txnOutbox {
	b := &txnOutbox{t: t, link: l, id: o.ID, name: o.Name, timeout: o.Timeout,
		wake: make(chan struct{}, 1), now: time.Now}
	b.ctx, b.end = context.WithCancel(t.s.ctx)
	return b
}

func (o *txnOutbox) Partitions(ctx context.Context, stream string) (int32, error) {
	return o.t.p.partitions(ctx, stream)
}

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

// dispatch starts a sender for each broker that has something to do and none at
// work. It needs o.mu.
func (o *txnOutbox) dispatch() {
	if o.closed || o.failed.Load() != nil {
		return
	}
	for _, p := range o.ready {
		if !p.flying && len(p.queue) > 0 && !o.sending[p.leader] {
			o.sending[p.leader] = true
			go o.send(p.leader)
		}
	}
}

// maxTxnRequest bounds the bytes of batches in a request; one batch may be
// larger.
const maxTxnRequest = 4 << 20

// take gives the partitions of which that broker is sent a batch next. With
// none the sender ends.
func (o *txnOutbox) take(node int32) []*txnPart {
	o.mu.Lock()
	defer o.mu.Unlock()
	var work []*txnPart
	bytes := 0
	kept := o.ready[:0]
	for _, p := range o.ready {
		if len(p.queue) == 0 {
			p.inReady = false
			continue
		}
		kept = append(kept, p)
		if p.flying || p.leader != node || o.closed || o.failed.Load() != nil {
			continue
		}
		size := len(p.queue[0].buf.b)
		if len(work) > 0 && bytes+size > maxTxnRequest {
			continue
		}
		bytes += size
		p.flying = true
		work = append(work, p)
	}
	clear(o.ready[len(kept):])
	o.ready = kept
	// The next request begins with others.
	if n := len(work); n > 0 && n < len(o.ready) {
		first := o.ready[0]
		copy(o.ready, o.ready[1:])
		o.ready[len(o.ready)-1] = first
	}
	if len(work) == 0 {
		delete(o.sending, node)
	}
	return work
}

// send sends what is there for one broker, until there is nothing more. Node -1
// asks for leaders.
func (o *txnOutbox) send(node int32) {
	for {
		work := o.take(node)
		if len(work) == 0 {
			return
		}
		var err error
		if node < 0 {
			err = o.findLeaders(work)
		} else if err = o.addPartitions(work); err == nil {
			err = o.produce(node, work)
		}
		if err != nil {
			_ = o.fail("write", err) // kept in o.failed
		}
	}
}

// findLeaders gives partitions a leader, and lets them be sent.
func (o *txnOutbox) findLeaders(work []*txnPart) error {
	for try := 1; ; try++ {
		var left []*txnPart
		var last error
		for _, p := range work {
			node, err := o.t.leader(o.ctx, o.link, p.topic.name, p.partition, p.asked)
			if err != nil {
				if p.late(o.now(), o.t.p.set.deliveryTimeout) || judge(err) != tryAgain && !errors.Is(err, kerr.UnknownTopicOrPartition) {
					return fmt.Errorf("find the leader of %s: %w", partitionName(p.topic.name, p.partition), streamError(err))
				}
				last = err
				p.asked = o.now()
				left = append(left, p)
				continue
			}
			o.mu.Lock()
			p.leader, p.flying = node, false
			o.mu.Unlock()
		}
		o.mu.Lock()
		o.dispatch()
		o.mu.Unlock()
		if last == nil {
			return nil
		}
		work = left
		if err := o.backOff(try); err != nil {
			return err
		}
	}
}

// late says that the first batch of the queue has waited for longer than
// delivery.timeout.ms. The partition has to be under way, so that nobody else
// touches the batch.
func (p *txnPart) late(now time.Time, timeout time.Duration) bool {
	return now.Sub(p.queue[0].sealed) > timeout
}

func (o *txnOutbox) backOff(try int) error {
	return pause(o.ctx, min(time.Duration(try*try)*10*time.Millisecond, time.Second))
}

// addPartitions tells the coordinator of partitions that the transaction has
// not written to yet.
func (o *txnOutbox) addPartitions(work []*txnPart) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	var fresh []*txnPart
	byTopic := map[string]int{}
	for _, p := range work {
		if p.added { // only senders of this broker change it while p is under way
			continue
		}
		fresh = append(fresh, p)
		i, ok := byTopic[p.topic.name]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topic.name] = i
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic = p.topic.name
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p.partition)
	}
	if len(fresh) == 0 {
		return nil
	}
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = o.id, o.pid, o.epoch
	err := o.coordinate(o.ctx, o.timeout, func(ctx context.Context) error {
		// The client keeps what it made of an earlier try in the request.
		again := *req
		resp, err := again.RequestWith(ctx, o.link.client)
		if err != nil {
			return err
		}
		var passing error
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				err := kerr.ErrorForCode(p.ErrorCode)
				switch {
				case err == nil, errors.Is(err, kerr.OperationNotAttempted):
				case judge(err) == tryAgain:
					passing = err
				default:
					return fmt.Errorf("%s: %w", partitionName(t.Topic, p.Partition), err)
				}
			}
		}
		return passing
	})
	if err != nil {
		return fmt.Errorf("add partitions to the transaction: %w", streamError(err))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range fresh {
		p.added = true
	}
	o.added = append(o.added, fresh...)
	return nil
}

// produce sends the first batch of each partition. Partitions whose batch has
// to be sent again go back to the queue.
func (o *txnOutbox) produce(node int32, work []*txnPart) error {
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID = &o.id
	req.Acks = -1
	req.TimeoutMillis = int32(o.t.p.set.produceTimeout.Milliseconds())
	byTopic := map[string]int{}
	byPlace := make(map[txnPlace]*txnPart, len(work))
	for _, p := range work {
		b := p.queue[0]
		if b.sequence < 0 {
			b.finish(o.pid, o.epoch, p.sequence, o.t.codec)
		}
		i, ok := byTopic[p.topic.name]
		if !ok {
			i = len(req.Topics)
			byTopic[p.topic.name] = i
			t := kmsg.NewProduceRequestTopic()
			t.Topic = p.topic.name
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = p.partition, b.wire
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
		byPlace[txnPlace{p.topic.name, p.partition}] = p
	}
	o.setUnsure(work, true)
	results := make(map[*txnPart]error, len(work))
	kresp, err := o.link.client.Broker(int(node)).Request(o.ctx, req)
	if o.ctx.Err() != nil {
		return errClosed
	}
	if err == nil {
		o.setUnsure(work, false)
		resp, ok := kresp.(*kmsg.ProduceResponse)
		if !ok {
			return fmt.Errorf("%w: unexpected answer %T", errBadBatch, kresp)
		}
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				rp := &resp.Topics[i].Partitions[j]
				p := byPlace[txnPlace{resp.Topics[i].Topic, rp.Partition}]
				if p == nil {
					continue
				}
				err := kerr.ErrorForCode(rp.ErrorCode)
				if err == nil && rp.BaseOffset < 0 {
					err = kerr.DuplicateSequenceNumber // written before, nobody knows where
				}
				if err == nil {
					o.acknowledge(p, rp.BaseOffset)
				}
				results[p] = err
			}
		}
		err = kerr.UnknownServerError // of partitions that the answer leaves out
	}
	return o.repeat(work, results, err)
}

func (o *txnOutbox) setUnsure(work []*txnPart, unsure bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range work {
		p.unsure = unsure
	}
}

type txnPlace struct {
	topic     string
	partition int32
}

// repeat looks at what was not acknowledged: missing is the failure of those
// that have no result.
func (o *txnOutbox) repeat(work []*txnPart, results map[*txnPart]error, missing error) error {
	var again []*txnPart
	worst := 0
	for _, p := range work {
		err, ok := results[p]
		if !ok {
			err = missing
		}
		if err == nil {
			continue
		}
		b := p.queue[0] // still under way: nobody else touches it
		switch {
		case judge(err) != tryAgain && !errors.Is(err, kerr.UnknownServerError):
			return fmt.Errorf("%s: %w", partitionName(p.topic.name, p.partition), o.t.p.sendError(p.topic.name, len(b.wire), err))
		case p.late(o.now(), o.t.p.set.deliveryTimeout):
			return fmt.Errorf("%s: %w: %w", partitionName(p.topic.name, p.partition), kgo.ErrRecordTimeout, err)
		}
		p.tries++
		worst = max(worst, p.tries)
		again = append(again, p)
	}
	if len(again) == 0 {
		return nil
	}
	if err := o.backOff(worst); err != nil {
		return errClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.now()
	for _, p := range again {
		p.leader, p.asked, p.flying = -1, asked, false
	}
	o.dispatch()
	return nil
}

// acknowledge takes the first batch off a partition's queue.
func (o *txnOutbox) acknowledge(p *txnPart, base int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := p.queue[0]
	p.queue[0] = nil
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = nil
	}
	p.flying, p.tries = false, 0
	p.acked = base + int64(b.count)
	p.sequence = nextSequence(b.sequence, b.count)
	size := int64(cap(b.buf.b))
	o.held -= size
	o.t.buffered.Add(-size)
	// Kafka answered, so the client is done with the bytes.
	b.buf.free()
	o.unacked--
	o.notify()
}

func (o *txnOutbox) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// coordinate repeats a request to the coordinator until it is done, has failed
// for good, or patience has passed.
func (o *txnOutbox) coordinate(ctx context.Context, patience time.Duration, ask func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var last error
	for try := 1; ; try++ {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if judge(err) != tryAgain && ctx.Err() == nil {
			return err
		}
		if pause(ctx, min(time.Duration(try)*5*time.Millisecond, 500*time.Millisecond)) != nil {
			break
		}
	}
	if o.ctx.Err() != nil {
		return errClosed
	}
	return last
}

// fail keeps the first failure and returns it.
func (o *txnOutbox) fail(what string, err error) error {
	o.mu.Lock()
	open := time.Duration(0)
	if !o.began.IsZero() {
		open = o.now().Sub(o.began)
	}
	o.mu.Unlock()
	err = fmt.Errorf("system %s: %s for %s: %w", o.t.s.name, what, o.name, txnError(o.id, err, open, o.timeout))
	o.failed.CompareAndSwap(nil, &err)
	o.notify()
	return *o.failed.Load()
}

// Flush waits until everything sent is acknowledged.
func (o *txnOutbox) Flush(ctx context.Context) error {
	o.sealAll()
	for {
		if e := o.failed.Load(); e != nil {
			return *e
		}
		o.mu.Lock()
		left, closed := o.unacked, o.closed
		o.mu.Unlock()
		switch {
		case left == 0:
			return nil
		case closed:
			return fmt.Errorf("system %s: flush for %s: outbox %w", o.t.s.name, o.name, errClosed)
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return fmt.Errorf("system %s: flush for %s: %d batches are not acknowledged: %w", o.t.s.name, o.name, left, context.Cause(ctx))
		}
	}
}

// Commit of a transaction in which nothing was sent does nothing.
func (o *txnOutbox) Commit(ctx context.Context) error {
	if err := o.Flush(ctx); err != nil {
		return err
	}
	if o.began.IsZero() { // with nothing under way, nobody else changes it
		return nil
	}
	if err := o.endTxn(ctx, true); err != nil {
		return o.fail("commit the transaction", err)
	}
	return nil
}

func (o *txnOutbox) endTxn(ctx context.Context, commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = o.id, o.pid, o.epoch, commit
	err := o.coordinate(ctx, o.timeout, func(ctx context.Context) error {
		resp, err := req.RequestWith(ctx, o.link.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, p := range o.added {
		p.added, o.added[i] = false, nil
	}
	o.added = o.added[:0]
	o.began, o.wrote = time.Time{}, true
	return nil
}

// Settle asks for another epoch, which the coordinator gives only when the
// markers of the last transaction are written everywhere. Brokers before 2.5
// do not look at whose epoch it is, and are not asked.
func (o *txnOutbox) Settle(ctx context.Context) error {
	if e := o.failed.Load(); e != nil {
		return *e
	}
	o.mu.Lock()
	wrote := o.wrote
	o.mu.Unlock()
	if !wrote || !o.t.keepsEpochs() {
		return nil
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &o.id, int32(o.timeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = o.pid, o.epoch
	err := o.coordinate(ctx, takeOverPatience, func(ctx context.Context) error {
		resp, err := req.RequestWith(ctx, o.link.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return o.fail("wait until the last commit is seen", err)
	}
	err = fmt.Errorf("outbox %w", errClosed)
	o.failed.CompareAndSwap(nil, &err)
	return nil
}

// Abort ends the transaction only if nothing of it is under way: what arrived
// after its end could not be told from the next one's. It is then left to the
// next writer, or to the time-out.
func (o *txnOutbox) Abort(ctx context.Context) error {
	o.mu.Lock()
	was := o.closed
	o.closed = true
	unsure := len(o.sending) > 0 || slices.ContainsFunc(o.ready, func(p *txnPart) bool { return p.unsure })
	open := len(o.added) > 0
	o.mu.Unlock()
	defer o.release()
	if was || !open || unsure {
		return nil
	}
	if e := o.failed.Load(); e != nil && errors.Is(*e, system.ErrFenced) {
		return nil
	}
	if err := o.endTxn(ctx, false); err != nil {
		return fmt.Errorf("system %s: abort the transaction of %s: %w", o.t.s.name, o.name, txnError(o.id, err, 0, o.timeout))
	}
	return nil
}

// Acked is by records that were acknowledged, committed or not.
func (o *txnOutbox) Acked(stream string, partition int32) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.topics[stream]
	if t == nil || partition < 0 || int(partition) >= len(t.parts) {
		return 0, false
	}
	n := t.parts[partition].acked
	return n - 1, n > 0
}

// Close ends the outbox and wakes who waits in it; an open transaction is left
// to the next writer, or to its time-out. It may be called from any goroutine,
// and more than once.
func (o *txnOutbox) Close() error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	err := fmt.Errorf("system %s: outbox of %s: %w", o.t.s.name, o.name, errClosed)
	o.failed.CompareAndSwap(nil, &err)
	o.release()
	return nil
}

// release gives up what is buffered and under way.
func (o *txnOutbox) release() {
	o.end()
	o.mu.Lock()
	o.t.buffered.Add(-o.held)
	o.held = 0
	o.mu.Unlock()
	o.notify()
}
