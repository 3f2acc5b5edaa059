package systemtest

import (
	"testing"
	"time"

	"heddle/system"
)

// Tail is a way in which a partition ends where no message lies.
type Tail struct {
	Name string
	// Append writes the record, which has a key and names a partition, and
	// behind it what is no message.
	Append func(r system.Record)
}

// Tails are the ways that transactions and compaction know. compact compacts
// all streams that are to be compacted.
func Tails(t *testing.T, s system.Transactional, compact func()) []Tail {
	b := &bench{t, s}
	take := func(name string) system.TransactionalOutbox {
		o, err := s.TakeOver(b.context(), system.TransactionOptions{ID: "tail-" + name, Name: name, Timeout: time.Minute})
		b.ok(err)
		t.Cleanup(func() { _ = o.Close() }) // it cannot fail
		return o
	}
	aborted := func(r system.Record) {
		o := b.outbox()
		b.ok(o.Send(r))
		b.ok(o.Flush(b.context()))
		tx := take("aborted")
		never := r
		never.Key, never.Value = []byte("never"), []byte("never")
		for range 3 {
			b.ok(tx.Send(never))
		}
		b.ok(tx.Flush(b.context()))
		b.ok(tx.Abort(b.context()))
		// The end of a transaction is seen some time after it is told, and may be
		// left to the next writer; who takes over has waited for it.
		take("aborted")
	}
	return []Tail{
		{"a marker", func(r system.Record) {
			tx := take("committed")
			b.ok(tx.Send(r))
			b.ok(tx.Commit(b.context()))
			b.ok(tx.Settle(b.context()))
		}},
		{"an aborted tail", aborted},
		{"a compacted tail", func(r system.Record) {
			aborted(r)
			compact()
		}},
	}
}
