package memory

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"heddle/system"
	"heddle/task"
)

func setUp(t *testing.T, partitions int32) (*Broker, *System) {
	t.Helper()
	b := NewBroker()
	if err := b.Create(system.StreamSpec{Name: "in", Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	s := New("mem", b)
	t.Cleanup(func() { s.Close() })
	return b, s
}

func fill(t *testing.T, b *Broker, partition int32, n int) {
	t.Helper()
	for i := range n {
		if _, err := b.Append("in", partition, nil, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConsumerReadsInOrderAndPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := setUp(t, 2)
		fill(t, b, 0, 3)
		fill(t, b, 1, 2)
		c, err := s.Consumer()
		if err != nil {
			t.Fatal(err)
		}
		zero, one := &task.Source{System: "mem", Stream: "in", Partition: 0}, &task.Source{System: "mem", Stream: "in", Partition: 1}
		if err := c.Assign(zero, system.Oldest); err != nil {
			t.Fatal(err)
		}
		if err := c.Assign(one, 1); err != nil {
			t.Fatal(err)
		}
		batches, err := c.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(summary(batches))
		if want := "[0: 0 1 2 next 3 1: 1 next 2]"; got != want {
			t.Errorf("Poll: %s, want %s", got, want)
		}

		c.Pause(zero)
		fill(t, b, 0, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan string)
		go func() {
			batches, err := c.Poll(ctx)
			done <- fmt.Sprint(summary(batches), err)
		}()
		synctest.Wait()
		select {
		case got := <-done:
			t.Fatalf("Poll returned while all was paused: %s", got)
		default:
		}
		c.Resume(zero)
		if got, want := <-done, "[0: 3 next 4] <nil>"; got != want {
			t.Errorf("after Resume: %s, want %s", got, want)
		}
		cancel()
		if _, err := c.Poll(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Poll after cancel: %v", err)
		}
	})
}

func TestGapsMoveThePosition(t *testing.T) {
	b, s := setUp(t, 1)
	fill(t, b, 0, 3)
	if err := b.Skip("in", 0, 2); err != nil { // offsets 3 and 4 hold nothing
		t.Fatal(err)
	}
	if err := b.Remove("in", 0, 1); err != nil {
		t.Fatal(err)
	}
	var seen []int64
	end, err := s.Read(t.Context(), "in", 0, system.Oldest, system.End, func(ms []task.Message) error {
		for _, m := range ms {
			seen = append(seen, m.Offset)
		}
		return nil
	})
	if err != nil || end != 5 || fmt.Sprint(seen) != "[0 2]" {
		t.Errorf("Read: end %d, offsets %v, error %v; want 5, [0 2]", end, seen, err)
	}
	if err := b.Trim("in", 0, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), "in", 0, 0, system.End, nil); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("Read of trimmed offsets: %v", err)
	}
}

func TestReadStopsAtTheStableOffset(t *testing.T) {
	b, s := setUp(t, 1)
	fill(t, b, 0, 5)
	if err := b.SetStable("in", 0, 3); err != nil {
		t.Fatal(err)
	}
	n := 0
	end, err := s.Read(t.Context(), "in", 0, 0, system.End, func(ms []task.Message) error { n += len(ms); return nil })
	if end != 3 || n != 3 || err != nil {
		t.Errorf("Read: end %d, %d messages, %v; want 3, 3", end, n, err)
	}
}

func TestOutboxFailureIsSticky(t *testing.T) {
	b, s := setUp(t, 1)
	p, _ := s.Producer()
	o, _ := p.Outbox("Partition 0")
	broken := errors.New("broken")
	if err := o.Send(system.Record{Stream: "in", Value: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	b.SetFaults(Faults{Ack: func(string, system.Record) error { return broken }})
	if err := o.Send(system.Record{Stream: "in", Value: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if err := o.Flush(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Flush: %v", err)
	}
	b.SetFaults(Faults{})
	if err := o.Send(system.Record{Stream: "in", Value: []byte("c")}); !errors.Is(err, broken) {
		t.Errorf("Send after a failure: %v", err)
	}
	if offset, ok := o.Acked("in", 0); !ok || offset != 0 {
		t.Errorf("Acked: %d %v, want 0", offset, ok)
	}
	if n := len(b.Records("in", 0)); n != 1 {
		t.Errorf("%d records stored, want 1", n)
	}
}

func TestFlushWaitsForSlowAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := setUp(t, 1)
		release := make(chan struct{})
		b.SetFaults(Faults{Ack: func(string, system.Record) error { <-release; return nil }})
		p, _ := s.Producer()
		o, _ := p.Outbox("x")
		for i := range 3 {
			if err := o.Send(system.Record{Stream: "in", Value: []byte{byte(i)}}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- o.Flush(ctx) }()
		synctest.Wait()
		if n := len(b.Records("in", 0)); n != 0 {
			t.Errorf("%d records written before the acknowledgement", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Flush with an ended context: %v", err)
		}
		close(release)
		if err := o.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for i, r := range b.Records("in", 0) {
			if r.Offset != int64(i) || r.Value[0] != byte(i) {
				t.Errorf("record %d: %+v", i, r)
			}
		}
	})
}

func TestMissingStream(t *testing.T) {
	b, s := setUp(t, 1)
	p, _ := s.Producer()
	o, _ := p.Outbox("x")
	if _, err := o.Partitions(t.Context(), "nope"); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Partitions: %v", err)
	}
	a, _ := s.Admin()
	infos, err := a.Describe(t.Context(), "nope", "in")
	if err != nil || len(infos) != 1 || infos["in"].Partitions != 1 {
		t.Errorf("Describe: %v, %v", infos, err)
	}
	b.AutoPartitions = 3
	if n, err := o.Partitions(t.Context(), "nope"); n != 3 || err != nil {
		t.Errorf("Partitions of a stream made by itself: %d, %v", n, err)
	}
}

func summary(batches []system.Batch) []string {
	var out []string
	for _, b := range batches {
		s := fmt.Sprintf("%d:", b.Source.Partition)
		for _, m := range b.Messages {
			s += fmt.Sprint(" ", m.Offset)
		}
		out = append(out, s+fmt.Sprint(" next ", b.Next))
	}
	return out
}
