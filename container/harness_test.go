package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/internal/heard"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// rig is a broker, a checkpoint log and a job on them; containers on it come
// and go as processes do.
type rig struct {
	t           testing.TB
	broker      *memory.Broker
	checkpoints *memoryLog
	settings    map[string]string
	partitions  int32
	newTask     task.Factory
	failpoint   func(string, Step) error
	ending      func() func()
	until       bool
	preloaded   map[system.Partition]int64
	events      *recorder
	log         *heard.Text
	sys         *memory.System
	current     *Container
	// inTopic keeps checkpoints in a topic, as a job does, instead of in
	// checkpoints.
	inTopic bool
	// measured are the registries of the newest container of sideContainer.
	measured *measures
	// closeSys closes what the newest container was given.
	closeSys func()
}

type jobmodelTask = jobmodel.Task

// newRig makes a job that reads mem.in, with that many partitions, and may
// write mem.out and the changelog mem.log.
func newRig(t testing.TB, partitions int32) *rig {
	t.Helper()
	b := memory.NewBroker()
	for name, n := range map[string]int32{"in": partitions, "out": 1, "log": partitions} {
		if err := b.Create(system.StreamSpec{Name: name, Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	return &rig{
		t: t, broker: b, checkpoints: newMemoryLog(), partitions: partitions, events: &recorder{},
		settings: map[string]string{
			"job.name": "test", "task.class": "test", "task.inputs": "mem.in",
			"systems.mem.samza.factory":        "memory",
			"systems.mem.samza.offset.default": "oldest",
			"task.commit.ms":                   "-1",
		},
	}
}

func (r *rig) set(kv ...string) *rig {
	for i := 0; i < len(kv); i += 2 {
		r.settings[kv[i]] = kv[i+1]
	}
	return r
}

// store adds the logged store "counts" with string keys and long values.
func (r *rig) store() *rig {
	return r.set("stores.counts.factory", "memory", "stores.counts.changelog", "mem.log",
		"stores.counts.key.serde", "string", "stores.counts.msg.serde", "long")
}

func (r *rig) model() jobmodel.Container {
	m := jobmodel.Container{ID: "0", Tasks: map[string]jobmodel.Task{}}
	for p := range r.partitions {
		name := fmt.Sprintf("Partition %d", p)
		m.Tasks[name] = jobmodel.Task{Name: name, ChangelogPartition: p, Inputs: []jobmodel.Input{{System: "mem", Stream: "in", Partition: p}}}
	}
	return m
}

// container makes a new container on the rig, on a system of its own as a new
// process would have.
func (r *rig) container() *Container {
	r.t.Helper()
	cfg := config.New(maps.Clone(r.settings))
	specs, err := storage.Specs(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log = &heard.Text{}
	r.sys = memory.New("mem", r.broker)
	sys := r.sys
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	checkpoints := checkpoint.Log(r.checkpoints)
	if r.inTopic {
		if checkpoints, err = openCheckpoints(r.t.Context(), cfg, Systems{"mem": sys}, logger); err != nil {
			r.t.Fatal(err)
		}
	}
	r.closeSys = func() {
		if r.inTopic {
			_ = checkpoints.Close()
		}
		_ = sys.Close()
	}
	c, err := New(Options{
		Config: cfg, Model: r.model(), NewTask: r.newTask,
		System: func(name string) (system.System, error) {
			if name != "mem" {
				return nil, fmt.Errorf("no system %q", name)
			}
			return sys, nil
		},
		Checkpoints: checkpoints, Stores: specs,
		Metrics: newMeasures(cfg, "0").of,
		Events:  r.events, Logger: logger,
		UntilCaughtUp: r.until, Preloaded: r.preloaded, Failpoint: r.failpoint, Ending: r.ending,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.current = c
	return c
}

// run runs a new container to its end.
func (r *rig) run() error {
	r.t.Helper()
	c := r.container()
	defer r.closeSys()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	return c.Run(ctx)
}

// begin runs a new container in a goroutine; the function gives its end.
func (r *rig) begin(ctx context.Context) (*Container, func() error) {
	c := r.container()
	closeSys := r.closeSys
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, func() error {
		err := <-done
		closeSys()
		return err
	}
}

func (r *rig) fill(partition int32, values ...string) {
	r.t.Helper()
	for _, v := range values {
		if _, err := r.broker.Append("in", partition, nil, []byte(v)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// out is what lies in mem.out.
func (r *rig) out() []string {
	var got []string
	for _, rec := range r.broker.Records("out", 0) {
		got = append(got, string(rec.Value))
	}
	return got
}

// offset is the checkpointed offset of a task's input; "none" if there is none.
func (r *rig) offset(p int32) string {
	name := fmt.Sprintf("Partition %d", p)
	c, ok := r.checkpoints.Last(name)
	if r.inTopic {
		sys := memory.New("mem", r.broker)
		defer sys.Close()
		all, err := checkpoint.ReadAll(r.t.Context(), config.New(maps.Clone(r.settings)), map[string]system.System{"mem": sys}, checkpoint.Options{})
		if err != nil {
			r.t.Fatal(err)
		}
		c, ok = all[name]
	}
	if !ok {
		return "none"
	}
	o, ok := c.Inputs[system.Partition{System: "mem", Stream: "in", Partition: p}]
	if !ok {
		return "none"
	}
	return o
}

// calls is a task made of functions.
type calls struct {
	process func(task.Context, *task.Message) error
	init    func(task.Context) error
	window  func(task.Context) error
	stop    func(task.Context) error
	close   func() error
}

func (c calls) Process(ctx task.Context, m *task.Message) error {
	if c.process == nil {
		return nil
	}
	return c.process(ctx, m)
}

func (c calls) Init(ctx task.Context) error   { return call(c.init, ctx) }
func (c calls) Window(ctx task.Context) error { return call(c.window, ctx) }
func (c calls) Stop(ctx task.Context) error   { return call(c.stop, ctx) }

func (c calls) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

func call(f func(task.Context) error, ctx task.Context) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (c calls) factory() task.Factory { return func() task.Task { return c } }

// forward sends each message on to mem.out.
func forward(ctx task.Context, m *task.Message) error {
	return ctx.Send(task.Output{Stream: "mem.out", RawValue: m.ValueBytes})
}

// memoryLog keeps checkpoints beyond the containers' lives.
type memoryLog struct {
	mu     sync.Mutex
	last   map[string]checkpoint.Checkpoint
	writes int
	fail   error
	wrote  func(name string, c checkpoint.Checkpoint)
}

func newMemoryLog() *memoryLog { return &memoryLog{last: map[string]checkpoint.Checkpoint{}} }

func (l *memoryLog) Start(context.Context) error { return nil }
func (l *memoryLog) Close() error                { return nil }

func (l *memoryLog) Last(name string) (checkpoint.Checkpoint, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.last[name]
	return c, ok
}

func (l *memoryLog) Write(_ context.Context, name string, c checkpoint.Checkpoint) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.last[name] = c
	l.writes++
	if l.wrote != nil {
		l.wrote(name, c)
	}
	return nil
}

func (l *memoryLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}

// recorder keeps the events.
type recorder struct {
	mu  sync.Mutex
	all []events.Event
}

func (r *recorder) Event(e events.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

func of[E events.Event](r *recorder) []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []E
	for _, e := range r.all {
		if e, ok := e.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

var errTest = errors.New("ordered by the test")

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
