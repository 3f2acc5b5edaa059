package container

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heddle/jobmodel"
	"heddle/system"
	"heddle/task"
)

// ranksRig is a job of two tasks that reads mem.in and, besides, partitions of
// other streams; what each task processed is kept in order.
type ranksRig struct {
	*rig
	more map[string][]jobmodel.Input // by task

	mu  sync.Mutex
	got map[string][]string // by task: stream/partition:value
}

func newRanksRig(t *testing.T, streams map[string]int32) *ranksRig {
	t.Helper()
	r := &ranksRig{rig: newRig(t, 2), more: map[string][]jobmodel.Input{}, got: map[string][]string{}}
	for name, n := range streams {
		if err := r.broker.Create(system.StreamSpec{Name: name, Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got[ctx.TaskName()] = append(r.got[ctx.TaskName()], fmt.Sprintf("%s/%d:%s", m.Source.Stream, m.Source.Partition, m.ValueBytes))
		return nil
	}}.factory()
	return r
}

// reads gives a task further partitions.
func (r *ranksRig) reads(task, stream string, partitions ...int32) {
	for _, p := range partitions {
		r.more[task] = append(r.more[task], jobmodel.Input{System: "mem", Stream: stream, Partition: p})
	}
}

func (r *ranksRig) append(stream string, partition int32, from, n int) {
	r.t.Helper()
	for i := range n {
		if _, err := r.broker.Append(stream, partition, nil, fmt.Append(nil, from+i)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *ranksRig) container() *Container {
	c := r.rig.container()
	for name, tm := range c.opts.Model.Tasks {
		tm.Inputs = append(slices.Clone(tm.Inputs), r.more[name]...)
		c.opts.Model.Tasks[name] = tm
	}
	return c
}

func (r *ranksRig) run() map[string][]string {
	r.t.Helper()
	clear(r.got)
	c := r.container()
	defer r.closeSys()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Run(ctx); err != nil {
		r.t.Fatal(err)
	}
	return r.got
}

// summary counts runs of one stream: "rules:100 in:50".
func summary(processed []string) string {
	var parts []string
	last, n := "", 0
	for _, p := range append(processed, "/") {
		stream, _, _ := strings.Cut(p, "/")
		if stream == last {
			n++
			continue
		}
		if last != "" {
			parts = append(parts, fmt.Sprintf("%s:%d", last, n))
		}
		last, n = stream, 1
	}
	return strings.Join(parts, " ")
}

func TestBootstrapComesFirstAtEveryStart(t *testing.T) {
	r := newRanksRig(t, map[string]int32{"rules": 3})
	r.until = true
	r.set("systems.mem.streams.rules.samza.bootstrap", "true", "systems.mem.samza.fetch.threshold", "20")
	r.reads("Partition 0", "rules", 0, 2)
	r.reads("Partition 1", "rules", 1)
	for p := range int32(2) {
		r.append("in", p, 0, 5000)
	}
	for p := range int32(3) {
		r.append("rules", p, 0, 3000)
	}
	got := r.run()
	if a, b := summary(got["Partition 0"]), summary(got["Partition 1"]); a != "rules:6000 in:5000" || b != "rules:3000 in:5000" {
		t.Errorf("the first start: %s and %s", a, b)
	}
	// From the checkpoint: what came in between, and first again.
	r.append("rules", 0, 3000, 7)
	r.append("in", 0, 5000, 3)
	r.append("in", 1, 5000, 3)
	got = r.run()
	if a, b := summary(got["Partition 0"]), summary(got["Partition 1"]); a != "rules:7 in:3" || b != "in:3" {
		t.Errorf("the second start: %s and %s", a, b)
	}
	// With samza.reset.offset all of it, at every start.
	r.set("systems.mem.streams.rules.samza.reset.offset", "true")
	r.append("in", 0, 5003, 2)
	r.append("in", 1, 5003, 2)
	got = r.run()
	if a, b := summary(got["Partition 0"]), summary(got["Partition 1"]); a != "rules:6007 in:2" || b != "rules:3000 in:2" {
		t.Errorf("the third start: %s and %s", a, b)
	}
}

// A broadcast stream that bootstraps: each task reads all of it first, from
// where it is.
func TestBroadcastBootstrap(t *testing.T) {
	r := newRanksRig(t, map[string]int32{"rules": 2})
	r.until = true
	// Without the help of its priority.
	r.set("systems.mem.streams.rules.samza.bootstrap", "true", "systems.mem.streams.rules.samza.priority", "0")
	for _, name := range []string{"Partition 0", "Partition 1"} {
		r.reads(name, "rules", 0, 1)
	}
	for p := range int32(2) {
		r.append("in", p, 0, 100)
		r.append("rules", p, 0, 1000)
	}
	for name, got := range r.run() {
		if s := summary(got); s != "rules:2000 in:100" {
			t.Errorf("%s: %s", name, s)
		}
	}
	// One of the two lost its checkpoint: it alone reads again, the other waits
	// for nothing.
	delete(r.checkpoints.last, "Partition 1")
	r.append("in", 0, 100, 5)
	got := r.run()
	if a, b := summary(got["Partition 0"]), summary(got["Partition 1"]); a != "in:5" || b != "rules:2000 in:100" {
		t.Errorf("the second start: %s and %s", a, b)
	}
}

// A broadcast input waits until each of its tasks has read its bootstrap
// streams.
func TestBroadcastWaitsForBootstrap(t *testing.T) {
	r := newRanksRig(t, map[string]int32{"rules": 1, "all": 1})
	r.until = true
	r.set("systems.mem.streams.rules.samza.bootstrap", "true")
	r.reads("Partition 0", "rules", 0)
	r.reads("Partition 0", "all", 0)
	r.reads("Partition 1", "all", 0)
	r.append("rules", 0, 0, 500)
	r.append("all", 0, 0, 50)
	got := r.run()
	if a, b := summary(got["Partition 0"]), summary(got["Partition 1"]); a != "rules:500 all:50" || b != "all:50" {
		t.Errorf("%s and %s", a, b)
	}
}

// What comes to a bootstrap stream later holds nobody up, but goes first.
func TestAfterTheBootstrap(t *testing.T) {
	r := newRanksRig(t, map[string]int32{"rules": 1})
	r.set("systems.mem.streams.rules.samza.bootstrap", "true")
	r.reads("Partition 0", "rules", 0)
	r.append("rules", 0, 0, 10)
	r.append("in", 0, 0, 1)
	inner := r.newTask
	seen := make(chan string, 1000)
	r.newTask = func() task.Task {
		return calls{process: func(ctx task.Context, m *task.Message) error {
			err := inner().Process(ctx, m)
			seen <- m.Source.Stream
			return err
		}}
	}
	c := r.container()
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	for range 11 {
		<-seen
	}
	r.append("rules", 0, 10, 5)
	for range 5 {
		<-seen
	}
	r.append("in", 0, 1, 2)
	for range 2 {
		<-seen
	}
	c.Stop("the test is over")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := summary(r.got["Partition 0"]); s != "rules:10 in:1 rules:5 in:2" {
		t.Error(s)
	}
}

// TestPriorities: messages of a higher priority are next as soon as they are
// there, also within a batch of a lower one.
func TestPriorities(t *testing.T) {
	r := newRanksRig(t, map[string]int32{"urgent": 1})
	r.until = false
	r.set("systems.mem.streams.urgent.samza.priority", "2", "systems.mem.streams.in.samza.priority", "1")
	r.reads("Partition 0", "urgent", 0)
	r.append("in", 0, 0, 300)
	inner := r.newTask
	var c *Container
	n := 0
	r.newTask = func() task.Task {
		return calls{process: func(ctx task.Context, m *task.Message) error {
			if n++; n == 10 {
				// All five show at once: the first would be mail enough.
				stable := func(offset int64) error { return r.broker.SetStable("urgent", 0, offset) }
				if err := stable(0); err != nil {
					return err
				}
				r.append("urgent", 0, 0, 5)
				if err := stable(-1); err != nil {
					return err
				}
				for c.tasks[0].sig.get()&signalMail == 0 {
					runtime.Gosched()
				}
			}
			if n == 305 {
				ctx.Shutdown(task.Container)
			}
			return inner().Process(ctx, m)
		}}
	}
	c = r.container()
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := summary(r.got["Partition 0"]); s != "in:10 urgent:5 in:290" {
		t.Error(s)
	}
}

// TestHeldFeeds: a held feed holds up no poll, however full it is, and counts
// again once it is released.
func TestHeldFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &fetchBench{scripted: newScripted()}
		b.f = newFetcher(b.scripted, pollInterval)
		b.f.limit = 1000
		for i := range b.sources {
			b.sources[i] = &task.Source{System: "mem", Stream: "in", Partition: int32(i)}
			sig := newSignals()
			b.lanes[i] = &lane{source: b.sources[i], inbox: &inbox{sig: &sig}, until: noEnd}
			b.f.add(b.sources[i], bounds{messages: 100}, b.lanes[i])
		}
		b.f.hold(b.lanes[1].feed)
		b.f.hold(b.lanes[1].feed) // two tasks wait
		b.f.pauseHeld()
		ended := make(chan error)
		go func() { ended <- b.f.run(ctx) }()
		batch := func(p, n int) system.Batch {
			b.next[p] += int64(n)
			return system.Batch{Source: b.sources[p], Messages: make([]task.Message, n), Next: b.next[p], HighWatermark: 1 << 40, Bytes: 100 * n}
		}
		expect := func(what string, polls int, paused string) {
			t.Helper()
			synctest.Wait()
			if p, s := b.state(); p != polls || s != paused {
				t.Errorf("%s: %d polls, paused %s; want %d, %s", what, p, s, polls, paused)
			}
		}
		expect("at first", 1, "map[1:true]")
		// Fetched before the pause, and far beyond every bound.
		b.answers <- []system.Batch{batch(1, 500)}
		expect("the held one is full", 2, "map[1:true]")
		b.answers <- []system.Batch{batch(0, 10)}
		expect("another one has something", 3, "map[1:true]")
		b.f.release(b.lanes[1].feed)
		expect("released once", 3, "map[1:true]")
		b.f.release(b.lanes[1].feed)
		expect("released", 3, "map[1:false]")
		b.answers <- []system.Batch{batch(0, 10)}
		expect("its buffer counts", 3, "map[1:false]")
		b.f.consumed(b.lanes[1].feed, 500, 50_000)
		expect("its buffer is empty", 4, "map[1:false]")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
