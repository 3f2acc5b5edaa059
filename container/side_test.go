package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/heard"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// sideRig is a rig whose tasks look names up in the store "users", filled from
// mem.users, and send what they find.
func sideRig(t *testing.T, partitions, userPartitions int32, shared bool) *rig {
	r := newRig(t, partitions)
	if err := r.broker.Create(system.StreamSpec{Name: "users", Partitions: userPartitions}); err != nil {
		t.Fatal(err)
	}
	r.set("stores.users.factory", "memory", "stores.users.side.inputs", "mem.users",
		"stores.users.key.serde", "string", "stores.users.msg.serde", "string")
	if shared {
		r.set("heddle.stores.users.shared", "true")
	}
	r.newTask = calls{process: lookUp}.factory()
	return r
}

func lookUp(ctx task.Context, m *task.Message) error {
	s, err := ctx.Store("users")
	if err != nil {
		return err
	}
	v, err := s.Get(string(m.ValueBytes))
	if err != nil {
		return err
	}
	return ctx.Send(task.Output{Stream: "mem.out", RawValue: fmt.Appendf(nil, "%s: %s=%v", ctx.TaskName(), m.ValueBytes, v)})
}

func (r *rig) user(partition int32, key, value string) {
	r.t.Helper()
	v := []byte(value)
	if value == "" {
		v = nil
	}
	if _, err := r.broker.Append("users", partition, []byte(key), v); err != nil {
		r.t.Fatal(err)
	}
}

// sideModel is the model that a job with this configuration gets.
func (r *rig) sideModel() jobmodel.Container {
	r.t.Helper()
	sys := memory.New("mem", r.broker)
	defer sys.Close()
	m, _, err := coordinator.BuildModel(r.t.Context(), config.New(maps.Clone(r.settings)), map[string]system.System{"mem": sys}, coordinator.Previous{})
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Containers["0"]
}

// sideContainer makes a container with the model that the configuration gives.
func (r *rig) sideContainer(side map[string]task.SideInput) (*Container, error) {
	r.t.Helper()
	cfg := config.New(maps.Clone(r.settings))
	specs, err := storage.Specs(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = &heard.Text{}
	r.sys = memory.New("mem", r.broker)
	sys := r.sys
	r.measured = newMeasures(cfg, "0")
	return New(Options{
		Config: cfg, Model: r.sideModel(), NewTask: r.newTask, SideInputs: side,
		System:      func(string) (system.System, error) { return sys, nil },
		Checkpoints: r.checkpoints, Stores: specs, Metrics: r.measured.of,
		Events: r.events, Logger: slog.New(slog.NewTextHandler(r.log, nil)), UntilCaughtUp: r.until,
	})
}

// behind is what the container's registry says of a partition, under Samza's name.
func (r *rig) behind(stream string, partition int) string {
	return fmt.Sprint(r.measured.snapshot()[consumerMetrics][fmt.Sprintf("mem-%s-%d-messages-behind-high-watermark", stream, partition)])
}

func (r *rig) runSide(side map[string]task.SideInput) error {
	r.t.Helper()
	c, err := r.sideContainer(side)
	if err != nil {
		r.t.Fatal(err)
	}
	defer r.sys.Close()
	return c.Run(r.t.Context())
}

func TestSideInputsAreReadBeforeTheFirstMessage(t *testing.T) {
	r := sideRig(t, 2, 2, false)
	r.until = true
	for i := range 2000 {
		r.user(0, "a", fmt.Sprint(i))
	}
	r.user(1, "b", "2")
	r.fill(0, "a", "b")
	r.fill(1, "a", "b")
	if err := r.runSide(nil); err != nil {
		t.Fatal(err)
	}
	got := r.out()
	slices.Sort(got)
	// Partition N of the side input is for the task Partition N, as of inputs.
	want := []string{"Partition 0: a=1999", "Partition 0: b=<nil>", "Partition 1: a=<nil>", "Partition 1: b=2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// No checkpoint holds a side input, and none was processed.
	for _, c := range r.checkpoints.last {
		for p := range c.Inputs {
			if p.Stream != "in" {
				t.Errorf("a checkpoint holds %v", p)
			}
		}
		if len(c.Changelogs) > 0 {
			t.Errorf("a checkpoint holds changelogs: %v", c.Changelogs)
		}
	}
}

func TestSideInputsAreFollowedWhileTheTaskRuns(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared=", shared), func(t *testing.T) {
			r := sideRig(t, 1, 1, shared)
			r.user(0, "a", "1")
			c, err := r.sideContainer(nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			ask := func(want string) {
				t.Helper()
				for {
					a := c.Ask(ctx, coordinator.Question{Task: "Partition 0", Store: "users", Mode: coordinator.ModeCommitted, Op: coordinator.OpGet, From: []byte("a")})
					switch {
					case a.Failure == coordinator.FailNotRunning:
					case a.Failure != "":
						t.Fatalf("%+v", a)
					case len(a.Entries) == 1 && string(a.Entries[0].Value) == want, len(a.Entries) == 0 && want == "":
						return
					}
					select {
					case err := <-done:
						t.Fatalf("it ended: %v", err)
					default:
					}
				}
			}
			ask(`"1"`)
			r.user(0, "a", "2")
			ask(`"2"`)
			r.user(0, "a", "")
			ask("")
			told := c.Report()
			sides := told.SideInputs
			if !shared {
				sides = told.Tasks[0].SideInputs
			}
			want := []coordinator.SideInputReport{{Store: "users", InputReport: coordinator.InputReport{System: "mem", Stream: "users", Next: 3, HighWatermark: 3}}}
			if !slices.Equal(sides, want) || len(told.Tasks[0].Inputs) != 1 {
				t.Errorf("the report says %+v of the side input, want %+v; and of the inputs %+v", sides, want, told.Tasks[0].Inputs)
			}
			if side := r.behind("users", 0); side != "0" {
				t.Errorf("the registry says of the side input %s", side)
			}
			c.Stop("test")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			r.sys.Close()
		})
	}
}

func TestSharedStoresHoldAllPartitionsOnce(t *testing.T) {
	r := sideRig(t, 3, 2, true)
	r.until = true
	var mu sync.Mutex
	opened := 0
	r.set("stores.users.side.inputs.processor.factory", "count")
	r.user(0, "a", "1")
	r.user(1, "b", "2")
	for p := range int32(3) {
		r.fill(p, "a", "b")
	}
	if m := r.sideModel(); len(m.Tasks) != 3 || len(m.Tasks["Partition 0"].Inputs) != 1 {
		t.Errorf("the shared side input is in the model: %+v", m)
	}
	if err := r.runSide(map[string]task.SideInput{"count": func(m *task.Message, s task.Store) error {
		mu.Lock()
		opened++
		mu.Unlock()
		return s.Put(string(m.KeyBytes), string(m.ValueBytes))
	}}); err != nil {
		t.Fatal(err)
	}
	got := r.out()
	if len(got) != 6 {
		t.Errorf("%d messages out, want 6: %v", len(got), got)
	}
	for _, line := range got {
		if !strings.HasSuffix(line, "a=1") && !strings.HasSuffix(line, "b=2") {
			t.Errorf("a task does not see all of the store: %s", line)
		}
	}
	if opened != 2 {
		t.Errorf("the 2 messages of the side input were taken %d times, want once a container", opened)
	}
}

func TestAStreamThatFillsAStoreIsNotProcessed(t *testing.T) {
	r := sideRig(t, 1, 1, false)
	r.until = true
	// So Samza's high-level API writes it down.
	r.set("task.inputs", "mem.in,mem.users")
	r.user(0, "a", "1")
	r.fill(0, "a")
	if err := r.runSide(nil); err != nil {
		t.Fatal(err)
	}
	if got := r.out(); !slices.Equal(got, []string{"Partition 0: a=1"}) {
		t.Errorf("got %v", got)
	}
}

func TestATaskThatWritesAStoreOfSideInputsFails(t *testing.T) {
	r := sideRig(t, 1, 1, false)
	r.newTask = calls{process: func(ctx task.Context, _ *task.Message) error {
		s, err := ctx.Store("users")
		if err != nil {
			return err
		}
		return s.Put("a", "b")
	}}.factory()
	r.fill(0, "x")
	if err := r.runSide(nil); !errors.Is(err, storage.ErrSideStore) {
		t.Errorf("%v", err)
	}
}

func TestAFunctionOfSideInputsThatFailsEndsTheContainer(t *testing.T) {
	r := sideRig(t, 1, 1, false).set("stores.users.side.inputs.processor.factory", "bad")
	c, err := r.sideContainer(map[string]task.SideInput{"bad": func(*task.Message, task.Store) error { return errTest }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.sys.Close()
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	r.user(0, "a", "1") // while it starts or while it runs: both end it
	if err := <-done; !errors.Is(err, errTest) || !strings.Contains(err.Error(), "mem.users, partition 0, offset 0") {
		t.Errorf("%v", err)
	}
}

// A panic of the function fails the container, as one of a task does: the process
// and its other tasks end in order.
func TestAFunctionOfSideInputsThatPanicsEndsTheContainer(t *testing.T) {
	for _, filling := range []bool{true, false} {
		r := sideRig(t, 1, 1, false).set("stores.users.side.inputs.processor.factory", "bad")
		if filling {
			r.user(0, "a", "1")
		}
		c, err := r.sideContainer(map[string]task.SideInput{"bad": func(m *task.Message, s task.Store) error {
			return fmt.Errorf("%c", m.KeyBytes[len(m.KeyBytes)]) // beyond its end
		}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		if !filling {
			r.user(0, "a", "1")
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "mem.users, partition 0, offset 0: panic: runtime error: index out of range [1] with length 1 (the stack is in the log)") {
			t.Errorf("%v", err)
		}
		if log := r.log.String(); !strings.Contains(log, "side_test.go:") {
			t.Errorf("no stack in the log:\n%s", log)
		}
		r.sys.Close()
	}
}

func TestAnUnknownFunctionOfSideInputsIsWrongConfiguration(t *testing.T) {
	r := sideRig(t, 1, 1, false).set("stores.users.side.inputs.processor.factory", "com.example.X")
	_, err := r.sideContainer(nil)
	if exitCode(err) != exitUsage || !strings.Contains(fmt.Sprint(err), "container.WithSideInput") {
		t.Errorf("%v", err)
	}
}

func TestSideInputsWithAnotherGrouper(t *testing.T) {
	r := sideRig(t, 2, 2, false).set("job.systemstreampartition.grouper.factory", "ssp")
	sys := memory.New("mem", r.broker)
	defer sys.Close()
	build := func() (jobmodel.JobModel, error) {
		m, _, err := coordinator.BuildModel(t.Context(), config.New(maps.Clone(r.settings)), map[string]system.System{"mem": sys}, coordinator.Previous{})
		return m, err
	}
	if _, err := build(); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "mem.users") {
		t.Errorf("%v", err)
	}
	// All tasks have all of it.
	r.set("task.broadcast.inputs", "mem.users#[0-1]")
	r.until = true
	r.user(0, "a", "1")
	r.user(1, "b", "2")
	r.fill(0, "b")
	r.fill(1, "a")
	if m, err := build(); err != nil || m.TaskCount() != 2 {
		t.Fatalf("%d tasks, %v", m.TaskCount(), err)
	}
	if err := r.runSide(nil); err != nil {
		t.Fatal(err)
	}
	got := r.out()
	if len(got) != 2 || !strings.HasSuffix(got[0], "=1") && !strings.HasSuffix(got[0], "=2") || strings.Contains(fmt.Sprint(got), "nil") {
		t.Errorf("got %v", got)
	}
}

// How far stores are while they are filled is reported, a store that all tasks share
// once.
func TestSideInputsAreReportedWhileStoresAreFilled(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared=", shared), func(t *testing.T) {
			r := sideRig(t, 1, 1, shared).set("stores.users.side.inputs.processor.factory", "slow")
			for range 5 {
				r.user(0, "a", "1")
			}
			r.fill(0, "a", "b")
			at3, on := make(chan struct{}), make(chan struct{})
			c, err := r.sideContainer(map[string]task.SideInput{"slow": func(m *task.Message, s task.Store) error {
				if m.Offset == 3 {
					close(at3)
					<-on
				}
				return s.Put(string(m.KeyBytes), string(m.ValueBytes))
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.sys.Close()
			done := make(chan error, 1)
			go func() { done <- c.Run(t.Context()) }()
			<-at3
			told := c.Report()
			sides, restores := told.SideInputs, told.Restores
			if shared {
				if len(told.Tasks[0].SideInputs)+len(told.Tasks[0].Restores) > 0 {
					t.Errorf("a task tells of the shared store: %+v", told.Tasks[0])
				}
			} else {
				sides, restores = told.Tasks[0].SideInputs, told.Tasks[0].Restores
			}
			want := []coordinator.SideInputReport{{Store: "users", InputReport: coordinator.InputReport{System: "mem", Stream: "users", Next: 0, HighWatermark: 5}}}
			if told.State != coordinator.ContainerRestoring || !slices.Equal(sides, want) || len(restores) != 1 || restores[0].Store != "users" || restores[0].Total != 5 {
				t.Errorf("while it is filled: %s, %+v, %+v", told.State, sides, restores)
			}
			if side, in := r.behind("users", 0), r.behind("in", 0); side != "5" || in != "2" {
				t.Errorf("the registry says of the side input %s, of the input %s", side, in)
			}
			close(on)
			c.Stop("test")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A container that is stopped, or killed, before its stores are filled has written
// down where it begins at "newest": the next one reads what came in meanwhile.
func TestStartAtTheNewestIsSealedBeforeTheStoresAreFilled(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed=", killed), func(t *testing.T) {
			r := sideRig(t, 1, 1, false).set("stores.users.side.inputs.processor.factory", "slow", "systems.mem.samza.offset.default", "upcoming")
			r.user(0, "a", "1")
			r.fill(0, "before")
			filling, on := make(chan struct{}), make(chan struct{})
			c, err := r.sideContainer(map[string]task.SideInput{"slow": func(*task.Message, task.Store) error {
				close(filling)
				<-on
				return errors.New("cut off") // it does not get to the end
			}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			<-filling
			if killed {
				cancel()
			} else {
				c.Stop("test")
			}
			close(on)
			if err := <-done; (err != nil) != killed {
				t.Fatal(err)
			}
			r.sys.Close()
			r.fill(0, "a")
			r.until = true
			if err := r.runSide(map[string]task.SideInput{"slow": func(m *task.Message, s task.Store) error {
				return s.Put(string(m.KeyBytes), string(m.ValueBytes))
			}}); err != nil {
				t.Fatal(err)
			}
			if got := r.out(); !slices.Equal(got, []string{"Partition 0: a=1"}) {
				t.Errorf("got %v, want what came between the two containers", got)
			}
		})
	}
}

// What a filling holds in memory is bounded as a restore's is: few run at a time.
func TestFewStoresAreFilledAtATime(t *testing.T) {
	const tasks = 12
	r := sideRig(t, tasks, tasks, false).set("stores.users.side.inputs.processor.factory", "slow")
	r.until = true
	for p := range int32(tasks) {
		r.user(p, "a", "1")
	}
	var running, most atomic.Int32
	c, err := r.sideContainer(map[string]task.SideInput{"slow": func(m *task.Message, s task.Store) error {
		n := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		for range 1000 {
			runtime.Gosched()
		}
		return s.Put(string(m.KeyBytes), string(m.ValueBytes))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.sys.Close()
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, limit := int(most.Load()), cap(c.disk.restoring); n > limit || n == 0 {
		t.Errorf("%d stores were filled at a time, want at most %d", n, limit)
	}
}
