package container

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heddle/container/events"
	_ "heddle/storage/engine/pebble"
	"heddle/system/memory"
	"heddle/task"
)

// counting counts its messages by value in the logged store "counts", sends
// each on to mem.out, and asks for a commit every so often.
func counting(commitEvery int) task.Factory {
	return func() task.Task {
		n := 0
		return calls{process: func(ctx task.Context, m *task.Message) error {
			if err := increment(ctx, string(m.ValueBytes)); err != nil {
				return err
			}
			if n++; n%commitEvery == 0 {
				ctx.Commit(task.ThisTask)
			}
			return ctx.Send(task.Output{Stream: "mem.out", RawKey: fmt.Appendf(nil, "%d/%d", m.Source.Partition, m.Offset), RawValue: m.ValueBytes})
		}}
	}
}

// increment counts in the logged store "counts".
func increment(ctx task.Context, key string) error {
	s, err := ctx.Store("counts")
	if err != nil {
		return err
	}
	var have int64
	if _, err := s.GetInto(key, &have); err != nil {
		return err
	}
	return s.Put(key, have+1)
}

// state reads the changelog as a restore to the committed positions would.
func (r *rig) state() map[string]int64 {
	r.t.Helper()
	got := map[string]int64{}
	dump := calls{init: func(ctx task.Context) error {
		s, err := ctx.Store("counts")
		if err != nil {
			return err
		}
		for e := range s.All() {
			if e.Err != nil {
				return e.Err
			}
			got[e.Key.(string)] += e.Value.(int64)
		}
		return nil
	}}
	newTask, failpoint, until := r.newTask, r.failpoint, r.until
	defer func() { r.newTask, r.failpoint, r.until = newTask, failpoint, until }()
	r.newTask, r.failpoint, r.until = dump.factory(), nil, true
	c := r.container()
	// The tasks' Inits run one after the other, so that got needs no lock.
	c.parallel = 1
	if err := c.Run(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.closeSys()
	return got
}

// guarantees are the settings and the steps that tests of both go through.
var guarantees = map[string]struct {
	set   func(*rig) *rig
	steps []Step
}{
	"at-least-once": {func(r *rig) *rig { r.inTopic = true; return r }, Steps},
	"exactly-once":  {(*rig).exactly, TransactionSteps},
}

// A process that is killed at any step of a commit loses nothing: counts are
// exact whatever became of the state on disk, and outputs come once
// exactly-once, twice at most otherwise.
func TestKilledAtEachStep(t *testing.T) {
	for name, g := range guarantees {
		for _, state := range []string{"memory", "pebble, kept", "pebble with its log, kept", "pebble, lost"} {
			for _, step := range g.steps {
				t.Run(name+", "+state+", "+string(step), func(t *testing.T) {
					t.Parallel()
					commits := []int32{1, 3, 4}
					if testing.Short() {
						commits = commits[1:2]
					}
					for _, which := range commits {
						for _, open := range []bool{false, true} {
							if open && name == "exactly-once" || !open {
								killedAt(t, g.set(newRig(t, 2).store()), state, step, which, open)
							}
						}
					}
				})
			}
		}
	}
}

// killedAt kills a job in that step of that commit, runs it again to its end,
// and counts. open leaves the transaction open, as SIGKILL does.
func killedAt(t *testing.T, r *rig, state string, step Step, which int32, open bool) {
	t.Helper()
	base := t.TempDir()
	died := filepath.Join(base, "as it was")
	if state != "memory" {
		r.set("stores.counts.factory", "pebble", "job.logged.store.base.dir", filepath.Join(base, "first"))
	}
	if strings.Contains(state, "log") {
		r.set("stores.counts.rocksdb.wal.enabled", "true")
	}
	r.newTask = counting(10)
	want := map[string]int64{}
	for i := range 100 {
		w := "abcd"[i*i%7%4:][:1]
		want[w]++
		r.fill(int32(i%2), w)
	}
	var reached atomic.Int32
	killed := ""
	r.failpoint = func(task string, s Step) error {
		if s != step || reached.Add(1) != which {
			return nil
		}
		killed = task
		if strings.HasSuffix(state, "kept") {
			// What a killed process leaves are its files as they are now; those of
			// the other task, which runs on, are lost.
			folder := filepath.Join("heddle-v1", "test-1", "counts", strings.ReplaceAll(task, " ", "_"))
			if err := os.CopyFS(filepath.Join(died, folder), os.DirFS(filepath.Join(base, "first", folder))); err != nil {
				return fmt.Errorf("the test's copy: %w", err)
			}
		}
		return errTest
	}
	if open {
		r.broker.SetFaults(memory.Faults{Transaction: func(method, _ string) error {
			if method == "Abort" {
				return errTest
			}
			return nil
		}})
	}
	r.until = true
	if err := r.run(); !errors.Is(err, errTest) {
		t.Fatalf("the failpoint was not reached: %v", err)
	}
	r.broker.SetFaults(memory.Faults{})
	r.failpoint = nil
	r.set("job.logged.store.base.dir", died)
	r.events = &recorder{}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.log.String(), "level=WARN") {
		t.Errorf("%v, commit %d: the next start warns:\n%s", step, which, r.log)
	}
	twice := 20
	if r.settings["heddle.processing.guarantee"] == "exactly-once" {
		twice = 0
	}
	for _, e := range of[events.Restored](r.events) {
		if e.Task == killed && e.Records > 0 && state == "pebble with its log, kept" && step == StepApplied {
			t.Errorf("%d records were restored over a state that was the committed one", e.Records)
		}
	}
	r.exact(want, 100, twice)
	if t.Failed() {
		t.Fatalf("%s, commit %d, left open %v", step, which, open)
	}
}

// exact checks the state, and counts what came out: nothing is lost, and at
// most so many come twice.
func (r *rig) exact(want map[string]int64, in, twiceAtMost int) {
	r.t.Helper()
	if twice := r.tally(want, in); twice > twiceAtMost {
		r.t.Errorf("of %d messages %d came twice; want at most %d", in, twice, twiceAtMost)
	}
}

// tally checks the state, and that none of so many outputs is lost; it gives how
// many came twice.
func (r *rig) tally(want map[string]int64, in int) (twice int) {
	r.t.Helper()
	if got := r.state(); !maps.Equal(got, want) {
		r.t.Errorf("counted %v, want %v", got, want)
	}
	seen := map[string]int{}
	for _, rec := range r.broker.Records("out", 0) {
		seen[string(rec.Key)]++
	}
	for _, n := range seen {
		twice += n - 1
	}
	if lost := in - len(seen); lost != 0 {
		r.t.Errorf("in %d, out %d, lost %d, twice %d; want none lost", in, len(seen), lost, twice)
	}
	return twice
}

// Killed between a window and the commit after it: what the window sent comes
// twice at-least-once, and once exactly-once.
func TestKilledBetweenAWindowAndItsCommit(t *testing.T) {
	for name, g := range guarantees {
		for _, open := range []bool{false, true} { // its transaction, as SIGKILL leaves it
			if open && name == "at-least-once" {
				continue
			}
			t.Run(fmt.Sprintf("%s, left open %v", name, open), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { killedAfterAWindow(t, g.set(newRig(t, 1).store()), name, open) })
			})
		}
	}
}

func killedAfterAWindow(t *testing.T, r *rig, guarantee string, open bool) {
	r.set("task.window.ms", "1000")
	r.newTask = windowing
	const each = 5
	want := map[string]int64{}
	for i := range each {
		r.fill(0, strconv.Itoa(i%3))
		want[strconv.Itoa(i%3)]++
	}
	killed := 0
	r.failpoint = func(_ string, s Step) error {
		if s == StepWindowed {
			killed++
			return errTest
		}
		return nil
	}
	if open {
		r.broker.SetFaults(memory.Faults{Transaction: func(method, _ string) error {
			if method == "Abort" {
				return errTest
			}
			return nil
		}})
	}
	_, end := r.begin(t.Context())
	pass(1500 * time.Millisecond)
	if err := end(); !errors.Is(err, errTest) || killed != 1 {
		t.Fatalf("killed %d times: %v", killed, err)
	}
	r.broker.SetFaults(memory.Faults{})
	r.failpoint = nil
	_, end = r.begin(t.Context())
	pass(1500 * time.Millisecond)
	r.stopNow(end)
	twice := map[string]int{"at-least-once": each, "exactly-once": 0}[guarantee]
	if got := r.tally(want, each); got != twice {
		t.Errorf("of the window's %d outputs %d came twice, want %d", each, got, twice)
	}
}

// windowing counts its messages in the logged store "counts", and sends them on
// in its windows.
func windowing() task.Task {
	var held []task.Output
	return calls{
		process: func(ctx task.Context, m *task.Message) error {
			held = append(held, task.Output{Stream: "mem.out", RawKey: fmt.Appendf(nil, "%d/%d", m.Source.Partition, m.Offset), RawValue: m.ValueBytes})
			return increment(ctx, string(m.ValueBytes))
		},
		window: func(ctx task.Context) error {
			for _, o := range held {
				if err := ctx.Send(o); err != nil {
					return err
				}
			}
			held = nil
			return nil
		},
	}
}

// Killed again and again at random steps, some transactions left open, some
// commits with an unknown outcome: nothing is lost, the counts are exact at the
// end, and exactly-once nothing comes twice.
func TestKilledAgainAndAgain(t *testing.T) {
	seeds := uint64(24)
	switch {
	case testing.Short():
		seeds = 10
	case soak():
		seeds = 200
	}
	for name, g := range guarantees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice := 1 << 30
			if name == "exactly-once" {
				twice = 0
			}
			for seed := range seeds {
				if killedAgainAndAgain(t, g.set, seed, twice); t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func killedAgainAndAgain(t *testing.T, set func(*rig) *rig, seed uint64, twice int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	r := set(newRig(t, 3).store()).set("stores.counts.object.cache.size", strconv.Itoa(random.IntN(4)), "stores.counts.write.batch.size", strconv.Itoa(random.IntN(4)))
	if seed%3 == 0 {
		r.set("stores.counts.factory", "pebble", "job.logged.store.base.dir", t.TempDir())
	}
	r.newTask = counting(1 + random.IntN(20))
	r.until = true
	want := map[string]int64{}
	total := 0
	for range 10 {
		for range random.IntN(100) {
			w := strconv.Itoa(random.IntN(10))
			want[w]++
			total++
			r.fill(int32(random.IntN(3)), w)
		}
		var steps, calls atomic.Int32
		steps.Store(int32(1 + random.IntN(12)))
		calls.Store(int32(random.IntN(10)))
		r.failpoint = func(string, Step) error {
			if steps.Add(-1) == 0 {
				return errTest
			}
			return nil
		}
		r.broker.SetFaults(memory.Faults{Transaction: func(method, _ string) error {
			if method == "Abort" && steps.Load()%2 == 0 || method == "Commit" && calls.Add(-1) == 0 {
				return errTest
			}
			return nil
		}})
		if err := r.run(); err != nil && !errors.Is(err, errTest) {
			t.Fatal(err)
		}
	}
	r.failpoint = nil
	r.broker.SetFaults(memory.Faults{})
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	r.exact(want, total, twice)
}
