package container

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heddle/container/events"
	"heddle/system"
	"heddle/task"
)

func numbers(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func TestReadsToTheEndAndCommits(t *testing.T) {
	r := newRig(t, 4)
	r.until = true
	r.newTask = calls{process: forward}.factory()
	for p := range int32(3) { // the fourth partition stays empty
		r.fill(p, numbers(1000)...)
	}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := len(r.out()); got != 3000 {
		t.Errorf("%d messages out, want 3000", got)
	}
	for p := range int32(3) {
		if got := r.offset(p); got != "999" {
			t.Errorf("partition %d is checkpointed at %s, want 999", p, got)
		}
	}
	if got := r.offset(3); got != "none" {
		t.Errorf("the empty partition is checkpointed at %s", got)
	}
	// A second run has nothing to do, and new messages are read once.
	r.fill(3, "new")
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := r.out(); len(got) != 3001 || got[3000] != "new" {
		t.Errorf("the second run: %d messages, want 3001 with the new one last", len(got))
	}
}

// What comes after the start is not read by --until-caught-up, so that runs
// have exact results.
func TestCaughtUpStopsAtTheEndOfTheStart(t *testing.T) {
	r := newRig(t, 1)
	r.until = true
	r.fill(0, numbers(10)...)
	first := true
	r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
		if first {
			first = false
			r.fill(0, "late", "later")
		}
		return forward(ctx, m)
	}}.factory()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := r.out(); !slices.Equal(got, numbers(10)) {
		t.Errorf("out: %v", got)
	}
	if got := r.offset(0); got != "9" {
		t.Errorf("checkpointed at %s, want 9", got)
	}
}

// The end of an input may be a gap that transactions or compaction left.
func TestCaughtUpAcrossGaps(t *testing.T) {
	for name, gap := range map[string]func(*rig) error{
		"behind the last message": func(r *rig) error { return r.broker.Skip("in", 0, 3) },
		"nothing but a gap":       func(r *rig) error { return r.broker.Trim("in", 0, 5) },
		"in the middle":           func(r *rig) error { return r.broker.Remove("in", 0, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.until = true
			r.fill(0, numbers(5)...)
			if err := gap(r); err != nil {
				t.Fatal(err)
			}
			r.newTask = calls{process: forward}.factory()
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
			if got, want := len(r.out()), len(r.broker.Records("in", 0)); got != want {
				t.Errorf("%d messages out, want %d", got, want)
			}
		})
	}
}

func TestGracefulStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.newTask = calls{
			process: forward,
			stop: func(ctx task.Context) error {
				return ctx.Send(task.Output{Stream: "mem.out", RawValue: []byte("last of " + ctx.TaskName())})
			},
		}.factory()
		r.fill(0, "a", "b")
		c, end := r.begin(t.Context())
		synctest.Wait()
		began := time.Now()
		c.Stop("the test says so")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the stop of an idle container waited %v for something", took)
		}
		got := r.out()
		if len(got) != 4 || !slices.Contains(got, "last of Partition 0") || !slices.Contains(got, "last of Partition 1") {
			t.Errorf("out: %v", got)
		}
		if got := r.offset(0); got != "1" {
			t.Errorf("checkpointed at %s, want 1", got)
		}
		if len(of[events.Stopping](r.events)) != 1 || len(of[events.Stopped](r.events)) != 1 {
			t.Error("events of the stop are missing or came twice")
		}
	})
}

// What is in flight is finished, what is not begun is left: it is not
// processed, and no offset passes it.
func TestStopLeavesWhatIsNotBegun(t *testing.T) {
	r := newRig(t, 1)
	r.fill(0, numbers(1000)...)
	var c *Container
	var end func() error
	started := make(chan struct{})
	r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
		<-started
		if m.Offset == 10 {
			c.Stop("now")
		}
		return forward(ctx, m)
	}}.factory()
	c, end = r.begin(t.Context())
	close(started)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if got := len(r.out()); got != 11 {
		t.Errorf("%d messages out, want 11", got)
	}
	if got := r.offset(0); got != "10" {
		t.Errorf("checkpointed at %s, want 10", got)
	}
}

// The end of the context ends at once: no commit, no Stop, but Close.
func TestEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		stopped, closed := 0, 0
		r.newTask = calls{
			process: forward,
			stop:    func(task.Context) error { stopped++; return nil },
			close:   func() error { closed++; return nil },
		}.factory()
		r.fill(0, "a")
		ctx, cancel := context.WithCancel(t.Context())
		_, end := r.begin(ctx)
		synctest.Wait()
		cancel()
		if err := end(); err == nil || !strings.Contains(err.Error(), "without a commit") {
			t.Errorf("Run: %v", err)
		}
		if stopped != 0 || closed != 1 || r.offset(0) != "none" {
			t.Errorf("Stop %d times, Close %d times, checkpointed at %s", stopped, closed, r.offset(0))
		}
	})
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).set("task.window.ms", "1000", "task.commit.ms", "3000")
		var windows []time.Duration
		start := time.Now()
		r.newTask = calls{window: func(ctx task.Context) error {
			windows = append(windows, time.Since(start))
			if len(windows) == 2 {
				pass(2500 * time.Millisecond) // two windows fall into this one and become one
			}
			return nil
		}}.factory()
		c, end := r.begin(t.Context())
		pass(7500 * time.Millisecond)
		synctest.Wait()
		c.Stop("enough")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		want := "[1s 2s 4.5s 5s 6s 7s]"
		if got := fmt.Sprint(windows); got != want {
			t.Errorf("windows at %v, want %v", got, want)
		}
		// At 3 s (late, after the window) and 6 s, and the last one.
		if got := r.checkpoints.count(); got != 3 {
			t.Errorf("%d commits, want 3", got)
		}
	})
}

func TestCommitsOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
			switch string(m.ValueBytes) {
			case "mine":
				ctx.Commit(task.ThisTask)
			case "all":
				ctx.Commit(task.Container)
			}
			return nil
		}}.factory()
		_, end := r.begin(t.Context())
		step := func(p int32, v, zero, one string) {
			t.Helper()
			r.fill(p, v)
			synctest.Wait()
			if r.offset(0) != zero || r.offset(1) != one {
				t.Errorf("after %q in %d: checkpointed at %s and %s, want %s and %s", v, p, r.offset(0), r.offset(1), zero, one)
			}
		}
		step(0, "plain", "none", "none")
		step(1, "plain", "none", "none")
		step(0, "mine", "1", "none")
		step(1, "all", "1", "1")
		r.stopNow(end)
	})
}

func (r *rig) stopNow(end func() error) {
	// The last container made is the one that runs.
	r.t.Helper()
	r.current.Stop("end of the test")
	if err := end(); err != nil {
		r.t.Error(err)
	}
}

func TestShutdownByConsensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
			if string(m.ValueBytes) == "done" {
				ctx.Shutdown(task.ThisTask)
				ctx.Shutdown(task.ThisTask) // a second vote does not count
			}
			return forward(ctx, m)
		}}.factory()
		_, end := r.begin(t.Context())
		r.fill(0, "done")
		synctest.Wait()
		r.fill(0, "goes on")
		synctest.Wait()
		if got := len(r.out()); got != 2 {
			t.Fatalf("%d messages out, want 2: a task that has voted goes on", got)
		}
		r.fill(1, "done")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if r.offset(0) != "1" || r.offset(1) != "0" {
			t.Errorf("checkpointed at %s and %s", r.offset(0), r.offset(1))
		}
	})
}

func TestShutdownOfTheContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
			ctx.Shutdown(task.Container)
			return forward(ctx, m)
		}}.factory()
		_, end := r.begin(t.Context())
		r.fill(0, "a")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if r.offset(0) != "0" {
			t.Errorf("checkpointed at %s", r.offset(0))
		}
	})
}

// A start at the newest message is written down before anything else, so that
// a container that is killed before its first commit skips nothing.
func TestStartAtTheNewestIsSealed(t *testing.T) {
	t.Run("at-least-once", func(t *testing.T) { startAtTheNewestIsSealed(t, (*rig).store) })
	t.Run("exactly-once", func(t *testing.T) { startAtTheNewestIsSealed(t, func(r *rig) *rig { return r.store().exactly() }) })
}

func startAtTheNewestIsSealed(t *testing.T, set func(*rig) *rig) {
	synctest.Test(t, func(t *testing.T) {
		r := set(newRig(t, 1)).set("systems.mem.samza.offset.default", "upcoming")
		r.newTask = calls{process: forward}.factory()
		r.fill(0, "before")
		ctx, cancel := context.WithCancel(t.Context())
		_, end := r.begin(ctx)
		synctest.Wait()
		cancel()
		_ = end() // killed
		r.fill(0, "between")
		_, end = r.begin(t.Context())
		synctest.Wait()
		r.stopNow(end)
		if got := r.out(); !slices.Equal(got, []string{"between"}) {
			t.Errorf("out: %v, want what came between the two containers", got)
		}
	})
}

// So is a start at what was preloaded: the next start preloads more, and would
// begin there.
func TestStartAtThePreloadedIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.newTask = calls{process: forward}.factory()
		in := system.Partition{System: "mem", Stream: "in", Partition: 0}
		r.preloaded = map[system.Partition]int64{in: 0}
		ctx, cancel := context.WithCancel(t.Context())
		_, end := r.begin(ctx)
		synctest.Wait()
		cancel()
		_ = end() // killed
		r.fill(0, "first", "second")
		r.preloaded[in] = 1
		_, end = r.begin(t.Context())
		synctest.Wait()
		r.stopNow(end)
		if got := r.out(); !slices.Equal(got, []string{"first", "second"}) {
			t.Errorf("out: %v, want also what came before the second start", got)
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.newTask = calls{process: forward}.factory()
		c, end := r.begin(t.Context())
		r.fill(0, "a")
		synctest.Wait()
		c.SetPaused(true)
		r.fill(0, "b")
		synctest.Wait()
		if got := r.out(); len(got) != 1 {
			t.Errorf("out while paused: %v", got)
		}
		c.SetPaused(false)
		synctest.Wait()
		if got := r.out(); len(got) != 2 {
			t.Errorf("out after the pause: %v", got)
		}
		r.stopNow(end)
	})
}

// One partition with much to do does not keep another of the same task
// waiting for long.
func TestFairBetweenPartitions(t *testing.T) {
	r := newRig(t, 2)
	r.until = true
	one := r.model()
	for range 5000 {
		r.fill(0, "many")
	}
	r.fill(1, "few")
	r.newTask = calls{process: forward}.factory()
	c := r.container()
	task0 := one.Tasks["Partition 0"]
	task0.Inputs = append(task0.Inputs, one.Tasks["Partition 1"].Inputs...)
	c.opts.Model.Tasks = map[string]jobmodelTask{"Partition 0": task0}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := r.out()
	if i := slices.Index(out, "few"); i < 0 || i > 2*quantum {
		t.Errorf("the other partition's message came as number %d of %d", i, len(out))
	}
}

// A job may do all its work in Init and end: what it sent there is safe.
func TestShutdownInInit(t *testing.T) {
	r := newRig(t, 1)
	stops := 0
	r.newTask = calls{
		init: func(ctx task.Context) error {
			ctx.Shutdown(task.Container)
			return ctx.Send(task.Output{Stream: "mem.out", RawValue: []byte("from Init")})
		},
		stop: func(task.Context) error { stops++; return nil },
	}.factory()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := r.out(); len(got) != 1 || stops != 1 || r.checkpoints.count() != 1 {
		t.Errorf("out: %v, Stop called %d times, %d commits", got, stops, r.checkpoints.count())
	}
}

func TestStopBeforeRun(t *testing.T) {
	r := newRig(t, 2)
	inits := 0
	r.newTask = calls{init: func(task.Context) error { inits++; return nil }}.factory()
	c := r.container()
	c.Stop("early")
	if err := c.Run(t.Context()); err != nil || inits != 0 {
		t.Errorf("Run: %v, Init called %d times", err, inits)
	}
}
