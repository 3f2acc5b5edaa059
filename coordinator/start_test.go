package coordinator

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"heddle/config"
	"heddle/system"
	"heddle/system/memory"
)

func start(t *testing.T, sys *memory.System, c config.Config) (*Started, error) {
	t.Helper()
	st, err := Start(t.Context(), c, map[string]system.System{"kafka": sys}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(func() { _ = st.Stream.Close() })
	}
	return st, err
}

func submit(t *testing.T, sys *memory.System, c config.Config) {
	t.Helper()
	s, err := OpenStream(t.Context(), sys, "the_job", "1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.Ensure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Submit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func topics(t *testing.T, sys *memory.System) map[string]int32 {
	t.Helper()
	admin, _ := sys.Admin()
	all, err := admin.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int32{}
	for name, info := range all {
		out[name] = info.Partitions
	}
	return out
}

func TestStart(t *testing.T) {
	sys := streams(t, "kafka", map[string]int32{"a": 4})
	c := jobCfg("stores.s.factory", "memory", "stores.s.changelog", "kafka.log", "job.container.count", "2")

	if _, err := start(t, sys, c); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("start without a submit: %v", err)
	}
	submit(t, sys, c)
	st, err := start(t, sys, c)
	if err != nil {
		t.Fatal(err)
	}
	if st.Model.TaskCount() != 4 || len(st.Model.Containers) != 2 || len(st.Warnings) != 0 {
		t.Errorf("%d tasks in %d containers, %q", st.Model.TaskCount(), len(st.Model.Containers), st.Warnings)
	}
	equal(t, "topics", topics(t, sys), map[string]int32{"a": 4, "log": 4, TopicName("the_job", "1"): 1, "__samza_checkpoint_ver_1_for_the-job_1": 1})
	snap, err := st.Stream.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prev, err := snap.Previous()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "changelog mapping", prev.Changelog, map[string]int32{"Partition 0": 0, "Partition 1": 1, "Partition 2": 2, "Partition 3": 3})
}

// What is planned before a submit is what a start makes then, also when the job
// has a history: here its input has grown, and it keeps its tasks.
func TestPlanKnowsTheHistory(t *testing.T) {
	c := jobCfg("stores.s.factory", "memory", "stores.s.changelog", "kafka.log")
	broker := memory.NewBroker()
	sys := memory.New("kafka", broker)
	systems := map[string]system.System{"kafka": sys}
	admin, _ := sys.Admin()
	_ = admin.Create(t.Context(), system.StreamSpec{Name: "a", Partitions: 2})
	m, changelogs, err := Plan(t.Context(), c, systems)
	if err != nil || m.TaskCount() != 2 || len(changelogs) != 1 || changelogs[0].Partitions != 2 {
		t.Fatalf("first plan: %d tasks, %+v, %v", m.TaskCount(), changelogs, err)
	}
	if got := topics(t, sys); len(got) != 1 {
		t.Errorf("the plan made topics: %v", got)
	}
	submit(t, sys, c)
	if _, err := start(t, sys, c); err != nil {
		t.Fatal(err)
	}

	grown := memory.New("kafka", memory.NewBroker())
	copyTopics(t, broker, grown, map[string]int32{"a": 4})
	m, changelogs, err = Plan(t.Context(), c, map[string]system.System{"kafka": grown})
	if err != nil || m.TaskCount() != 2 || changelogs[0].Partitions != 2 {
		t.Fatalf("plan of a grown input: %d tasks, %+v, %v", m.TaskCount(), changelogs, err)
	}
	st, err := start(t, grown, c)
	if err != nil || st.Model.TaskCount() != 2 {
		t.Fatalf("start with a grown input: %v", err)
	}

	// A job that has lost tasks keeps its changelogs.
	two := jobCfg("stores.s.factory", "memory", "stores.s.changelog", "kafka.log", "task.inputs", "kafka.b",
		"systems.kafka.streams.b.samza.offset.default", "oldest")
	fewer := memory.New("kafka", memory.NewBroker())
	copyTopics(t, broker, fewer, map[string]int32{"b": 1})
	m, changelogs, err = Plan(t.Context(), two, map[string]system.System{"kafka": fewer})
	if err != nil || m.TaskCount() != 1 || changelogs[0].Partitions != 2 {
		t.Fatalf("plan with fewer tasks: %d tasks, %+v, %v", m.TaskCount(), changelogs, err)
	}
	if _, err := start(t, fewer, two); err != nil {
		t.Fatalf("start with fewer tasks: %v", err)
	}
}

// copyTopics copies the topics of one broker to a system of another, some with
// other numbers of partitions.
func copyTopics(t *testing.T, from *memory.Broker, to *memory.System, partitions map[string]int32) {
	t.Helper()
	src, _ := memory.New("kafka", from).Admin()
	all, err := src.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dst, _ := to.Admin()
	for name, n := range partitions {
		all[name] = system.StreamInfo{Name: name, Partitions: n}
	}
	for name, info := range all {
		if err := dst.Create(t.Context(), system.StreamSpec{Name: name, Partitions: info.Partitions, Settings: info.Settings}); err != nil {
			t.Fatal(err)
		}
		if _, ok := partitions[name]; ok {
			continue
		}
		for p := range info.Partitions {
			for _, r := range from.Records(name, p) {
				if _, err := to.Broker().Append(name, p, r.Key, r.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestStartErrors(t *testing.T) {
	sys := streams(t, "kafka", map[string]int32{"a": 4, "log": 3})
	c := jobCfg("stores.s.factory", "memory", "stores.s.changelog", "kafka.log")
	submit(t, sys, c)
	_, err := start(t, sys, c)
	var coded interface{ ExitCode() int }
	if err == nil || !strings.Contains(err.Error(), "3 partitions") || !errors.As(err, &coded) || coded.ExitCode() != 2 {
		t.Errorf("a changelog of another size: %v", err)
	}
	if _, err := Start(t.Context(), c, nil, nil); err == nil || !strings.Contains(err.Error(), `"kafka"`) {
		t.Errorf("no systems: %v", err)
	}
}
