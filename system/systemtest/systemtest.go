package systemtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"heddle/system"
	"heddle/task"
)

// Run tests a system. open gives a fresh one without streams that makes none by
// itself, and whose consumers read committed records; its name must be "sys".
func Run(t *testing.T, open func(t *testing.T) system.System) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"streams are made and described", made},
		{"records come in order, once", inOrder},
		{"partitions are chosen by keys", chosen},
		{"positions", positions},
		{"an assigned partition is moved", moved},
		{"paused partitions rest", paused},
		{"Poll ends with its context", pollEnds},
		{"Read stops where it is told", reads},
		{"bytes, nothing and headers", contents},
		{"acknowledgements", acknowledgements},
		{"a failed record fails the outbox", failures},
		{"what does not exist", missing},
		{"transactions", func(t *testing.T, b *bench) { Transactions(t, b.s, "") }},
		{"closed parts say so", closed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			if s.Name() != "sys" {
				t.Fatalf("Name: %q", s.Name())
			}
			tt.test(t, &bench{t, s})
		})
	}
}

// bench is a system with what tests do to it all the time.
type bench struct {
	t *testing.T
	s system.System
}

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) admin() system.Admin {
	b.t.Helper()
	a, err := b.s.Admin()
	b.ok(err)
	return a
}

func (b *bench) create(name string, partitions int32) {
	b.t.Helper()
	b.ok(b.admin().Create(b.context(), system.StreamSpec{Name: name, Partitions: partitions}))
}

func (b *bench) outbox() system.Outbox {
	b.t.Helper()
	p, err := b.s.Producer()
	b.ok(err)
	o, err := p.Outbox("Partition 0")
	b.ok(err)
	return o
}

// fill appends n records with the values from, from+1, ...
func (b *bench) fill(stream string, partition int32, from, n int) {
	b.t.Helper()
	o := b.outbox()
	for i := from; i < from+n; i++ {
		b.ok(o.Send(system.Record{Stream: stream, At: partition + 1, Value: fmt.Append(nil, i)}))
	}
	b.ok(o.Flush(b.context()))
}

func (b *bench) consumer(stream string, next ...int64) (system.Consumer, []*task.Source) {
	b.t.Helper()
	c, err := b.s.Consumer()
	b.ok(err)
	var sources []*task.Source
	for p, n := range next {
		src := &task.Source{System: "sys", Stream: stream, Partition: int32(p)}
		sources = append(sources, src)
		b.ok(c.Assign(src, n))
	}
	return c, sources
}

// until polls until src's position is end and gives its values.
func (b *bench) until(c system.Consumer, src *task.Source, end int64) []string {
	b.t.Helper()
	var values []string
	last := int64(-1)
	for ctx := b.context(); ; {
		batches, err := c.Poll(ctx)
		b.ok(err)
		for _, batch := range batches {
			if batch.Source != src {
				continue
			}
			size := 0
			for _, m := range batch.Messages {
				if m.Offset <= last || m.Offset >= batch.Next || m.Source != src {
					b.t.Fatalf("message %+v after offset %d in a batch up to %d", m, last, batch.Next)
				}
				last = m.Offset
				size += len(m.KeyBytes) + len(m.ValueBytes)
				values = append(values, string(m.ValueBytes))
			}
			if batch.Bytes != size || batch.HighWatermark < batch.Next {
				b.t.Errorf("a batch of %d bytes says %d; it ends at %d, the partition at %d", size, batch.Bytes, batch.Next, batch.HighWatermark)
			}
			if batch.Next == end {
				return values
			}
		}
	}
}

func numbers(from, n int) []string {
	var out []string
	for i := from; i < from+n; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func made(t *testing.T, b *bench) {
	a, ctx := b.admin(), b.context()
	spec := system.StreamSpec{Name: "made", Partitions: 3, ReplicationFactor: 1, Settings: map[string]string{"cleanup.policy": "compact"}}
	b.ok(a.Create(ctx, spec))
	if err := a.Create(ctx, spec); !errors.Is(err, system.ErrExists) {
		t.Errorf("Create again: %v", err)
	}
	b.create("other", 1)
	infos, err := a.Describe(ctx, "made", "nope")
	got := infos["made"]
	for name := range got.Defaults {
		if _, set := got.Settings[name]; set {
			t.Errorf("%s is set, and a default: %+v", name, got)
		}
	}
	got.Defaults = nil // the servers' own
	if want := (system.StreamInfo{Name: "made", Partitions: 3, Settings: spec.Settings}); err != nil || len(infos) != 1 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Describe: %+v, %v; want %+v", infos, err, want)
	}
	if infos, err = a.Describe(ctx); err != nil || len(infos) != 2 {
		t.Errorf("Describe all: %+v, %v", infos, err)
	}
	if n, err := a.Brokers(ctx); n < 1 || err != nil {
		t.Errorf("Brokers: %d, %v", n, err)
	}
	if auto, err := a.AutoCreates(ctx); auto || err != nil {
		t.Errorf("AutoCreates: %v, %v", auto, err)
	}
	b.create("open", 0)
	if infos, err := a.Describe(ctx, "open"); err != nil || infos["open"].Partitions < 1 {
		t.Errorf("a number of partitions that is left open came to %+v, %v", infos, err)
	}
	b.ok(a.Close())
}

func inOrder(t *testing.T, b *bench) {
	b.create("s", 2)
	const n = 3000
	b.fill("s", 0, 0, n)
	b.fill("s", 1, 7, n)
	c, src := b.consumer("s", system.Oldest, 0)
	for p, from := range []int{0, 7} {
		cc, one := c, src[p]
		if p == 1 { // until drops what is not its own
			cc, src = b.consumer("s", system.Oldest, 0)
			one = src[1]
		}
		if got := b.until(cc, one, n); !slices.Equal(got, numbers(from, n)) {
			t.Errorf("partition %d: %d values, wrong or not in order", p, len(got))
		}
	}
}

func chosen(t *testing.T, b *bench) {
	const n = 5
	b.create("s", n)
	o := b.outbox()
	if got, err := o.Partitions(b.context(), "s"); got != n || err != nil {
		t.Fatalf("Partitions: %d, %v", got, err)
	}
	want := map[int32][]string{}
	add := func(p int32, r system.Record) {
		r.Stream = "s"
		want[p] = append(want[p], string(r.Value))
		b.ok(o.Send(r))
	}
	for i := range 50 {
		v := fmt.Append(nil, i)
		key := fmt.Sprint("key ", i)
		byHash, _ := system.KeyPartition(key, n)
		add(byHash, system.Record{PartitionKey: key, Key: []byte("other"), Value: v})
		byNumber, _ := system.KeyPartition(int64(i)<<33, n)
		add(byNumber, system.Record{PartitionKey: int64(i) << 33, Value: v})
		add(system.BytesPartition([]byte(key), n), system.Record{Key: []byte(key), Value: v})
		add(system.BytesPartition([]byte(key), n), system.Record{PartitionKey: []byte("x"), Key: []byte(key), Value: v})
		add(int32(i%n), system.Record{At: int32(i%n) + 1, PartitionKey: "x", Key: []byte(key), Value: v})
	}
	b.ok(o.Flush(b.context()))
	for p := range int32(n) {
		var got []string
		_, err := b.s.Read(b.context(), "s", p, system.Oldest, system.End, func(ms []task.Message) error {
			for _, m := range ms {
				got = append(got, string(m.ValueBytes))
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want[p]) {
			t.Errorf("partition %d: %v, %v; want %v", p, got, err, want[p])
		}
	}
}

func positions(t *testing.T, b *bench) {
	b.create("s", 3)
	for p := range int32(3) {
		b.fill("s", p, 0, 10)
	}
	c, src := b.consumer("s", 4, system.End, 10)
	if got := b.until(c, src[0], 10); !slices.Equal(got, numbers(4, 6)) {
		t.Errorf("from 4: %v", got)
	}
	// The ends were settled before these were written, or they are among them:
	// Poll has not been called for the others otherwise.
	b.fill("s", 2, 10, 2)
	if got := b.until(c, src[2], 12); !slices.Equal(got, numbers(10, 2)) {
		t.Errorf("from 10, the end: %v", got)
	}
	ends, err := b.admin().Offsets(b.context(), "s")
	got := ""
	for _, e := range ends {
		got += fmt.Sprintf("[%d %d %d]", e.Oldest, e.Next, e.Stable)
		if e.Topic != ends[0].Topic {
			t.Errorf("the partitions are of the topics %v", ends)
		}
	}
	if want := "[0 10 10][0 10 10][0 12 12]"; err != nil || got != want {
		t.Errorf("Offsets: %s, %v; want %s", got, err, want)
	}
	if err := c.Assign(src[0], -7); err == nil {
		t.Error("an impossible offset is taken")
	}
}

func moved(t *testing.T, b *bench) {
	b.create("s", 1)
	b.fill("s", 0, 0, 10)
	c, src := b.consumer("s", 8)
	if got := b.until(c, src[0], 10); !slices.Equal(got, numbers(8, 2)) {
		t.Errorf("from 8: %v", got)
	}
	b.ok(c.Assign(src[0], 3))
	if got := b.until(c, src[0], 10); !slices.Equal(got, numbers(3, 7)) {
		t.Errorf("moved to 3: %v", got)
	}
}

func paused(t *testing.T, b *bench) {
	b.create("s", 2)
	b.fill("s", 0, 0, 5)
	b.fill("s", 1, 0, 5)
	c, src := b.consumer("s", 0, 0)
	c.Pause(src[0])
	b.until(c, src[1], 5)
	b.fill("s", 1, 5, 5)
	b.until(c, src[1], 10)
	c.Resume(src[0])
	if got := b.until(c, src[0], 5); !slices.Equal(got, numbers(0, 5)) {
		t.Errorf("after Resume: %v", got)
	}
	c.Pause(src...)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	b.fill("s", 0, 5, 1)
	for {
		// What was fetched before the pause may still come.
		if _, err := c.Poll(ctx); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Poll: %v", err)
			}
			break
		}
	}
}

func pollEnds(t *testing.T, b *bench) {
	b.create("s", 1)
	c, _ := b.consumer("s", 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.Poll(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Poll: %v", err)
	}
}

func reads(t *testing.T, b *bench) {
	b.create("s", 1)
	b.fill("s", 0, 0, 2000)
	for _, tt := range []struct{ from, to, first, n, end int64 }{
		{system.Oldest, system.End, 0, 2000, 2000},
		{0, 2000, 0, 2000, 2000},
		{17, 18, 17, 1, 18},
		{1990, system.End, 1990, 10, 2000},
		{2000, system.End, 2000, 0, 2000},
		{30, 20, 30, 0, 30},
	} {
		next, n := tt.first, int64(0)
		end, err := b.s.Read(b.context(), "s", 0, tt.from, tt.to, func(ms []task.Message) error {
			for _, m := range ms {
				if m.Offset != next || string(m.ValueBytes) != fmt.Sprint(next) {
					return fmt.Errorf("offset %d holds %s", m.Offset, m.ValueBytes)
				}
				next++
				n++
			}
			return nil
		})
		if err != nil || end != tt.end || n != tt.n {
			t.Errorf("Read(%d, %d): %d messages, end %d, %v; want %d and %d", tt.from, tt.to, n, end, err, tt.n, tt.end)
		}
	}
	stop := errors.New("stop")
	if _, err := b.s.Read(b.context(), "s", 0, 0, system.End, func([]task.Message) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the callback: %v", err)
	}
	// Beyond the end it waits for what comes.
	arrived := make(chan int64, 1)
	go func() {
		end, err := b.s.Read(b.context(), "s", 0, 1999, 2003, func([]task.Message) error { return nil })
		if err != nil {
			end = -1
		}
		arrived <- end
	}()
	b.fill("s", 0, 2000, 5)
	if end := <-arrived; end != 2003 {
		t.Errorf("Read up to what is written later: %d", end)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.s.Read(ctx, "s", 0, 2000, 9000, func([]task.Message) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read with an ended context: %v", err)
	}
}

func contents(t *testing.T, b *bench) {
	b.create("s", 1)
	o := b.outbox()
	headers := []task.Header{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}}
	b.ok(o.Send(system.Record{Stream: "s", Timestamp: 1234567890123, Headers: headers}))
	b.ok(o.Send(system.Record{Stream: "s", Key: []byte{}, Value: []byte{}}))
	b.ok(o.Send(system.Record{Stream: "s", Key: []byte("\x00\xff"), Value: make([]byte, 500_000)}))
	b.ok(o.Flush(b.context()))
	var got []task.Message
	_, err := b.s.Read(b.context(), "s", 0, 0, system.End, func(ms []task.Message) error { got = append(got, ms...); return nil })
	if err != nil || len(got) != 3 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	if m := got[0]; m.Timestamp != 1234567890123 || fmt.Sprint(m.Headers) != fmt.Sprint(headers) || m.KeyBytes != nil || m.ValueBytes != nil {
		t.Errorf("nothing but headers: %+v", m)
	}
	if m := got[1]; time.Since(m.Time()).Abs() > time.Hour || m.KeyBytes == nil || len(m.KeyBytes) > 0 || m.ValueBytes == nil || len(m.ValueBytes) > 0 {
		t.Errorf("empty: %+v", m)
	}
	if m := got[2]; string(m.KeyBytes) != "\x00\xff" || len(m.ValueBytes) != 500_000 {
		t.Errorf("bytes: key %q, %d bytes of value", m.KeyBytes, len(m.ValueBytes))
	}
	if m := got[2]; m.Source.System != "sys" || m.Source.Stream != "s" || m.Source.Partition != 0 {
		t.Errorf("source %+v", m.Source)
	}
}

func acknowledgements(t *testing.T, b *bench) {
	b.create("s", 2)
	p, err := b.s.Producer()
	b.ok(err)
	one, err := p.Outbox("one")
	b.ok(err)
	two, err := p.Outbox("two")
	b.ok(err)
	if _, ok := one.Acked("s", 0); ok {
		t.Error("acknowledged before anything was sent")
	}
	b.ok(one.Flush(b.context())) // nothing to wait for
	for range 3 {
		b.ok(one.Send(system.Record{Stream: "s", At: 1}))
	}
	b.ok(one.Flush(b.context()))
	b.ok(two.Send(system.Record{Stream: "s", At: 1}))
	b.ok(two.Send(system.Record{Stream: "s", At: 2}))
	b.ok(two.Flush(b.context()))
	for _, tt := range []struct {
		name      string
		o         system.Outbox
		partition int32
		want      int64
	}{{"one", one, 0, 2}, {"one", one, 1, -1}, {"two", two, 0, 3}, {"two", two, 1, 0}, {"two", two, 9, -1}} {
		got, ok := tt.o.Acked("s", tt.partition)
		if ok != (tt.want >= 0) || ok && got != tt.want {
			t.Errorf("Acked of %s, partition %d: %d, %v; want %d", tt.name, tt.partition, got, ok, tt.want)
		}
	}
}

func failures(t *testing.T, b *bench) {
	b.create("s", 1)
	p, err := b.s.Producer()
	b.ok(err)
	bad, err := p.Outbox("bad")
	b.ok(err)
	good, err := p.Outbox("good")
	b.ok(err)
	first := bad.Send(system.Record{Stream: "nope"})
	if !errors.Is(first, system.ErrNoStream) {
		t.Fatalf("Send to a missing stream: %v", first)
	}
	if err := bad.Send(system.Record{Stream: "s"}); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Send after a failure: %v", err)
	}
	if err := bad.Flush(b.context()); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Flush after a failure: %v", err)
	}
	b.ok(good.Send(system.Record{Stream: "s"}))
	b.ok(good.Flush(b.context()))
}

func missing(t *testing.T, b *bench) {
	b.create("s", 1)
	ctx := b.context()
	if _, err := b.admin().Offsets(ctx, "nope"); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Offsets: %v", err)
	}
	if _, err := b.outbox().Partitions(ctx, "nope"); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Partitions: %v", err)
	}
	nothing := func([]task.Message) error { return nil }
	if _, err := b.s.Read(ctx, "nope", 0, system.Oldest, system.End, nothing); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Read of a missing stream: %v", err)
	}
	if _, err := b.s.Read(ctx, "s", 5, 0, 10, nothing); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Read of a missing partition: %v", err)
	}
	if _, err := b.s.Read(ctx, "s", 0, 100, 200, nothing); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("Read beyond the end: %v", err)
	}
	c, _ := b.consumer("s", 100)
	if _, err := c.Poll(ctx); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("Poll beyond the end: %v", err)
	}
}

func closed(t *testing.T, b *bench) {
	b.create("s", 1)
	c, src := b.consumer("s", 0)
	b.ok(c.Close())
	b.ok(c.Close())
	if _, err := c.Poll(b.context()); err == nil {
		t.Error("a closed consumer polls")
	}
	if err := c.Assign(src[0], 0); err == nil {
		t.Error("a closed consumer takes a partition")
	}
	p, err := b.s.Producer()
	b.ok(err)
	o, err := p.Outbox("x")
	b.ok(err)
	b.ok(o.Close())
	if err := o.Send(system.Record{Stream: "s"}); err == nil {
		t.Error("a closed outbox sends")
	}
	b.ok(p.Close())
	b.ok(p.Close())
	b.ok(b.s.Close())
	if _, err := b.s.Consumer(); err == nil {
		t.Error("a closed system gives a consumer")
	}
	if _, err := b.s.Producer(); err == nil {
		t.Error("a closed system gives a producer")
	}
}
