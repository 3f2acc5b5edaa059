package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// exactly makes the job an exactly-once one. It commits when a test asks for it,
// or when its tasks do.
func (r *rig) exactly() *rig {
	r.inTopic = true
	return r.set("heddle.processing.guarantee", "exactly-once", "task.commit.ms", "3600000")
}

// The order of a commit that is a transaction, as the outside sees it: another
// order fails.
func TestExactlyOnceCommitOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).store().exactly()
		r.newTask = counting(1000)
		var mu sync.Mutex
		var order []string
		note := func(s string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, s)
		}
		topic := checkpoint.Topic("test", "1")
		gate := make(chan struct{}, 100)
		for range 10 {
			gate <- struct{}{} // the commit at the start
		}
		r.broker.SetFaults(memory.Faults{
			Send: func(_ string, rec system.Record) error {
				if rec.Stream != "out" {
					note("sent " + rec.Stream)
				}
				return nil
			},
			Ack: func(_ string, rec system.Record) error {
				<-gate
				note("acknowledged " + rec.Stream)
				return nil
			},
			Transaction: func(method, id string) error {
				note(method + " " + id)
				return nil
			},
		})
		r.failpoint = func(_ string, s Step) error {
			if s == StepApplied {
				note("applied")
			}
			return nil
		}
		c, end := r.begin(t.Context())
		synctest.Wait()
		if len(order) == 0 || order[0] != "TakeOver heddle-test-1-Partition 0" {
			t.Errorf("it began with %v", order)
		}
		for len(gate) > 0 {
			<-gate
		}
		order = nil
		r.fill(0, "a")
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("before the commit: %v", order)
		}
		c.CommitAll()
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "sent log" {
			t.Errorf("before the acknowledgements: %s", got)
		}
		gate <- struct{}{}
		synctest.Wait()
		if got := strings.Join(order, ", "); got != "sent log, acknowledged out" {
			t.Errorf("before the changelog's acknowledgement: %s", got)
		}
		gate <- struct{}{}
		synctest.Wait()
		want := "sent log, acknowledged out, acknowledged log, sent T, sent T"
		if got := strings.ReplaceAll(strings.Join(order, ", "), topic, "T"); got != want {
			t.Errorf("before the checkpoint's acknowledgement: %s\nwant: %s", got, want)
		}
		if got := r.out(); len(got) != 0 {
			t.Errorf("seen before the commit: %v", got)
		}
		close(gate)
		synctest.Wait()
		want += ", acknowledged T, acknowledged T, Commit heddle-test-1-Partition 0, applied"
		if got := strings.ReplaceAll(strings.Join(order, ", "), topic, "T"); got != want {
			t.Errorf("the commit did: %s\nwant: %s", got, want)
		}
		if got := r.out(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("out: %v", got)
		}
		r.stopNow(end)
	})
}

// A container whose tasks were taken over writes nothing more, says why, and
// does not end as if all were well; its successor is not disturbed.
func TestZombie(t *testing.T) {
	for _, idle := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2).store().exactly()
			r.newTask = counting(1000)
			r.fill(0, "a")
			old, endOld := r.begin(t.Context())
			synctest.Wait()
			if idle { // it wrote nothing since its last commit
				old.CommitAll()
				synctest.Wait()
			}
			young, endYoung := r.begin(t.Context())
			synctest.Wait()
			r.fill(0, "b") // both read it
			r.fill(1, "c")
			synctest.Wait()
			young.CommitAll()
			old.CommitAll()
			synctest.Wait()
			old.Stop("the application master no longer counts this process")
			err := endOld()
			if !errors.Is(err, system.ErrFenced) || exitCode(err) != 1 || !strings.Contains(err.Error(), "taken over") {
				t.Errorf("the old one ended with code %d: %v", exitCode(err), err)
			}
			young.CommitAll()
			synctest.Wait()
			r.current = young
			r.stopNow(endYoung)
			r.exact(map[string]int64{"a": 1, "b": 1, "c": 1}, 3, 0)
		})
	}
}

// What an open transaction of another task hides of the checkpoint topic is
// found without waiting for it: an older checkpoint would process inputs twice.
// What a stranger wrote of the task's own checkpoints is waited for.
func TestCheckpointBehindAnOpenTransaction(t *testing.T) {
	for name, waits := range map[string]bool{"Partition 9": false, "Partition 0": true} {
		t.Run(name, func(t *testing.T) { behindAnOpenTransaction(t, name, waits) })
	}
}

func behindAnOpenTransaction(t *testing.T, task string, waits bool) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).store().exactly()
		r.newTask = counting(1)
		_, end := r.begin(t.Context())
		synctest.Wait()
		sys := memory.New("mem", r.broker)
		defer sys.Close()
		other, err := sys.TakeOver(t.Context(), system.TransactionOptions{ID: "another", Name: "other"})
		r.must(err)
		topic := checkpoint.Topic("test", "1")
		log := checkpoint.NewKafka(checkpoint.KafkaOptions{System: sys, Topic: topic, Grouper: "org.apache.samza.container.grouper.stream.GroupByPartitionFactory"})
		for _, rec := range log.Records(task, checkpoint.Checkpoint{ID: "1-1"}) {
			r.must(other.Send(rec))
		}
		r.must(other.Flush(t.Context()))
		r.fill(0, "a")
		synctest.Wait()
		r.stopNow(end)

		_, end = r.begin(t.Context())
		synctest.Wait()
		if started := of[events.Running](r.events); len(started) != 2 != waits {
			t.Errorf("%d containers began; is the second to wait? %v:\n%s", len(started), waits, r.log)
		}
		if waits {
			r.must(other.Abort(t.Context()))
			synctest.Wait()
		}
		r.fill(0, "b")
		synctest.Wait()
		r.stopNow(end)
		if !waits {
			r.must(other.Commit(t.Context()))
		}
		r.exact(map[string]int64{"a": 1, "b": 1}, 2, 0)
	})
}

// Ends at which no record lies: markers, aborted and compacted tails of every
// topic that a start reads to its end.
func TestEndsWithoutARecord(t *testing.T) {
	for name, tail := range map[string]func(*rig, string, int32){
		"a marker": func(r *rig, topic string, p int32) { r.must(r.broker.Skip(topic, p, 1)) },
		"an aborted tail": func(r *rig, topic string, p int32) {
			sys := memory.New("mem", r.broker)
			defer sys.Close()
			o, err := sys.TakeOver(r.t.Context(), system.TransactionOptions{ID: "another", Name: "another"})
			r.must(err)
			r.must(o.Send(system.Record{Stream: topic, At: p + 1, Key: []byte("aborted"), Value: []byte("aborted")}))
			r.must(o.Flush(r.t.Context()))
			r.must(o.Abort(r.t.Context()))
		},
		"a compacted tail": func(r *rig, topic string, p int32) {
			at, err := r.broker.Append(topic, p, []byte("x"), []byte("1"))
			r.must(err)
			r.must(r.broker.Remove(topic, p, at))
		},
	} {
		for guarantee, g := range guarantees {
			t.Run(name+", "+guarantee, func(t *testing.T) {
				r := g.set(newRig(t, 1).store())
				r.until = true
				r.newTask = counting(1)
				want := map[string]int64{}
				for i := range 5 {
					w := strconv.Itoa(i % 2)
					want[w]++
					r.fill(0, w)
					tail(r, "in", 0)
					if err := r.run(); err != nil {
						t.Fatal(err)
					}
					tail(r, "log", 0)
					tail(r, checkpoint.Topic("test", "1"), 0)
				}
				r.exact(want, 5, 0)
			})
		}
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// The changelog is not rewritten by a restart: what a killed container wrote was
// aborted. A job that was at-least-once when it was killed left records that
// were not; these are undone once.
func TestExactlyOnceDoesNotRewriteTheChangelog(t *testing.T) {
	r := newRig(t, 1).store().exactly()
	r.until = true
	r.newTask = counting(2)
	r.fill(0, "a", "a", "a", "a", "b")
	killed := func(at Step) {
		t.Helper()
		var n atomic.Int32
		r.failpoint = func(_ string, s Step) error {
			if s == at && n.Add(1) == 3 {
				return errTest
			}
			return nil
		}
		if err := r.run(); !errors.Is(err, errTest) {
			t.Fatal(err)
		}
		r.failpoint = nil
	}
	killed(StepCheckpointSent)
	before := len(r.broker.Records("log", 0))
	idle := func(ctx task.Context, _ *task.Message) error { return errTest }
	newTask := r.newTask
	r.newTask = calls{process: idle}.factory()
	for range 3 {
		if err := r.run(); !errors.Is(err, errTest) {
			t.Fatal(err)
		}
	}
	if after := len(r.broker.Records("log", 0)); after != before {
		t.Errorf("%d records in the changelog, %d after starts that processed nothing", before, after)
	}
	r.newTask = newTask
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	r.exact(map[string]int64{"a": 4, "b": 1}, 5, 0)

	// At-least-once for a while, and killed then.
	r.set("heddle.processing.guarantee", "at-least-once", "task.commit.ms", "-1")
	r.fill(0, "c", "c", "c", "c", "d")
	killed(StepPositioned)
	r.exactly()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.log.String(), "at-least-once before") {
		t.Errorf("the log does not say that something was undone:\n%s", r.log)
	}
	want := map[string]int64{"a": 4, "b": 1, "c": 4, "d": 1}
	if got := r.state(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if got := r.state(); !maps.Equal(got, want) {
		t.Errorf("counted %v at the next start, want %v", got, want)
	}
}

// What exactly-once needs and has not is wrong configuration.
func TestExactlyOnceNeeds(t *testing.T) {
	c := config.New(map[string]string{"heddle.processing.guarantee": "exactly-once", "job.name": "test", "systems.mem.samza.factory": "memory"})
	sys := memory.New("mem", memory.NewBroker())
	defer sys.Close()
	for name, tt := range map[string]struct {
		o    Options
		says string
	}{
		"checkpoints": {Options{}, "task.checkpoint.factory"},
		"in a topic":  {Options{Checkpoints: newMemoryLog()}, "task.checkpoint.factory"},
		"a system that has": {Options{Checkpoints: checkpoint.NewKafka(checkpoint.KafkaOptions{}),
			System: func(string) (system.System, error) { return &endless{}, nil }}, `the system "mem" has not`},
	} {
		tt.o.Config = c
		_, err := newExactlyOnce(tt.o)
		if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "heddle.processing.guarantee") {
			t.Errorf("%s: code %d: %v", name, exitCode(err), err)
		}
	}
	// Two brokers.
	r := newRig(t, 1).exactly()
	r.set("systems.other.samza.factory", "memory", "job.default.system", "mem")
	r.until = true
	r.fill(0, "a")
	r.newTask = calls{process: func(ctx task.Context, m *task.Message) error {
		return ctx.Send(task.Output{Stream: "other.out", RawValue: m.ValueBytes})
	}}.factory()
	elsewhere := memory.New("other", memory.NewBroker())
	defer elsewhere.Close()
	made := r.container()
	given := made.opts.System
	made.opts.System = func(name string) (system.System, error) {
		if name == "other" {
			return elsewhere, nil
		}
		return given(name)
	}
	err := made.Run(context.Background())
	r.closeSys()
	if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), `the system "other" is on another`) {
		t.Errorf("an output on another cluster: code %d: %v", exitCode(err), err)
	}
	if got := r.offset(0); got != "none" {
		t.Errorf("checkpointed at %s", got)
	}
}

// Many tasks take over, commit and end: a thousand with HEDDLE_SOAK=1.
func TestManyTasksExactlyOnce(t *testing.T) {
	tasks := 200
	if soak() {
		tasks = 1000
	}
	r := newRig(t, int32(tasks)).store().exactly()
	r.until = true
	r.newTask = counting(1)
	for p := range int32(tasks) {
		r.fill(p, fmt.Sprint("word ", p%7))
	}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{}
	for p := range tasks {
		want[fmt.Sprint("word ", p%7)]++
	}
	r.exact(want, tasks, 0)
}
