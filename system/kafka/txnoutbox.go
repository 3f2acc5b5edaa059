package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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

func (o *txnOutbox) notify() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
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
