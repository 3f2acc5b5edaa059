package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
)

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
