package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"heddle/system"
	"heddle/system/memory"
)

// flushes counts the flushes of the outboxes of a system.
type flushes struct {
	*memory.System
	n    int
	gate chan struct{}
}

func (f *flushes) Producer() (system.Producer, error) {
	p, err := f.System.Producer()
	return flushProducer{p, f}, err
}

type flushProducer struct {
	system.Producer
	f *flushes
}

func (p flushProducer) Outbox(name string) (system.Outbox, error) {
	o, err := p.Producer.Outbox(name)
	return flushOutbox{o, p.f}, err
}

type flushOutbox struct {
	system.Outbox
	f *flushes
}

func (o flushOutbox) Flush(ctx context.Context) error {
	if o.f.n++; o.f.n == 1 {
		<-o.f.gate
	}
	return o.Outbox.Flush(ctx)
}

// TestTasksShareABatch: while the broker is waited for, a thousand tasks come,
// and all of them go with the next wait.
func TestTasksShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker()
		o := options(b)
		f := &flushes{System: memory.New("kafka", b), gate: make(chan struct{})}
		o.System = f
		k := NewKafka(o)
		if err := k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 1001 {
			wg.Go(func() {
				if err := k.Write(t.Context(), fmt.Sprint("Partition ", i), at(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(f.gate)
		wg.Wait()
		if f.n > 2 {
			t.Errorf("%d waits for 1001 tasks", f.n)
		}
		if n := len(b.Records(o.Topic, 0)); n != 2002 {
			t.Errorf("%d records", n)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWriteWaitsForTheAcknowledgement: before it there is no checkpoint.
func TestWriteWaitsForTheAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker()
		k := NewKafka(options(b))
		if err := k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		refused := errors.New("refused")
		fail := false
		b.SetFaults(memory.Faults{Ack: func(string, system.Record) error {
			<-gate
			if fail {
				return refused
			}
			return nil
		}})
		done := make(chan error, 1)
		write := func(offset string) { done <- k.Write(t.Context(), "t", at(offset)) }
		go write("1")
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it returned before the acknowledgement: %v", err)
		default:
		}
		if _, ok := k.Last("t"); ok {
			t.Error("there is a checkpoint before the acknowledgement")
		}
		gate <- struct{}{}
		gate <- struct{}{}
		if err := <-done; err != nil {
			t.Fatal(err)
		}

		// One whose context ends gets its error.
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { done <- k.Write(ctx, "t", at("2")) }()
		synctest.Wait()
		cancel(errors.New("told to stop"))
		if err := <-done; err == nil || !strings.Contains(err.Error(), "told to stop") {
			t.Errorf("%v", err)
		}
		fail = true
		close(gate)
		synctest.Wait()
		// What was refused once is refused from then on.
		go write("3")
		if err := <-done; !errors.Is(err, refused) || !strings.Contains(err.Error(), `task "t"`) {
			t.Errorf("%v", err)
		}
		if c, _ := k.Last("t"); c.Changelogs["counts"].Offset != "1" {
			t.Errorf("%+v", c)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		if err := k.Write(t.Context(), "t", at("4")); !errors.Is(err, errClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestCloseEndsWaitingWrites: a broker that never answers holds nobody.
func TestCloseEndsWaitingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker()
		k := NewKafka(options(b))
		if err := k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		b.SetFaults(memory.Faults{Ack: func(string, system.Record) error { <-gate; return nil }})
		done := make(chan error, 2)
		for i := range 2 {
			go func() { done <- k.Write(t.Context(), fmt.Sprint("t", i), at("1")) }()
		}
		synctest.Wait()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-done; err == nil {
				t.Error("a write that was never acknowledged returned without an error")
			}
		}
		close(gate)
		synctest.Wait()
	})
}
