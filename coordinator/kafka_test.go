package coordinator

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/system/systemtest"
)

// The stream over the Kafka protocol: submit, start, restart.
func TestStreamOnKafka(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2000, "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := jobCfg("systems.kafka.producer.bootstrap.servers", strings.Join(cluster.ListenAddrs(), ","), "job.container.count", "20",
		"stores.s.factory", "memory", "stores.s.changelog", "kafka.log")
	sys, err := kafka.New("kafka", c, kafka.Options{JobName: "the_job", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	systems := map[string]system.System{"kafka": sys}

	if m, topics, err := Plan(t.Context(), c, systems); err != nil || m.TaskCount() != 2000 || topics[0].Partitions != 2000 {
		t.Fatalf("plan: %d tasks, %v", m.TaskCount(), err)
	}
	s, err := OpenStream(t.Context(), sys, "the_job", "1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, warning, err := s.Ensure(t.Context(), c); err != nil || warning != "" {
			t.Fatalf("%q, %v", warning, err)
		}
		if err := s.Submit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var last *Started
	for range 2 {
		began := time.Now()
		st, err := Start(t.Context(), c, systems, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("start with 2,000 tasks: %v", time.Since(began))
		if err := st.Stream.Close(); err != nil {
			t.Fatal(err)
		}
		last = st
	}
	if last.Model.TaskCount() != 2000 || len(last.Warnings) > 0 {
		t.Errorf("%d tasks, %q", last.Model.TaskCount(), last.Warnings)
	}
	snap, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !snap.Config().Equal(c) {
		t.Error("the configuration is another than was submitted")
	}
	prev, err := snap.Previous()
	if err != nil || len(prev.Changelog) != 2000 || len(prev.Containers) != 2000 || len(prev.Inputs) != 2000 {
		t.Errorf("%d changelogs, %d tasks, %d inputs, %v", len(prev.Changelog), len(prev.Containers), len(prev.Inputs), err)
	}
}

// The stream ends where its end is, and not at its last message: markers, what
// was aborted and what compaction took lie behind it.
func TestStreamEndsBehindTheLastMessage(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := jobCfg("systems.kafka.producer.bootstrap.servers", strings.Join(cluster.ListenAddrs(), ","))
	sys, err := kafka.New("kafka", c, kafka.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	for _, tail := range systemtest.Tails(t, sys, cluster.Compact) {
		t.Run(tail.Name, func(t *testing.T) {
			open := func() *Stream {
				t.Helper()
				s, err := OpenStream(t.Context(), sys, tail.Name, "1")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			s := open()
			if _, _, err := s.Ensure(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if err := s.Write(t.Context(), SetConfig("a", "1", SourceWriter)); err != nil {
				t.Fatal(err)
			}
			m := SetConfig("b", "2", SourceWriter)
			tail.Append(system.Record{Stream: s.Topic(), At: 1, Key: EncodeKey(m.Type, m.Key), Value: EncodeValue(m, s.by, 0)})
			holds := func(s *Stream, want config.Config) {
				t.Helper()
				for range 2 { // the second time there is nothing more
					snap, err := s.Read(t.Context())
					if err != nil || !snap.Config().Equal(want) {
						t.Fatalf("%v, %v; want %v", snap, err, want)
					}
				}
			}
			holds(s, cfg("a", "1", "b", "2"))
			holds(open(), cfg("a", "1", "b", "2"))
			if err := s.Write(t.Context(), SetConfig("a", "3", SourceWriter)); err != nil {
				t.Fatal(err)
			}
			holds(s, cfg("a", "3", "b", "2"))
			holds(open(), cfg("a", "3", "b", "2"))
		})
	}
}
