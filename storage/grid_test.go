//go:build grid

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/internal/grid"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/task"
)

// onGrid is a store on a real Kafka.
type onGrid struct {
	sys   system.System
	specs []Spec
	// topic is the changelog; all are the topics of the store.
	topic Topic
	all   []Topic
	clock time.Time
	out   system.Outbox
	// address is Kafka's.
	address string
}

func newOnGrid(t *testing.T, settings map[string]string) *onGrid {
	t.Helper()
	g := grid.Use(t, grid.Kafka)
	name := grid.Name("changelog")
	m := map[string]string{
		"job.name": t.Name(), "systems.kafka.samza.factory": "kafka", "systems.kafka.producer.bootstrap.servers": g.KafkaAddress,
		"stores.s.factory": "memory", "stores.s.key.serde": "string", "stores.s.msg.serde": "bytes", "stores.s.changelog": "kafka." + name,
	}
	maps.Copy(m, settings)
	c := config.New(m)
	sys, err := kafka.New("kafka", c, kafka.Options{JobName: t.Name(), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() { check(t, sys.Close()) })
	r := &onGrid{sys: sys, clock: time.Now(), address: g.KafkaAddress}
	r.specs, err = Specs(c)
	check(t, err)
	r.all, err = ChangelogTopics(c, r.specs, 2, map[string]int{"kafka": 1})
	check(t, err)
	r.topic = r.all[0]
	t.Cleanup(func() {
		for _, topic := range r.all {
			g.DeleteTopics(t, topic.Name)
		}
	})
	return r
}

func (r *onGrid) systems() map[string]system.System { return map[string]system.System{"kafka": r.sys} }

// start opens the store and restores it to the changelog's end.
func (r *onGrid) start(t *testing.T) (*Set, task.Store) {
	t.Helper()
	p, err := r.sys.Producer()
	check(t, err)
	t.Cleanup(func() { check(t, p.Close()) })
	r.out, err = p.Outbox("Partition 0")
	check(t, err)
	set, err := Open(r.specs, Options{
		TaskName: "Partition 0", ChangelogPartition: 1, Now: func() time.Time { return r.clock },
		Outbox: func(string) (system.Outbox, error) { return r.out, nil },
	})
	check(t, err)
	check(t, set.Restore(t.Context(), r.systems(), nil, nil))
	s, err := set.Store("s")
	check(t, err)
	return set, s
}

func (r *onGrid) flush(t *testing.T, set *Set) {
	t.Helper()
	check(t, set.Flush())
	check(t, r.out.Flush(t.Context()))
}

func (r *onGrid) describe(t *testing.T, name string) system.StreamInfo {
	t.Helper()
	a, err := r.sys.Admin()
	check(t, err)
	infos, err := a.Describe(t.Context(), name)
	check(t, err)
	return infos[name]
}

// TestGridChangelogTopics: a real Kafka has the topics as Samza makes them, and
// one that is otherwise is refused by name, with the way out.
func TestGridChangelogTopics(t *testing.T) {
	r := newOnGrid(t, map[string]string{
		"stores.s.accesslog.enabled": "true", "stores.s.changelog.max.message.bytes": "54321",
		"stores.s.changelog.min.compaction.lag.ms": "7200000", "stores.s.changelog.kafka.min.insync.replicas": "1",
	})
	for range 2 { // made, then found
		warnings, err := Create(t.Context(), r.systems(), r.all)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, %v", warnings, err)
		}
	}
	info := r.describe(t, r.topic.Name)
	want := map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "536870912", "delete.retention.ms": "86400000",
		"min.compaction.lag.ms": "7200000", "max.message.bytes": "54321", "min.insync.replicas": "1",
	}
	if info.Partitions != 2 || !maps.Equal(info.Settings, want) {
		t.Errorf("%d partitions, %v, want %v", info.Partitions, info.Settings, want)
	}
	if log := r.describe(t, r.topic.Name+"-access-log"); log.Partitions != 2 {
		t.Errorf("the access log: %+v", log)
	}
	other := r.topic
	other.Partitions = 3
	if _, err := Create(t.Context(), r.systems(), []Topic{other}); err == nil || !strings.Contains(err.Error(), "has 2 partitions, but the job's tasks need 3") || !strings.Contains(err.Error(), r.topic.Name) {
		t.Errorf("another number of partitions: %v", err)
	}
	other = r.topic
	other.Settings = map[string]string{"cleanup.policy": "delete", "retention.ms": "1000"}
	if _, err := Create(t.Context(), r.systems(), []Topic{other}); err == nil || !strings.Contains(err.Error(), "cleanup.policy=compact, but the job wants delete") {
		t.Errorf("a compacted topic for a TTL: %v", err)
	}
	other = r.topic
	other.Name += "-by-hand"
	admin, err := r.sys.Admin()
	check(t, err)
	check(t, admin.Create(t.Context(), system.StreamSpec{Name: other.Name, Partitions: 2, ReplicationFactor: 1}))
	if _, err := Create(t.Context(), r.systems(), []Topic{other}); err == nil || !strings.Contains(err.Error(), "has no cleanup.policy of its own, and the brokers' is delete") {
		t.Errorf("a topic that drops by age by the brokers' default: %v", err)
	}

	set, s := r.start(t)
	check(t, s.Put("k", []byte("v")))
	for range 200 {
		_, err := s.Get("k")
		check(t, err)
	}
	r.flush(t, set)
	logged := 0
	_, err = r.sys.Read(t.Context(), r.topic.Name+"-access-log", 1, system.Oldest, system.End, func(ms []task.Message) error {
		for _, m := range ms {
			if !bytes.HasPrefix(m.ValueBytes, []byte(accessHead)) || len(m.KeyBytes) != 8 {
				t.Errorf("%x: %x", m.KeyBytes, m.ValueBytes)
			}
			logged++
		}
		return nil
	})
	if err != nil || logged < 50 || logged > 150 {
		t.Errorf("%d of 201 calls are logged, %v", logged, err)
	}
	check(t, set.Close())
}

// TestGridLargeRecord: what the topic does not take is refused by Put; nothing
// of it is written, and the store goes on.
func TestGridLargeRecord(t *testing.T) {
	r := newOnGrid(t, map[string]string{"stores.s.changelog.max.message.bytes": "20000"})
	_, err := Create(t.Context(), r.systems(), r.all)
	check(t, err)
	set, s := r.start(t)
	const n = 3000 // more than one batch may hold
	for i := range n {
		check(t, s.Put(fmt.Sprintf("k%05d", i), make([]byte, 100)))
	}
	err = s.PutAll([]task.Entry{{Key: "with it", Value: []byte("v")}, {Key: "large", Value: make([]byte, 20000)}})
	if !errors.Is(err, task.ErrTooLarge) || !strings.Contains(err.Error(), "max.message.bytes of the topic "+r.topic.Name+" is 20000") {
		t.Errorf("PutAll: %v", err)
	}
	if err := s.Put("large", make([]byte, 20000)); !errors.Is(err, task.ErrTooLarge) {
		t.Errorf("Put: %v", err)
	}
	check(t, s.Put("largest", make([]byte, 20000-128-len("largest"))))
	r.flush(t, set)
	check(t, set.Close())
	set, s = r.start(t)
	count := 0
	for e := range s.All() {
		check(t, e.Err)
		count++
	}
	if v, err := s.Get("large"); v != nil || err != nil || count != n+1 {
		t.Errorf("%d entries were restored, want %d; %v", count, n+1, err)
	}
	check(t, set.Close())
}

// TestGridTTL: the topic of a store with a TTL drops records by age, and the
// times of its records decide what is restored.
func TestGridTTL(t *testing.T) {
	r := newOnGrid(t, map[string]string{"stores.s.rocksdb.ttl.ms": "3600000"})
	_, err := Create(t.Context(), r.systems(), r.all)
	check(t, err)
	want := map[string]string{
		"cleanup.policy": "delete", "retention.ms": "3600000", "segment.bytes": "536870912", "delete.retention.ms": "86400000", "min.compaction.lag.ms": "14400000",
	}
	if info := r.describe(t, r.topic.Name); !maps.Equal(info.Settings, want) {
		t.Errorf("%v, want %v", info.Settings, want)
	}
	if w, err := Create(t.Context(), r.systems(), r.all); err != nil || len(w) > 0 {
		t.Errorf("found again: %v, %v", w, err)
	}
	began := r.clock
	set, s := r.start(t)
	r.clock = began.Add(-50 * time.Minute)
	check(t, s.Put("old", []byte("1")))
	r.clock = began.Add(-10 * time.Minute)
	check(t, s.Put("new", []byte("2")))
	r.flush(t, set)
	check(t, set.Close())
	for _, at := range []struct {
		later time.Duration
		want  string
	}{{0, "new=2 old=1"}, {10 * time.Minute, "new=2"}, {49 * time.Minute, "new=2"}, {50 * time.Minute, ""}} {
		r.clock = began.Add(at.later)
		set, s := r.start(t)
		var got []string
		for e := range s.All() {
			check(t, e.Err)
			got = append(got, fmt.Sprintf("%v=%s", e.Key, e.Value))
		}
		if text := strings.Join(got, " "); text != at.want {
			t.Errorf("after %s: %q, want %q", at.later, text, at.want)
		}
		check(t, set.Close())
	}
}

// TestGridTrimmedChangelog: Kafka has dropped the oldest records; the rest is
// restored, and what is missing is not missed.
func TestGridTrimmedChangelog(t *testing.T) {
	r := newOnGrid(t, map[string]string{
		"stores.s.rocksdb.ttl.ms": "3600000",
	})
	_, err := Create(t.Context(), r.systems(), r.all)
	check(t, err)
	set, s := r.start(t)
	check(t, s.Put("gone", []byte("1")))
	r.flush(t, set)
	check(t, s.Put("kept", []byte("2")))
	r.flush(t, set)
	// What retention does when it comes by, which takes a broker up to five
	// minutes (log.retention.check.interval.ms).
	client, err := kgo.NewClient(kgo.SeedBrokers(r.address))
	check(t, err)
	defer client.Close()
	var upTo kadm.Offsets
	upTo.AddOffset(r.topic.Name, 1, 1, -1)
	deleted, err := kadm.NewClient(client).DeleteRecords(t.Context(), upTo)
	check(t, err)
	check(t, deleted.Error())
	position := set.Positions()["s"].Offset
	check(t, set.Close())
	p, err := r.sys.Producer()
	check(t, err)
	defer func() { check(t, p.Close()) }()
	r.out, err = p.Outbox("Partition 0")
	check(t, err)
	again, err := Open(r.specs, Options{TaskName: "Partition 0", ChangelogPartition: 1, Now: func() time.Time { return r.clock },
		Outbox: func(string) (system.Outbox, error) { return r.out, nil }})
	check(t, err)
	check(t, again.Restore(t.Context(), r.systems(), map[string]Target{"s": {Offset: position, Committed: r.clock}}, nil))
	if s, err = again.Store("s"); err != nil {
		t.Fatal(err)
	}
	kept, err := s.Get("kept")
	check(t, err)
	gone, err := s.Get("gone")
	check(t, err)
	if kept == nil || gone != nil {
		t.Errorf("kept %v, gone %v", kept, gone)
	}
	check(t, again.Close())
}
