package container

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heddle/system"
	"heddle/task"
)

// scripted is a consumer whose polls the test answers.
type scripted struct {
	answers chan []system.Batch

	mu     sync.Mutex
	polls  int
	paused map[int32]bool
}

func newScripted() *scripted {
	return &scripted{answers: make(chan []system.Batch), paused: map[int32]bool{}}
}

func (s *scripted) Assign(*task.Source, int64) error { return nil }
func (s *scripted) Close() error                     { return nil }

func (s *scripted) Poll(ctx context.Context) ([]system.Batch, error) {
	s.mu.Lock()
	s.polls++
	s.mu.Unlock()
	select {
	case b := <-s.answers:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scripted) Pause(src ...*task.Source)  { s.mark(src, true) }
func (s *scripted) Resume(src ...*task.Source) { s.mark(src, false) }

func (s *scripted) mark(src []*task.Source, paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range src {
		s.paused[p.Partition] = paused
	}
}

func (s *scripted) state() (polls int, paused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls, fmt.Sprint(s.paused)
}

// bench is a fetcher over two partitions with a bound of 100 messages each.
type fetchBench struct {
	*scripted
	f       *fetcher
	sources [2]*task.Source
	lanes   [2]*lane
	next    [2]int64
}

func newFetchBench(ctx context.Context) *fetchBench {
	b := &fetchBench{scripted: newScripted()}
	b.f = newFetcher(b.scripted, pollInterval)
	for i := range b.sources {
		b.sources[i] = &task.Source{System: "mem", Stream: "in", Partition: int32(i)}
		sig := newSignals()
		b.lanes[i] = &lane{source: b.sources[i], inbox: &inbox{sig: &sig}, until: noEnd}
		b.f.add(b.sources[i], bounds{messages: 100}, b.lanes[i])
	}
	go func() { _ = b.f.run(ctx) }()
	return b
}

// batch is n messages of partition p; more says that it has more.
func (b *fetchBench) batch(p int, n int, more bool) system.Batch {
	ms := make([]task.Message, n)
	for i := range ms {
		ms[i] = task.Message{Source: b.sources[p], Offset: b.next[p] + int64(i)}
	}
	b.next[p] += int64(n)
	end := b.next[p]
	if more {
		end += 1000
	}
	return system.Batch{Source: b.sources[p], Messages: ms, Next: b.next[p], HighWatermark: end}
}

// consume works through all batches of a partition, or the first n.
func (b *fetchBench) consume(p, n int) {
	l := b.lanes[p]
	l.inbox.mu.Lock()
	n = min(n, len(l.mail))
	done := l.mail[:n]
	l.mail = l.mail[n:]
	l.inbox.mu.Unlock()
	for _, parcel := range done {
		b.f.consumed(l.feed, parcel.count, parcel.bytes)
	}
}

func TestNothingIsPolledWhileAllIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newFetchBench(ctx)
		b.answers <- []system.Batch{b.batch(0, 500, true), b.batch(1, 500, true)}
		pass(time.Minute)
		if polls, paused := b.state(); polls != 1 || paused != "map[]" {
			t.Errorf("%d polls, paused %s; want one, and nothing paused", polls, paused)
		}
		b.consume(1, 1) // one runs low
		synctest.Wait()
		if polls, _ := b.state(); polls != 2 {
			t.Errorf("%d polls after a buffer ran low, want 2", polls)
		}
		cancel()
	})
}

func TestIdlePartitionIsLookedAtWhileOthersAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newFetchBench(ctx)
		b.answers <- []system.Batch{b.batch(0, 500, true)}
		synctest.Wait()
		if polls, _ := b.state(); polls != 1 {
			t.Errorf("%d polls at once, want 1", polls)
		}
		pass(pollInterval)
		synctest.Wait()
		if polls, _ := b.state(); polls != 2 {
			t.Errorf("%d polls after the interval, want 2", polls)
		}
		cancel()
	})
}

func TestFarAheadIsPausedAndResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newFetchBench(ctx)
		// Each poll brings more of 0 and nothing of 1.
		b.answers <- []system.Batch{b.batch(0, 400, true)}
		pass(pollInterval)
		if _, paused := b.state(); paused != "map[]" {
			t.Errorf("paused %s after one batch", paused)
		}
		b.answers <- []system.Batch{b.batch(0, 200, true)}
		synctest.Wait()
		if _, paused := b.state(); paused != "map[0:true]" {
			t.Errorf("paused %s, want partition 0: it is six times its bound ahead", paused)
		}
		b.consume(0, 1)
		if _, paused := b.state(); paused != "map[0:true]" {
			t.Errorf("paused %s, want partition 0 still: its buffer is full", paused)
		}
		b.consume(0, 1)
		if _, paused := b.state(); paused != "map[0:false]" {
			t.Errorf("paused %s, want none: the buffer is empty", paused)
		}
		cancel()
	})
}

// What is read to its wanted end is not fetched any more.
func TestFinishedPartitionIsPausedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newFetchBench(ctx)
		b.lanes[0].until = 10
		b.answers <- []system.Batch{b.batch(0, 15, true)}
		synctest.Wait()
		if got := len(b.lanes[0].mail[0].messages); got != 10 {
			t.Errorf("%d messages, want the 10 before the end", got)
		}
		b.consume(0, 1)
		if _, paused := b.state(); paused != "map[0:true]" {
			t.Errorf("paused %s", paused)
		}
		// The other one alone decides from now on.
		b.answers <- []system.Batch{b.batch(1, 500, true)}
		pass(time.Minute)
		if polls, _ := b.state(); polls != 2 {
			t.Errorf("%d polls, want 2", polls)
		}
		cancel()
	})
}

// A broadcast partition goes to each of its tasks, from where each of them is.
func TestBroadcast(t *testing.T) {
	r := newRig(t, 2)
	r.until = true
	r.fill(0, numbers(10)...)
	r.fill(1, numbers(3)...)
	var mu sync.Mutex
	got := map[string]int{}
	r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
		mu.Lock()
		defer mu.Unlock()
		got[fmt.Sprintf("%s reads %d", ctx.TaskName(), m.Source.Partition)]++
		return nil
	}}.factory()
	run := func() {
		c := r.container()
		for name, tm := range c.opts.Model.Tasks {
			if name == "Partition 1" {
				tm.Inputs = append(tm.Inputs, c.opts.Model.Tasks["Partition 0"].Inputs...)
				c.opts.Model.Tasks[name] = tm
			}
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	want := "map[Partition 0 reads 0:10 Partition 1 reads 0:10 Partition 1 reads 1:3]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	// One of the two lost its checkpoint: it alone reads again.
	delete(r.checkpoints.last, "Partition 1")
	clear(got)
	run()
	want = "map[Partition 1 reads 0:10 Partition 1 reads 1:3]"
	if fmt.Sprint(got) != want {
		t.Errorf("the second run: %v, want %s", got, want)
	}
}
