package storage

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/system/memory"
)

var counted = map[string]string{
	"job.name":                    "w2",
	"systems.kafka.samza.factory": "org.apache.samza.system.kafka.KafkaSystemFactory",
	"stores.counts.factory":       "org.apache.samza.storage.kv.RocksDbKeyValueStorageEngineFactory",
	"stores.counts.key.serde":     "string",
	"stores.counts.msg.serde":     "integer",
	"stores.counts.changelog":     "kafka.peer-w2-changelog",
	"stores.scratch.factory":      "memory",
}

// TestGoldenTopic holds the settings to those of the topic that Samza made.
func TestGoldenTopic(t *testing.T) {
	c := config.New(counted)
	specs, err := Specs(c)
	check(t, err)
	topics, err := ChangelogTopics(c, specs, 4, map[string]int{"kafka": 1})
	check(t, err)
	if len(topics) != 1 {
		t.Fatalf("%v", topics)
	}
	got := topics[0]
	if got.Store != "counts" || got.System != "kafka" || got.Name != "peer-w2-changelog" || got.Partitions != 4 || got.ReplicationFactor != 1 {
		t.Errorf("%+v", got)
	}
	if want := map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "536870912", "max.message.bytes": "1000012",
		"min.compaction.lag.ms": "14400000", "delete.retention.ms": "86400000",
	}; !maps.Equal(got.Settings, want) {
		t.Errorf("settings %v, want %v", got.Settings, want)
	}
	if topics, err = ChangelogTopics(c, specs, 4, map[string]int{"kafka": 9}); err != nil || topics[0].ReplicationFactor != 2 {
		t.Errorf("with 9 brokers: %v, %v", topics, err)
	}
}

func TestSpecs(t *testing.T) {
	specs, err := Specs(config.New(counted))
	check(t, err)
	s := specs[0]
	if s.Name != "counts" || s.KeySerde != "string" || s.ValueSerde != "integer" || !s.Logged() ||
		s.CacheEntries != Unlimited || s.ObjectBytes != 32<<20 || s.WriteBatch != Unlimited ||
		s.Policy != (Policy{DeleteRetention: DefaultDeleteRetention, MinCompactionLag: DefaultMinCompactionLag}) {
		t.Errorf("%+v", s)
	}
	if specs[1].Name != "scratch" || specs[1].Logged() || specs[1].ObjectBytes != 0 {
		t.Errorf("%+v", specs[1])
	}
	specs, err = Specs(config.New(counted).With(map[string]string{
		"stores.counts.object.cache.size": "0", "stores.counts.write.batch.size": "7",
		"stores.counts.changelog.min.compaction.lag.ms":       "60000",
		"task.transactional.state.restore.enabled":            "false",
		"task.transactional.state.retain.existing.state":      "false",
		"stores.counts.changelog.kafka.min.insync.replicas":   "2",
		"stores.counts.changelog.kafka.max.compaction.lag.ms": "1",
	}))
	check(t, err)
	s = specs[0]
	if s.CacheEntries != 0 || s.ObjectBytes != 0 || s.WriteBatch != 7 || !s.Policy.ToNewest || !s.Policy.DropExisting || s.Topic["min.insync.replicas"] != "2" {
		t.Errorf("%+v", s)
	}
	if _, ok := s.Topic["min.compaction.lag.ms"]; ok {
		t.Errorf("without transactional restore: %v", s.Topic)
	}
}

func TestCreate(t *testing.T) {
	ctx := context.Background()
	b := memory.NewBroker()
	systems := map[string]system.System{"kafka": memory.New("kafka", b)}
	topic := Topic{Store: "counts", System: "kafka", StreamSpec: system.StreamSpec{
		Name: "log", Partitions: 4, ReplicationFactor: 1, Settings: map[string]string{"cleanup.policy": "compact"}}}
	for range 2 {
		if w, err := Create(ctx, systems, []Topic{topic}); err != nil || len(w) > 0 {
			t.Fatalf("%v, %v", w, err)
		}
	}
	topic.Partitions = 5
	if _, err := Create(ctx, systems, []Topic{topic}); err == nil || !strings.Contains(err.Error(), "has 4 partitions, but the job's tasks need 5") || !strings.Contains(err.Error(), "stores.counts.changelog") {
		t.Errorf("another number of partitions: %v", err)
	}
	check(t, b.Create(system.StreamSpec{Name: "aged", Partitions: 4, Settings: map[string]string{"cleanup.policy": "delete"}}))
	topic.Name, topic.Partitions = "aged", 4
	if _, err := Create(ctx, systems, []Topic{topic}); err == nil || !strings.Contains(err.Error(), "cleanup.policy=delete, so that state would be dropped by age") {
		t.Errorf("another policy: %v", err)
	}
	check(t, b.Create(system.StreamSpec{Name: "both", Partitions: 4, Settings: map[string]string{"cleanup.policy": "compact,delete"}}))
	topic.Name = "both"
	if _, err := Create(ctx, systems, []Topic{topic}); err == nil || !strings.Contains(err.Error(), "cleanup.policy=compact,delete, so that state would be dropped by age") {
		t.Errorf("compacted, and dropped by age: %v", err)
	}
	meant := topic
	meant.Settings = map[string]string{"cleanup.policy": "compact,delete"}
	if w, err := Create(ctx, systems, []Topic{meant}); err != nil || len(w) > 0 {
		t.Errorf("the same where it is configured so: %v, %v", w, err)
	}
	check(t, b.Create(system.StreamSpec{Name: "unset", Partitions: 4}))
	topic.Name = "unset"
	if w, err := Create(ctx, systems, []Topic{topic}); err != nil || len(w) != 1 {
		t.Errorf("no policy: %v, %v", w, err)
	}
	topic.System = "other"
	if _, err := Create(ctx, systems, []Topic{topic}); err == nil || !strings.Contains(err.Error(), "systems.other.samza.factory") {
		t.Errorf("no system: %v", err)
	}
}

// TestCompactedTopic: what a restore takes for granted of a topic that somebody
// else made.
func TestCompactedTopic(t *testing.T) {
	made := func(more map[string]string) Topic {
		c := config.New(counted).With(more)
		specs, err := Specs(c)
		check(t, err)
		topics, err := ChangelogTopics(c, specs, 4, map[string]int{"kafka": 1})
		check(t, err)
		return topics[0]
	}
	plain := made(nil)
	exactly := map[string]string{"heddle.processing.guarantee": "exactly-once"}
	for _, tt := range []struct {
		name            string
		topic           Topic
		has             map[string]string
		warning, refuse string
	}{
		{"as made", plain, plain.Settings, "", ""},
		{"made by hand", plain, map[string]string{"cleanup.policy": "compact"}, "min.compaction.lag.ms=0, not 14400000", ""},
		{"the same, exactly-once", made(exactly), map[string]string{"cleanup.policy": "compact"}, "", ""},
		{"the same, restored to the end", made(map[string]string{"task.transactional.state.restore.enabled": "false"}), map[string]string{"cleanup.policy": "compact"}, "", ""},
		{"less lag", plain, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "1000"}, "set it to 14400000 with Kafka's tools, or stores.counts.changelog.min.compaction.lag.ms", ""},
		{"more of both", plain, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "14400001", "delete.retention.ms": "86400001"}, "", ""},
		{"deletions that go early", plain, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "14400000", "delete.retention.ms": "60000"}, "", "set the key to 60000, or the topic's to 86400000"},
		{"the same where it is known", made(map[string]string{"stores.counts.changelog.delete.retention.ms": "60000"}), map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "14400000", "delete.retention.ms": "60000"}, "", ""},
		{"by the brokers' defaults", plain, map[string]string{"by default": "delete"}, "", "has no cleanup.policy of its own, and the brokers' is delete, so that state would be dropped by age"},
		{"compacted by default", plain, map[string]string{"by default": "compact"}, "min.compaction.lag.ms=0, not 14400000: Kafka may", ""},
		{"the defaults are not known", plain, nil, "unless the broker's default is compact", ""},
	} {
		info := system.StreamInfo{Partitions: 4, Settings: tt.has}
		if policy, ok := tt.has["by default"]; ok {
			info.Settings, info.Defaults = nil, map[string]string{"cleanup.policy": policy, "min.compaction.lag.ms": "0", "delete.retention.ms": "86400000"}
		}
		warning, err := tt.topic.Check(info)
		if (warning == "") != (tt.warning == "") || !strings.Contains(warning, tt.warning) {
			t.Errorf("%s: warning %q, want %q", tt.name, warning, tt.warning)
		}
		if (err == nil) != (tt.refuse == "") || err != nil && (!strings.Contains(err.Error(), tt.refuse) || !strings.Contains(err.Error(), `store "counts"`)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refuse)
		}
	}
}

// TestAgedTopic: the changelog of a store with a TTL drops records by age, and
// not too early.
func TestAgedTopic(t *testing.T) {
	c := config.New(counted).With(map[string]string{"stores.counts.rocksdb.ttl.ms": "86400000"})
	specs, err := Specs(c)
	check(t, err)
	if !specs[0].Policy.ByAge || specs[0].TTL != 24*time.Hour {
		t.Errorf("%+v", specs[0])
	}
	topics, err := ChangelogTopics(c, specs, 4, map[string]int{"kafka": 1})
	check(t, err)
	topic := topics[0]
	if topic.Settings["cleanup.policy"] != "delete" || topic.Settings["retention.ms"] != "86400000" {
		t.Errorf("%v", topic.Settings)
	}
	for _, tt := range []struct {
		name            string
		has             map[string]string
		warning, refuse string
	}{
		{"as made", topic.Settings, "", ""},
		{"longer", map[string]string{"cleanup.policy": "delete", "retention.ms": "86400001"}, "", ""},
		{"for ever", map[string]string{"cleanup.policy": "delete", "retention.ms": "-1"}, "", ""},
		{"by the broker's defaults", map[string]string{}, "", ""},
		{"shorter", map[string]string{"cleanup.policy": "delete", "retention.ms": "86399999"}, "", "retention.ms=86399999"},
		{"compacted", map[string]string{"cleanup.policy": "compact"}, "", "but the job wants delete (for stores.counts.rocksdb.ttl.ms, or by stores.counts.changelog.kafka.cleanup.policy) and nothing would drop what has ended: set the topic's cleanup.policy to delete and retention.ms to 86400000 with Kafka's tools, or set stores.counts.changelog.kafka.cleanup.policy=compact"},
	} {
		warning, err := topic.Check(system.StreamInfo{Partitions: 4, Settings: tt.has})
		if (warning == "") != (tt.warning == "") || (err == nil) != (tt.refuse == "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s: %q, %v", tt.name, warning, err)
		}
	}
	topic.Settings["retention.ms"] = "2592000000"
	if warning, err := topic.Check(system.StreamInfo{Partitions: 4}); err != nil || !strings.Contains(warning, "2592000000") {
		t.Errorf("longer than the broker's default: %q, %v", warning, err)
	}
	specs, err = Specs(c.With(map[string]string{"stores.counts.changelog.kafka.cleanup.policy": "compact"}))
	check(t, err)
	if specs[0].Policy.ByAge {
		t.Error("a compacted topic is taken for one that drops by age")
	}
}

// TestAccessLogTopic: it has the changelog's partitions, and more do no harm.
func TestAccessLogTopic(t *testing.T) {
	c := config.New(counted).With(map[string]string{"stores.counts.accesslog.enabled": "true"})
	specs, err := Specs(c)
	check(t, err)
	topics, err := ChangelogTopics(c, specs, 4, map[string]int{"kafka": 1})
	check(t, err)
	if len(topics) != 2 || specs[0].AccessLogRatio != 50 {
		t.Fatalf("%+v", topics)
	}
	log := topics[1]
	if !log.AccessLog || log.Name != "peer-w2-changelog-access-log" || log.Partitions != 4 || log.ReplicationFactor != 1 || log.Settings != nil {
		t.Errorf("%+v", log)
	}
	for partitions, ok := range map[int32]bool{3: false, 4: true, 5: true} {
		_, err := log.Check(system.StreamInfo{Partitions: partitions, Settings: map[string]string{"cleanup.policy": "delete"}})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "stores.counts.accesslog.enabled=false") {
			t.Errorf("%d partitions: %v", partitions, err)
		}
	}
}

func TestTunedSpecs(t *testing.T) {
	specs, err := Specs(config.New(counted).With(map[string]string{
		"stores.counts.rocksdb.num.write.buffers": "4", "stores.counts.rocksdb.max.background.jobs": "2", "stores.counts.rocksdb.max.open.files": "-1",
		"stores.counts.rocksdb.metrics.list": "rocksdb.num-snapshots, rocksdb.block-cache-usage", "heddle.stores.counts.quota.bytes": "1000",
	}))
	check(t, err)
	s := specs[0]
	if s.WriteBuffers != 4 || s.Compactions != 2 || s.OpenFiles != -1 || len(s.Properties) != 2 || s.QuotaBytes != 1000 {
		t.Errorf("%+v", s)
	}
	if specs[1].WriteBuffers != 0 || specs[1].Compactions != 0 || specs[1].AccessLogRatio != 0 {
		t.Errorf("%+v", specs[1])
	}
}
