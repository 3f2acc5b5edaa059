package systemtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"heddle/system"
	"heddle/task"
)

// Transactions tests the transactions of a system whose consumers read
// committed records; one without system.Transactional passes. prefix begins the
// names of all streams and transactional ids, for systems that others use too.
func Transactions(t *testing.T, s system.System, prefix string) {
	tx, ok := s.(system.Transactional)
	if !ok {
		return
	}
	for _, tt := range []struct {
		name string
		test func(*txnBench)
	}{
		{"all or nothing", allOrNothing},
		{"the next writer takes over", takenOver},
		{"nothing sent is nothing to commit", emptyTransactions},
		{"aborted and gone", aborted},
		{"the same partitions as without", samePartitions},
		{"an open tail is no end", openTail},
		{"what a check asks changes nothing", checksChangeNothing},
		{"others' open transactions are not waited for", decidedBehindOthers},
		{"many records, many partitions", manyRecords},
		{"a cluster has a name", clusters},
		{"settled, it is seen", settled},
		{"closed, it says so", closedWriter},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &txnBench{bench: bench{t, s}, tx: tx, prefix: fmt.Sprintf("%s%d-", prefix, time.Now().UnixNano())}
			tt.test(b)
		})
	}
}

type txnBench struct {
	bench
	tx     system.Transactional
	prefix string
}

// stream makes a stream of that name.
func (b *txnBench) stream(name string, partitions int32) string {
	b.t.Helper()
	b.create(b.prefix+name, partitions)
	return b.prefix + name
}

func (b *txnBench) takeOver(id string) system.TransactionalOutbox {
	b.t.Helper()
	o, err := b.tx.TakeOver(b.context(), system.TransactionOptions{ID: b.prefix + id, Name: "Partition 0", Timeout: time.Minute})
	b.ok(err)
	b.t.Cleanup(func() { _ = o.Close() }) // it cannot fail
	return o
}

func (b *txnBench) send(o system.Outbox, stream string, partition int32, values ...string) {
	b.t.Helper()
	for _, v := range values {
		b.ok(o.Send(system.Record{Stream: stream, At: partition + 1, Value: []byte(v)}))
	}
}

// read gives the values of a partition up to its stable end.
func (b *txnBench) read(stream string, partition int32) (values []string, end int64) {
	b.t.Helper()
	end, err := b.s.Read(b.context(), stream, partition, system.Oldest, system.End, func(ms []task.Message) error {
		for _, m := range ms {
			values = append(values, string(m.ValueBytes))
		}
		return nil
	})
	b.ok(err)
	return values, end
}

// poll gives what a consumer gets of a partition up to that offset or behind.
func (b *txnBench) poll(stream string, partition int32, end int64) (values []string) {
	b.t.Helper()
	c, err := b.s.Consumer()
	b.ok(err)
	src := &task.Source{System: "sys", Stream: stream, Partition: partition}
	b.ok(c.Assign(src, system.Oldest))
	for at := int64(0); at < end; {
		batches, err := c.Poll(b.context())
		b.ok(err)
		for _, batch := range batches {
			for _, m := range batch.Messages {
				values = append(values, string(m.ValueBytes))
			}
			at = batch.Next
		}
	}
	b.ok(c.Close())
	return values
}

// holds waits until a partition holds these values, for what is committed may
// be seen a little later, and sees to it that it then holds nothing else.
func (b *txnBench) holds(stream string, partition int32, want ...string) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, end := b.read(stream, partition)
		if !slices.Equal(got, want) {
			if len(got) < len(want) && time.Now().Before(deadline) {
				continue
			}
			b.t.Errorf("%s/%d holds %v, want %v", stream, partition, got, want)
			return
		}
		if got := b.poll(stream, partition, end); !slices.Equal(got, want) {
			b.t.Errorf("%s/%d: Poll gives %v, want %v", stream, partition, got, want)
		}
		return
	}
}

func allOrNothing(b *txnBench) {
	one, two := b.stream("one", 2), b.stream("two", 1)
	o := b.takeOver("a")
	if _, ok := o.Acked(one, 0); ok {
		b.t.Error("something is acknowledged before anything was sent")
	}
	b.send(o, one, 0, "a", "b")
	b.send(o, one, 1, "c")
	b.send(o, two, 0, "d")
	b.ok(o.Flush(b.context()))
	if at, ok := o.Acked(one, 0); !ok || at != 1 {
		b.t.Errorf("acknowledged at %d, %v; want 1", at, ok)
	}
	b.holds(one, 0)
	b.holds(two, 0)
	b.send(o, one, 1, "e")
	b.ok(o.Commit(b.context()))
	b.holds(one, 0, "a", "b")
	b.holds(one, 1, "c", "e")
	b.holds(two, 0, "d")
	// Another one, of fewer streams.
	b.send(o, one, 0, "f")
	b.ok(o.Commit(b.context()))
	b.holds(one, 0, "a", "b", "f")
	if at, ok := o.Acked(one, 0); !ok || at <= 1 {
		b.t.Errorf("acknowledged at %d, %v", at, ok)
	}
}

func takenOver(b *txnBench) {
	s := b.stream("s", 1)
	old := b.takeOver("a")
	b.send(old, s, 0, "committed")
	b.ok(old.Commit(b.context()))
	b.send(old, s, 0, "not committed")
	b.ok(old.Flush(b.context()))
	other := b.takeOver("b")
	b.send(other, s, 0, "of another id")
	b.ok(other.Flush(b.context()))
	idle := b.takeOver("c")

	began := time.Now()
	young := b.takeOver("a")
	b.ok(other.Commit(b.context()))
	// Nothing of the old one holds the stream up any more.
	b.holds(s, 0, "committed", "of another id")
	if took := time.Since(began); took > 20*time.Second {
		b.t.Errorf("the take-over took %v", took)
	}
	b.send(young, s, 0, "young")
	b.ok(young.Commit(b.context()))

	// The zombie writes nothing more, whatever it tries.
	err := old.Send(system.Record{Stream: s, At: 1, Value: []byte("zombie")})
	if err == nil {
		err = old.Commit(b.context())
	}
	if !errors.Is(err, system.ErrFenced) {
		b.t.Errorf("the old writer: %v, want ErrFenced", err)
	}
	if err := old.Send(system.Record{Stream: s, At: 1, Value: []byte("again")}); !errors.Is(err, system.ErrFenced) {
		b.t.Errorf("it does not stay so: %v", err)
	}
	if err := old.Commit(b.context()); !errors.Is(err, system.ErrFenced) {
		b.t.Errorf("it does not stay so: %v", err)
	}
	// One that had written nothing when it was taken over: it must not push its
	// successor aside with its first write.
	next := b.takeOver("c")
	err = idle.Send(system.Record{Stream: s, At: 1, Value: []byte("idle zombie")})
	if err == nil {
		err = idle.Commit(b.context())
	}
	if !errors.Is(err, system.ErrFenced) {
		b.t.Errorf("a writer that was taken over before its first write: %v, want ErrFenced", err)
	}
	b.send(next, s, 0, "next")
	b.ok(next.Commit(b.context()))
	b.send(young, s, 0, "still young")
	b.ok(young.Commit(b.context()))
	b.holds(s, 0, "committed", "of another id", "young", "next", "still young")
}

func emptyTransactions(b *txnBench) {
	s := b.stream("s", 1)
	o := b.takeOver("a")
	b.ok(o.Commit(b.context()))
	b.ok(o.Flush(b.context()))
	b.send(o, s, 0, "a")
	b.ok(o.Commit(b.context()))
	b.ok(o.Commit(b.context()))
	b.holds(s, 0, "a")
}

func aborted(b *txnBench) {
	s := b.stream("s", 1)
	o := b.takeOver("a")
	b.send(o, s, 0, "a")
	b.ok(o.Flush(b.context()))
	b.ok(o.Abort(b.context()))
	b.holds(s, 0)
	if err := b.firstError(o, s); err == nil {
		b.t.Error("after Abort the outbox is still open")
	}
	b.ok(o.Close())
	// The end of a transaction is seen some time after it is told; who takes over
	// has waited for it.
	b.takeOver("a")
	// An aborted tail is an end at which no record lies.
	ends, err := b.admin().Offsets(b.context(), s)
	b.ok(err)
	if ends[0].Stable != ends[0].Next || ends[0].Next < 1 {
		b.t.Errorf("after the abort: %+v", ends[0])
	}
}

func (b *txnBench) firstError(o system.TransactionalOutbox, stream string) error {
	err := o.Send(system.Record{Stream: stream, At: 1, Value: []byte("x")})
	if err == nil {
		err = o.Commit(b.context())
	}
	return err
}

func samePartitions(b *txnBench) {
	plain, tx := b.stream("plain", 7), b.stream("tx", 7)
	o, to := b.outbox(), b.takeOver("a")
	records := []system.Record{{PartitionKey: "user-1"}, {PartitionKey: int64(1 << 40)}, {PartitionKey: true}, {PartitionKey: 7.5}, {At: 7}, {PartitionKey: []byte("x"), Key: []byte("x")}}
	for i := range 50 {
		records = append(records, system.Record{Key: fmt.Append(nil, "key ", i)}, system.Record{PartitionKey: fmt.Sprint("user ", i), Key: []byte("ignored")})
	}
	for i, r := range records {
		r.Value = fmt.Append(nil, i)
		r.Stream = plain
		b.ok(o.Send(r))
		r.Stream = tx
		b.ok(to.Send(r))
	}
	b.ok(o.Flush(b.context()))
	b.ok(to.Commit(b.context()))
	for p := range int32(7) {
		want, _ := b.read(plain, p)
		b.holds(tx, p, want...)
	}
	err := to.Send(system.Record{Stream: tx, At: 8})
	if err == nil {
		err = to.Flush(b.context())
	}
	if err == nil {
		b.t.Error("a partition that is not there was written to")
	}
}

func openTail(b *txnBench) {
	s := b.stream("s", 1)
	o := b.takeOver("a")
	b.send(o, s, 0, "a")
	b.ok(o.Commit(b.context()))
	b.holds(s, 0, "a")
	b.send(o, s, 0, "b")
	b.ok(o.Flush(b.context()))
	ends, err := b.admin().Offsets(b.context(), s)
	b.ok(err)
	if ends[0].Stable >= ends[0].Next {
		b.t.Errorf("with an open transaction: %+v", ends[0])
	}
	end, err := b.s.Read(b.context(), s, 0, system.Oldest, system.End, func([]task.Message) error { return nil })
	if err != nil || end != ends[0].Stable {
		b.t.Errorf("Read to the end ends at %d, %v; want %d", end, err, ends[0].Stable)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 50*time.Millisecond)
	defer cancel()
	if at, err := b.s.Read(ctx, s, 0, system.Oldest, ends[0].Next, func([]task.Message) error { return nil }); err == nil {
		b.t.Errorf("Read went on to %d, into the open transaction", at)
	}
	b.ok(o.Commit(b.context()))
	b.holds(s, 0, "a", "b")
}

func checksChangeNothing(b *txnBench) {
	s := b.stream("s", 1)
	options := system.TransactionOptions{ID: b.prefix + "a", Name: "Partition 0", Timeout: time.Minute}
	check := func() {
		b.t.Helper()
		b.ok(b.tx.CheckTransactions(b.context(), options))
	}
	check() // of an id that nobody has used
	o := b.takeOver("a")
	check()
	b.send(o, s, 0, "a")
	b.ok(o.Flush(b.context()))
	check() // while a transaction is open
	b.send(o, s, 0, "b")
	b.ok(o.Commit(b.context()))
	check()
	b.send(o, s, 0, "c")
	b.ok(o.Commit(b.context()))
	b.holds(s, 0, "a", "b", "c")
}

// decided gives what ReadDecided gives of the values that begin so.
func (b *txnBench) decided(ctx context.Context, stream string, from int64, begins string) (values []string, open int64, err error) {
	b.t.Helper()
	open, err = b.tx.ReadDecided(ctx, stream, 0, from, func(m *task.Message) bool { return strings.HasPrefix(string(m.ValueBytes), begins) }, func(ms []task.Message) error {
		for _, m := range ms {
			values = append(values, string(m.ValueBytes))
		}
		return nil
	})
	return values, open, err
}

func decidedBehindOthers(b *txnBench) {
	s := b.stream("s", 1)
	if got, open, err := b.decided(b.context(), s, system.Oldest, "mine"); err != nil || len(got) != 0 || open >= 0 {
		b.t.Errorf("an empty stream: %v, open at %d, %v", got, open, err)
	}
	plain, old, other := b.outbox(), b.takeOver("a"), b.takeOver("b")
	b.send(plain, s, 0, "mine, at least once")
	b.ok(plain.Flush(b.context()))
	b.send(other, s, 0, "another's")
	b.ok(other.Flush(b.context()))
	b.send(old, s, 0, "mine, committed")
	b.ok(old.Commit(b.context()))
	b.send(old, s, 0, "mine, never committed")
	b.ok(old.Flush(b.context()))
	young := b.takeOver("a")
	want := []string{"mine, at least once", "mine, committed"}
	check := func(when string) {
		b.t.Helper()
		got, open, err := b.decided(b.context(), s, system.Oldest, "mine")
		if err != nil || !slices.Equal(got, want) || open >= 0 {
			b.t.Errorf("%s: %q, open at %d, %v; want %q", when, got, open, err, want)
		}
	}
	check("with another's transaction open in front of it")
	ends, err := b.admin().Offsets(b.context(), s)
	b.ok(err)
	if ends[0].Stable != 1 {
		b.t.Errorf("the other's transaction is not open: %+v", ends[0])
	}
	got, open, err := b.decided(b.context(), s, ends[0].Stable, "mine")
	if err != nil || !slices.Equal(got, want[1:]) || open >= 0 {
		b.t.Errorf("from the last stable offset: %q, open at %d, %v; want %q", got, open, err, want[1:])
	}
	// What is picked and open is passed over.
	if got, open, err := b.decided(b.context(), s, system.Oldest, ""); err != nil || !slices.Equal(got, want) || open != ends[0].Stable {
		b.t.Errorf("with the open transaction: %q, open at %d, %v; want %q and %d", got, open, err, want, ends[0].Stable)
	}
	b.send(young, s, 0, "mine, by the young")
	b.ok(young.Commit(b.context()))
	b.ok(young.Settle(b.context()))
	want = append(want, "mine, by the young")
	check("after another commit")
	b.ok(other.Commit(b.context()))
	b.takeOver("b") // the commit is seen now
	got, open, err = b.decided(b.context(), s, system.Oldest, "")
	if err != nil || !slices.Equal(got, slices.Insert(slices.Clone(want), 1, "another's")) || open >= 0 {
		b.t.Errorf("after the other's commit: %q, open at %d, %v", got, open, err)
	}
}

func manyRecords(b *txnBench) {
	const partitions, n = 5, 20_000
	s := b.stream("s", partitions)
	o := b.takeOver("a")
	want := make([][]string, partitions)
	for i := range n {
		p := i * i % partitions
		v := fmt.Sprintf("%0*d", i%200, i)
		want[p] = append(want[p], v)
		b.ok(o.Send(system.Record{
			Stream: s, At: int32(p) + 1, Key: []byte(v[:len(v)/2]), Value: []byte(v), Timestamp: int64(1_700_000_000_000 + i%7),
			Headers: []task.Header{{Key: "h", Value: []byte{byte(i)}}, {Key: "nil"}},
		}))
		if i%3000 == 2999 {
			b.ok(o.Commit(b.context()))
		}
	}
	b.ok(o.Commit(b.context()))
	b.ok(o.Settle(b.context()))
	for p := range int32(partitions) {
		if got, _ := b.read(s, p); !slices.Equal(got, want[p]) {
			b.t.Errorf("partition %d: %d values, want %d, in order", p, len(got), len(want[p]))
		}
	}
	_, err := b.s.Read(b.context(), s, 0, system.Oldest, system.End, func(ms []task.Message) error {
		for _, m := range ms {
			if h := m.Headers; len(h) != 2 || h[0].Key != "h" || len(h[0].Value) != 1 || h[1].Key != "nil" || len(h[1].Value) != 0 ||
				string(m.KeyBytes) != string(m.ValueBytes[:len(m.ValueBytes)/2]) || m.Timestamp < 1_700_000_000_000 || m.Timestamp > 1_700_000_000_006 {
				return fmt.Errorf("the record at %d came as %+v", m.Offset, m)
			}
		}
		return nil
	})
	b.ok(err)
}

func clusters(b *txnBench) {
	one, err := b.tx.Cluster(b.context())
	b.ok(err)
	if two, err := b.tx.Cluster(b.context()); err != nil || one != two || one == "" {
		b.t.Errorf("the cluster is called %q, and then %q, %v", one, two, err)
	}
}

func settled(b *txnBench) {
	s := b.stream("s", 1)
	for i := range 5 {
		o := b.takeOver("a")
		b.send(o, s, 0, fmt.Sprint(i))
		b.ok(o.Commit(b.context()))
		b.ok(o.Settle(b.context()))
		if got, _ := b.read(s, 0); len(got) != i+1 {
			b.t.Errorf("settled, %v is seen of %d", got, i+1)
		}
		b.ok(o.Close())
	}
}

func closedWriter(b *txnBench) {
	s := b.stream("s", 1)
	o := b.takeOver("a")
	b.send(o, s, 0, "a")
	b.ok(o.Flush(b.context()))
	b.ok(o.Close())
	b.ok(o.Close())
	if err := b.firstError(o, s); err == nil {
		b.t.Error("it can be written to after Close")
	}
	b.takeOver("a")
	b.holds(s, 0)
}
