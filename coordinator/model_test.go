package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/system/memory"
)

// jobCfg is a job that reads kafka.a, with more keys.
func jobCfg(pairs ...string) config.Config {
	c := cfg("job.name", "the_job", "task.class", "x", "task.inputs", "kafka.a", "systems.kafka.samza.factory", "kafka")
	return c.With(cfg(pairs...).Map())
}

func streams(t *testing.T, name string, counts map[string]int32) *memory.System {
	t.Helper()
	s := memory.New(name, memory.NewBroker())
	admin, _ := s.Admin()
	for stream, n := range counts {
		if err := admin.Create(t.Context(), system.StreamSpec{Name: stream, Partitions: n}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestBuildModelReadsTheConfiguration(t *testing.T) {
	systems := map[string]system.System{
		"kafka": streams(t, "kafka", map[string]int32{"a": 3, "topic-b": 2, "rules": 4}),
		"other": streams(t, "other", map[string]int32{"c.d": 1}),
	}
	m, _, err := BuildModel(t.Context(), jobCfg(
		"systems.other.samza.factory", "kafka",
		"task.inputs", "kafka.a, kafka.b,other.c.d",
		"streams.b.samza.physical.name", "topic-b", "streams.b.samza.system", "kafka",
		"task.broadcast.inputs", "kafka.rules#[1-2], kafka.rules#3",
		"job.systemstreampartition.grouper.factory", "org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory",
		"job.container.count", "2",
	), systems, Previous{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, id := range m.ContainerIDs() {
		for name, task := range m.Containers[id].Tasks {
			for _, i := range task.Inputs {
				got[name] += fmt.Sprintf(" %s#%d", i.StreamID(), i.Partition)
			}
			got[name] += " in " + id
		}
	}
	equal(t, "tasks", got, map[string]string{
		"SystemStreamPartition [kafka, a, 0]":       " kafka.a#0 kafka.rules#1 kafka.rules#2 kafka.rules#3 in 0",
		"SystemStreamPartition [kafka, a, 1]":       " kafka.a#1 kafka.rules#1 kafka.rules#2 kafka.rules#3 in 1",
		"SystemStreamPartition [kafka, a, 2]":       " kafka.a#2 kafka.rules#1 kafka.rules#2 kafka.rules#3 in 0",
		"SystemStreamPartition [kafka, topic-b, 0]": " kafka.rules#1 kafka.rules#2 kafka.rules#3 kafka.topic-b#0 in 1",
		"SystemStreamPartition [kafka, topic-b, 1]": " kafka.rules#1 kafka.rules#2 kafka.rules#3 kafka.topic-b#1 in 0",
		"SystemStreamPartition [other, c.d, 0]":     " kafka.rules#1 kafka.rules#2 kafka.rules#3 other.c.d#0 in 1",
	})
}

// samza.broadcast at an input is task.broadcast.inputs for all its partitions.
func TestBuildModelBroadcastsStreamsThatSaySo(t *testing.T) {
	systems := map[string]system.System{"kafka": streams(t, "kafka", map[string]int32{"a": 2, "rules": 3})}
	model := func(kv ...string) (string, error) {
		m, _, err := BuildModel(t.Context(), jobCfg(append([]string{"task.inputs", "kafka.a,kafka.rules"}, kv...)...), systems, Previous{})
		tasks := ""
		for _, name := range m.Containers["0"].TaskNames() {
			tasks += name + ":"
			for _, i := range m.Containers["0"].Tasks[name].Inputs {
				tasks += fmt.Sprintf(" %s#%d", i.Stream, i.Partition)
			}
			tasks += "\n"
		}
		return tasks, err
	}
	const want = "Partition 0: a#0 rules#0 rules#1 rules#2\nPartition 1: a#1 rules#0 rules#1 rules#2\n"
	for _, kv := range [][]string{
		{"streams.rules.samza.broadcast", "true"},
		{"systems.kafka.streams.rules.samza.broadcast", "true", "task.broadcast.inputs", "kafka.rules#0"},
		{"task.inputs", "kafka.a", "task.broadcast.inputs", "kafka.rules#[0-2]"},
	} {
		if got, err := model(kv...); got != want || err != nil {
			t.Errorf("%v: %s, %v", kv, got, err)
		}
	}
	if _, err := model("task.inputs", "kafka.rules", "streams.rules.samza.broadcast", "true"); !errors.Is(err, jobmodel.ErrNoTasks) || !strings.Contains(err.Error(), "not broadcast") {
		t.Errorf("nothing but broadcast inputs: %v", err)
	}
}

// A job with a store keeps its tasks when partitions grow; one without does not.
func TestBuildModelKeepsTasksOfJobsWithState(t *testing.T) {
	for _, c := range []struct {
		name string
		with []string
		want int
	}{
		{"no store", nil, 4},
		{"a store in memory, not logged", []string{"stores.s.factory", "memory"}, 4},
		{"a store in memory, logged", []string{"stores.s.factory", "memory", "stores.s.changelog", "kafka.log"}, 2},
		{"switched off", []string{"stores.s.factory", "memory", "stores.s.changelog", "kafka.log", "job.systemstreampartition.input.expansion.enabled", "false"}, 4},
	} {
		sys := func(n int32) map[string]system.System {
			return map[string]system.System{"kafka": streams(t, "kafka", map[string]int32{"a": n})}
		}
		_, w, err := BuildModel(t.Context(), jobCfg(c.with...), sys(2), Previous{})
		if err != nil {
			t.Fatal(err)
		}
		var s Snapshot
		for i, m := range append(w.Assignments, w.Changelog...) {
			if err := s.Apply(int64(i), EncodeKey(m.Type, m.Key), EncodeValue(m, Identity{}, 0)); err != nil {
				t.Fatal(err)
			}
		}
		prev, err := s.Previous()
		if err != nil {
			t.Fatal(err)
		}
		m, w, err := BuildModel(t.Context(), jobCfg(c.with...), sys(4), prev)
		if err != nil {
			t.Fatal(err)
		}
		if m.TaskCount() != c.want {
			t.Errorf("%s: %d tasks, want %d", c.name, m.TaskCount(), c.want)
		}
		if changed := w.Warning != ""; changed != (c.want != 2) {
			t.Errorf("%s: warning %q", c.name, w.Warning)
		}
	}
}

func TestBuildModelErrors(t *testing.T) {
	kafka := streams(t, "kafka", map[string]int32{"a": 2})
	broken := streams(t, "broken", nil)
	broken.Broker().SetFaults(memory.Faults{Ask: func(string) error { return fmt.Errorf("no broker answered: %w", system.ErrUnreachable) }})
	systems := map[string]system.System{"kafka": kafka, "broken": broken}
	for _, c := range []struct {
		name string
		cfg  config.Config
		is   error
		exit int // 0: no exit code of its own
		says []string
	}{
		{"missing topics", jobCfg("task.inputs", "kafka.a,kafka.x,kafka.y"), system.ErrNoStream, 2, []string{"task.inputs", "kafka.x, kafka.y", "run-job.sh topic create"}},
		{"too many containers", jobCfg("job.container.count", "3"), jobmodel.ErrTooManyContainers, 2, []string{"job.container.count is 3", "2 tasks"}},
		{"no dot", jobCfg("task.inputs", "a"), nil, 2, []string{"task.inputs", "kafka.a"}},
		{"unreachable", jobCfg("systems.broken.samza.factory", "kafka", "task.inputs", "broken.a"), system.ErrUnreachable, 0, []string{"broken"}},
		{"broadcast beyond the end", jobCfg("task.broadcast.inputs", "kafka.a#2"), nil, 2, []string{"task.broadcast.inputs", "no partition 2"}},
		{"broadcast malformed", jobCfg("task.broadcast.inputs", "kafka.a"), nil, 2, []string{"task.broadcast.inputs", "kafka.a"}},
		{"broadcast range turned round", jobCfg("task.broadcast.inputs", "kafka.a#[3-1]"), nil, 2, []string{"no range"}},
		{"broadcast range too long", jobCfg("task.broadcast.inputs", "kafka.a#[0-999999999]"), nil, 2, []string{"no range"}},
		{"count no number", jobCfg("job.container.count", "many"), nil, 2, []string{"job.container.count"}},
	} {
		_, _, err := BuildModel(t.Context(), c.cfg, systems, Previous{})
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.name, err, c.is)
		}
		var coded interface{ ExitCode() int }
		if got := 0; errors.As(err, &coded) {
			if got = coded.ExitCode(); got != c.exit {
				t.Errorf("%s: exit code %d, want %d", c.name, got, c.exit)
			}
		} else if c.exit != 0 {
			t.Errorf("%s: %v has no exit code", c.name, err)
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.name, err, s)
			}
		}
	}
}

// The whole way of a large job: model, messages, stream, next start.
func TestLargeJob(t *testing.T) {
	j := newJob(t)
	systems := map[string]system.System{"kafka": streams(t, "kafka", map[string]int32{"a": 3_000})}
	c := jobCfg("job.container.count", "30")
	prev := Previous{}
	for range 2 {
		m, w, err := BuildModel(t.Context(), c, systems, prev)
		if err != nil {
			t.Fatal(err)
		}
		if m.TaskCount() != 3_000 || len(m.Containers) != 30 {
			t.Fatalf("%d tasks in %d containers", m.TaskCount(), len(m.Containers))
		}
		if err := j.stream.Write(t.Context(), append(w.Assignments, w.Changelog...)...); err != nil {
			t.Fatal(err)
		}
		snap, err := j.stream.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if prev, err = snap.Previous(); err != nil {
			t.Fatal(err)
		}
		if len(prev.Inputs) != 3_000 || len(prev.Changelog) != 3_000 || len(prev.Containers) != 3_000 {
			t.Fatalf("the stream holds %d inputs, %d changelogs, %d tasks", len(prev.Inputs), len(prev.Changelog), len(prev.Containers))
		}
	}
}

func BenchmarkStart10000Partitions(b *testing.B) {
	s := memory.New("kafka", memory.NewBroker())
	admin, _ := s.Admin()
	if err := admin.Create(b.Context(), system.StreamSpec{Name: "a", Partitions: 10_000}); err != nil {
		b.Fatal(err)
	}
	c := jobCfg("job.container.count", "100")
	b.ReportAllocs()
	for b.Loop() {
		m, w, err := BuildModel(b.Context(), c, map[string]system.System{"kafka": s}, Previous{})
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range w.Assignments {
			_ = EncodeKey(m.Type, m.Key)
			_ = EncodeValue(m, Identity{"192.0.2.2", "root"}, 1795447338462)
		}
		srv, err := NewServer(Options{Model: m, Secret: make([]byte, 32), State: &fakeJob{}, Events: &fakeJob{}})
		if err != nil {
			b.Fatal(err)
		}
		if len(srv.model) < 1<<20 {
			b.Fatal(len(srv.model))
		}
	}
}

// A start of a large job up to the moment at which all of its containers have
// their JobModel.
func BenchmarkServe10000PartitionsTo100Containers(b *testing.B) {
	s := memory.New("kafka", memory.NewBroker())
	admin, _ := s.Admin()
	if err := admin.Create(b.Context(), system.StreamSpec{Name: "a", Partitions: 10_000}); err != nil {
		b.Fatal(err)
	}
	c := jobCfg("job.container.count", "100")
	for b.Loop() {
		m, _, err := BuildModel(b.Context(), c, map[string]system.System{"kafka": s}, Previous{})
		if err != nil {
			b.Fatal(err)
		}
		srv, err := NewServer(Options{Model: m, Secret: testSecret, State: &fakeJob{}, Events: &fakeJob{}})
		if err != nil {
			b.Fatal(err)
		}
		if err := srv.Listen("127.0.0.1", 0); err != nil {
			b.Fatal(err)
		}
		var all sync.WaitGroup
		for _, id := range m.ContainerIDs() {
			all.Go(func() {
				a := ask(b, "GET", srv.URL(), "", append(as(id), "Accept-Encoding", "gzip")...)
				if a.code != 200 || len(a.body) < 10_000 {
					b.Errorf("container %s: %d, %d bytes", id, a.code, len(a.body))
				}
			})
		}
		all.Wait()
		if err := srv.Shutdown(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
