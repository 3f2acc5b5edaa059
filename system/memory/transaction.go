package memory

import (
	"context"
	"fmt"
	"slices"

	"heddle/system"
	"heddle/task"
)

// transaction is what a broker knows of one transactional id. The broker's
// lock guards it.
type transaction struct {
	epoch int
	// open are the partitions with records of an open transaction.
	open map[*partition]struct{}
}

// TakeOver fences the writer before and aborts what it had open.
func (s *System) TakeOver(_ context.Context, o system.TransactionOptions) (system.TransactionalOutbox, error) {
	b := s.broker
	if f := b.currentFaults().Transaction; f != nil {
		if err := f("TakeOver", o.ID); err != nil {
			return nil, fmt.Errorf("take over the transactions of %s: %w", o.Name, err)
		}
	}
	b.mu.Lock()
	t := b.transactions[o.ID]
	if t == nil {
		t = &transaction{open: map[*partition]struct{}{}}
		if b.transactions == nil {
			b.transactions = map[string]*transaction{}
		}
		b.transactions[o.ID] = t
	}
	b.end(t, false)
	t.epoch++
	epoch := t.epoch
	b.mu.Unlock()
	p := &producer{broker: b}
	if err := s.own(p); err != nil {
		return nil, err
	}
	box := newOutbox(b, o.Name)
	box.txn, box.id, box.epoch = t, o.ID, epoch
	p.boxes = append(p.boxes, box)
	return &txnOutbox{box}, nil
}

// CheckTransactions has nothing to check but the faults.
func (s *System) CheckTransactions(_ context.Context, o system.TransactionOptions) error {
	if f := s.broker.currentFaults().Transaction; f != nil {
		return f("Check", o.ID)
	}
	return nil
}

// Cluster names the broker: systems on the same one are the same.
func (s *System) Cluster(context.Context) (string, error) { return fmt.Sprintf("%p", s.broker), nil }

// ReadDecided is system.Transactional's.
func (s *System) ReadDecided(_ context.Context, stream string, partition int32, from int64, mine func(*task.Message) bool, each func([]task.Message) error) (open int64, err error) {
	open = -1
	src := &task.Source{System: s.name, Stream: stream, Partition: partition}
	b := s.broker
	b.mu.Lock()
	p, err := b.find(stream, partition)
	if err != nil {
		b.mu.Unlock()
		return open, fmt.Errorf("read: %w", err)
	}
	var ms []task.Message
	for _, r := range p.records[p.search(from):] {
		switch m := r.message(src); {
		case !mine(&m):
		case r.txn == nil:
			ms = append(ms, m)
		case open < 0:
			open = r.Offset
		}
	}
	b.mu.Unlock()
	if len(ms) == 0 {
		return open, nil
	}
	return open, each(ms)
}

// end makes the open records of t visible or takes them away; each partition
// gets a control record. It needs b.mu.
func (b *Broker) end(t *transaction, commit bool) {
	for p := range t.open {
		kept := slices.Clone(p.records)
		if commit {
			for i := range kept {
				if kept[i].txn == t {
					kept[i].txn = nil
				}
			}
		} else {
			kept = slices.DeleteFunc(kept, func(r Record) bool { return r.txn == t })
		}
		p.records = kept
		p.next++
		delete(p.open, t)
	}
	clear(t.open)
	b.broadcast()
}

// fencedNow says if another writer has taken the id over. It needs b.mu.
func (o *outbox) fencedNow() error {
	if o.txn == nil || o.txn.epoch == o.epoch {
		return nil
	}
	return fmt.Errorf("%w: another writer has taken over the transactional id %q", system.ErrFenced, o.id)
}

// txnOutbox is an outbox whose records become visible with Commit.
type txnOutbox struct{ *outbox }

func (o *txnOutbox) Commit(ctx context.Context) error {
	if err := o.Flush(ctx); err != nil {
		return err
	}
	if err := o.finish("Commit", true); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.failFor("commit the transaction", err)
	}
	return nil
}

func (o *txnOutbox) finish(call string, commit bool) error {
	if f := o.broker.currentFaults().Transaction; f != nil {
		if err := f(call, o.id); err != nil {
			return err
		}
	}
	o.broker.mu.Lock()
	defer o.broker.mu.Unlock()
	if err := o.fencedNow(); err != nil {
		return err
	}
	o.broker.end(o.txn, commit)
	return nil
}

// Settle has nothing to wait for.
func (o *txnOutbox) Settle(context.Context) error { return nil }

func (o *txnOutbox) Abort(context.Context) error {
	o.mu.Lock()
	was := o.closed
	o.mu.Unlock()
	_ = o.Close() // it cannot fail
	if was {
		return nil
	}
	return o.finish("Abort", false)
}

var _ system.Transactional = (*System)(nil)
