package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"heddle/config"
	"heddle/internal/heard"
	"heddle/system"
	"heddle/task"
)

// fake starts a broker of three in memory.
func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newSystem makes a system on the broker; more holds settings without the
// prefix "systems.kafka.".
func newSystem(t testing.TB, c *kfake.Cluster, more map[string]string) *System {
	t.Helper()
	s, _ := newSystemWithLog(t, c, more)
	return s
}

func newSystemWithLog(t testing.TB, c *kfake.Cluster, more map[string]string) (*System, *heard.Text) {
	t.Helper()
	m := map[string]string{"systems.kafka.producer.bootstrap.servers": strings.Join(c.ListenAddrs(), ",")}
	for k, v := range more {
		m["systems.kafka."+k] = v
	}
	log := &heard.Text{}
	s, err := New("kafka", config.New(m), Options{JobName: "test", Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, log
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func create(t testing.TB, s *System, name string, partitions int32) {
	t.Helper()
	a, err := s.Admin()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Create(testContext(t), system.StreamSpec{Name: name, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
}

func outboxOf(t testing.TB, s *System) system.Outbox {
	t.Helper()
	p, err := s.Producer()
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Outbox("Partition 0")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// fill writes n records, numbered from 0, to a partition.
func fill(t testing.TB, s *System, stream string, partition int32, n int) {
	t.Helper()
	o := outboxOf(t, s)
	for i := range n {
		if err := o.Send(system.Record{Stream: stream, At: partition + 1, Key: fmt.Append(nil, i), Value: fmt.Append(nil, "value ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func source(stream string, partition int32) *task.Source {
	return &task.Source{System: "kafka", Stream: stream, Partition: partition}
}

// drain polls until every source's position is at its end in ends.
func drain(t testing.TB, c system.Consumer, ends map[string]int64) map[string][]task.Message {
	t.Helper()
	ctx := testContext(t)
	got := map[string][]task.Message{}
	at := map[string]int64{}
	for {
		batches, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("Poll: %v; positions %v", err, at)
		}
		for _, b := range batches {
			name := fmt.Sprint(b.Source.Stream, "/", b.Source.Partition)
			got[name] = append(got[name], b.Messages...)
			at[name] = b.Next
		}
		if maps.Equal(at, ends) {
			return got
		}
	}
}

func TestSendAndPoll(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", 3)
	const n = 5000
	for p := range int32(3) {
		fill(t, s, "in", p, n)
	}
	c, err := s.Consumer()
	if err != nil {
		t.Fatal(err)
	}
	for p, from := range []int64{system.Oldest, 100, n} {
		if err := c.Assign(source("in", int32(p)), from); err != nil {
			t.Fatal(err)
		}
	}
	got := drain(t, c, map[string]int64{"in/0": n, "in/1": n})
	for name, want := range map[string]int{"in/0": n, "in/1": n - 100, "in/2": 0} {
		if len(got[name]) != want {
			t.Errorf("%s: %d messages, want %d", name, len(got[name]), want)
		}
	}
	for i, m := range got["in/1"] {
		if m.Offset != int64(i+100) || string(m.ValueBytes) != fmt.Sprint("value ", i+100) || string(m.KeyBytes) != fmt.Sprint(i+100) {
			t.Fatalf("message %d of in/1: %+v", i, m)
		}
	}
}

func TestAcked(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "out", 2)
	o := outboxOf(t, s)
	if _, ok := o.Acked("out", 1); ok {
		t.Error("acknowledged before anything was sent")
	}
	for range 3 {
		if err := o.Send(system.Record{Stream: "out", At: 2, Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if offset, ok := o.Acked("out", 1); !ok || offset != 2 {
		t.Errorf("Acked: %d, %v; want 2", offset, ok)
	}
	if _, ok := o.Acked("out", 0); ok {
		t.Error("the other partition has an acknowledgement")
	}
}

func TestRead(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", 1)
	fill(t, s, "in", 0, 1000)
	for _, tt := range []struct{ from, to, first, n, pos int64 }{
		{system.Oldest, system.End, 0, 1000, 1000},
		{10, 20, 10, 10, 20},
		{990, 1000, 990, 10, 1000},
		{1000, system.End, 0, 0, 1000},
		{500, 400, 0, 0, 500},
	} {
		var got []task.Message
		pos, err := s.Read(testContext(t), "in", 0, tt.from, tt.to, func(ms []task.Message) error { got = append(got, ms...); return nil })
		if err != nil || pos != tt.pos || int64(len(got)) != tt.n || tt.n > 0 && got[0].Offset != tt.first {
			t.Errorf("Read(%d, %d): %d messages, position %d, %v; want %d and %d", tt.from, tt.to, len(got), pos, err, tt.n, tt.pos)
		}
	}
	if _, err := s.Read(testContext(t), "in", 0, 2000, 3000, nil); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("Read beyond the end: %v", err)
	}
	if _, err := s.Read(testContext(t), "nope", 0, 0, system.End, nil); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Read of a missing stream: %v", err)
	}
	if _, err := s.Read(testContext(t), "in", 7, 0, system.End, nil); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Read of a missing partition: %v", err)
	}
}

func TestAdmin(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	a, _ := s.Admin()
	ctx := testContext(t)
	spec := system.StreamSpec{Name: "made", Partitions: 3, ReplicationFactor: 1, Settings: map[string]string{"cleanup.policy": "compact"}}
	if err := a.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if err := a.Create(ctx, spec); !errors.Is(err, system.ErrExists) {
		t.Errorf("Create again: %v", err)
	}
	infos, err := a.Describe(ctx, "made", "nope")
	if err != nil || len(infos) != 1 || infos["made"].Partitions != 3 || infos["made"].Settings["cleanup.policy"] != "compact" || len(infos["made"].Settings) != 1 ||
		infos["made"].Defaults["delete.retention.ms"] != "86400000" || infos["made"].Defaults["cleanup.policy"] != "" {
		t.Errorf("Describe: %+v, %v", infos, err)
	}
	if infos, err = a.Describe(ctx); err != nil || len(infos) != 1 {
		t.Errorf("Describe all: %+v, %v", infos, err)
	}
	fill(t, s, "made", 1, 7)
	ends, err := a.Offsets(ctx, "made")
	if err != nil || len(ends) != 3 || ends[0].Topic == (system.TopicID{}) || ends[0] != ends[2] ||
		ends[1] != (system.Ends{Next: 7, Stable: 7, Topic: ends[0].Topic}) {
		t.Errorf("Offsets: %v, %v", ends, err)
	}
	if _, err := a.Offsets(ctx, "nope"); !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Offsets of a missing stream: %v", err)
	}
	if n, err := a.Brokers(ctx); n != 1 || err != nil {
		t.Errorf("Brokers: %d, %v", n, err)
	}
	if auto, err := a.AutoCreates(ctx); auto || err != nil {
		t.Errorf("AutoCreates: %v, %v", auto, err)
	}
}

func TestSendToMissingStream(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	o := outboxOf(t, s)
	err := o.Send(system.Record{Stream: "nope", Value: []byte("x")})
	if !errors.Is(err, system.ErrNoStream) {
		t.Errorf("Send: %v", err)
	}
	if again := o.Send(system.Record{Stream: "other"}); again != err { //nolint:errorlint // the same error is promised
		t.Errorf("Send after a failure: %v", again)
	}
}

func TestUnreachable(t *testing.T) {
	c := config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": "127.0.0.1:1"})
	s, err := New("kafka", c, Options{ConnectTimeout: 300 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, _ := s.Admin()
	_, err = a.Describe(testContext(t))
	var e *ConnectError
	if !errors.As(err, &e) || !errors.Is(err, system.ErrUnreachable) || e.ExitCode() != 3 {
		t.Fatalf("Describe: %v", err)
	}
	for _, part := range []string{"127.0.0.1:1", "systems.kafka.producer.bootstrap.servers", "tried for", "refused"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}
