package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fromText(s string) Config {
	m := map[string]string{}
	for line := range strings.Lines(s) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			m[k] = v
		}
	}
	return New(m)
}

func TestInputs(t *testing.T) {
	base := "systems.kafka.samza.factory=kafka\nsystems.other.producer.bootstrap.servers=h:1\n"
	for _, tt := range []struct {
		name, config string
		want         []SystemStream
		err          string
	}{
		{"dots belong to the topic", "task.inputs=kafka.a.b,other.c", []SystemStream{{"kafka", "a.b"}, {"other", "c"}}, ""},
		{"each once", "task.inputs=kafka.a, kafka.a", []SystemStream{{"kafka", "a"}}, ""},
		{"none", "", nil, ""},
		{"an id", "task.inputs=kafka.clicks\nstreams.clicks.samza.system=kafka\nstreams.clicks.samza.physical.name=click.event", []SystemStream{{"kafka", "click.event"}}, ""},
		{"an id of another system", "task.inputs=kafka.clicks\nstreams.clicks.samza.system=other\nstreams.clicks.samza.physical.name=x", []SystemStream{{"kafka", "clicks"}}, ""},
		{"the topic of an id", "task.inputs=kafka.b\nstreams.a.samza.system=kafka\nstreams.a.samza.physical.name=b\nstreams.b.samza.system=kafka\nstreams.b.samza.physical.name=c", []SystemStream{{"kafka", "b"}}, ""},
		{"without a dot", "task.inputs=clicks\njob.default.system=kafka", nil, `task.inputs: expected system.stream, not "clicks"; write kafka.clicks`},
		{"without a stream", "task.inputs=kafka.", nil, `expected system.stream, not "kafka."`},
		{"unknown system", "task.inputs=kafak.a", nil, `the system "kafak" of kafak.a is not defined; there are: kafka, other (did you mean kafka?)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Inputs(fromText(base + tt.config))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// Each property comes from the first of Samza's places that has it.
func TestStreamLookupOrder(t *testing.T) {
	places := []string{
		"streams.id.samza.",
		"systems.s.streams.a.topic.samza.",
		"systems.s.default.stream.samza.",
		"systems.s.samza.",
	}
	base := "systems.s.samza.factory=kafka\nstreams.id.samza.system=s\nstreams.id.samza.physical.name=a.topic\n"
	for i := range places {
		text := base
		for j, p := range places[i:] {
			offset := []string{"oldest", "upcoming"}[j%2]
			text += p + "msg.serde=json" + p + "\n" + p + "key.serde=k" + p + "\n" + p + "offset.default=" + offset + "\n"
		}
		for _, name := range []string{"a.topic", "id"} {
			s, err := Stream(fromText(text), "s", name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Stream != "a.topic" || s.ID != "id" || s.MsgSerde != "json"+places[i] || s.KeySerde != "k"+places[i] ||
				s.OffsetDefault != "oldest" || s.MsgSerdeKey != places[i]+"msg.serde" {
				t.Errorf("from %s: %+v", places[i], s)
			}
		}
	}
	// reset.offset has no place at the system itself.
	s, err := Stream(fromText(base+"systems.s.samza.reset.offset=true"), "s", "a.topic")
	if err != nil || s.ResetOffset || s.OffsetDefault != "upcoming" || s.MsgSerde != "" {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = Stream(fromText(base+"systems.s.default.stream.samza.reset.offset=maybe"), "s", "a.topic")
	if err == nil || !strings.Contains(err.Error(), `systems.s.default.stream.samza.reset.offset: "maybe" is not valid`) {
		t.Error(err)
	}
}

func TestStreamTopicSettings(t *testing.T) {
	c := fromText(`systems.s.samza.factory=kafka
		systems.s.default.stream.replication.factor=4
		systems.s.default.stream.retention.ms=1
		systems.s.default.stream.cleanup.policy=delete
		systems.s.default.stream.partition.count=2
		systems.s.streams.t.retention.ms=2
		systems.s.streams.t.segment.ms=2
		systems.s.streams.t.consumer.auto.offset.reset=largest
		streams.t.partition.count=8
		streams.t.segment.ms=3
		streams.t.samza.msg.serde=json`)
	s, err := Stream(c, "s", "t")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"retention.ms": "2", "cleanup.policy": "delete", "segment.ms": "3"}, s.Topic); d != "" {
		t.Error(d)
	}
	if s.Partitions != 8 || s.Replication != 0 || !s.Configured {
		t.Errorf("%+v", s)
	}
	if o, _ := Stream(c, "s", "other"); o.Partitions != 2 || o.Configured {
		t.Errorf("%+v", o)
	}
	if v := SystemStreamAutoOffsetReset.Of(c, "s", "t"); v != "latest" {
		t.Errorf("auto.offset.reset %s", v)
	}
	for _, bad := range []string{"streams.t.partition.count=0", "systems.s.default.stream.replication.factor=x"} {
		k, v, _ := strings.Cut(bad, "=")
		if _, err := Stream(c.With(map[string]string{k: v}), "s", "t"); err == nil || !strings.Contains(err.Error(), k) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestReplicationFactor(t *testing.T) {
	c := fromText("systems.s.samza.factory=kafka\nsystems.p.samza.factory=kafka\nsystems.s.default.stream.replication.factor=5\n" +
		"job.coordinator.replication.factor=4\nstores.default.changelog.replication.factor=6\nstores.x.changelog.replication.factor=7\n" +
		"streams.t.samza.system=p\nstreams.t.replication.factor=8\nsystems.p.streams.old.replication.factor=9")
	for _, tt := range []struct {
		name    string
		use     TopicUse
		brokers int
		want    int
	}{
		{"coordinator, set", ForCoordinator("p"), 1, 4},
		{"checkpoint, from the system", ForCheckpoint("s"), 1, 5},
		{"checkpoint, one broker", ForCheckpoint("p"), 1, 1},
		{"checkpoint, two brokers", ForCheckpoint("p"), 2, 2},
		{"checkpoint, five brokers", ForCheckpoint("p"), 5, 3},
		{"changelog of x", ForChangelog("p", "x"), 1, 7},
		{"changelog of y", ForChangelog("p", "y"), 1, 6},
		{"stream by id", ForStream(c, "p", "t"), 1, 8},
		{"stream by topic", ForStream(c, "p", "old"), 1, 9},
		{"stream, five brokers", ForStream(c, "p", "z"), 5, 2},
		{"stream, brokers unknown", ForStream(c, "p", "z"), 0, 1},
	} {
		if n, err := ReplicationFactor(c, tt.use, tt.brokers); n != tt.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", tt.name, n, err, tt.want)
		}
	}
	if _, err := ReplicationFactor(fromText("job.coordinator.replication.factor=many"), ForCoordinator("s"), 1); err == nil {
		t.Error("no error")
	}
}

func TestSystems(t *testing.T) {
	for _, tt := range []struct {
		name, config                      string
		systems                           []string
		def, coordinator, checkpoint, log string
		err                               string
	}{
		{"one", "systems.k.samza.factory=kafka", []string{"k"}, "k", "k", "k", "k", ""},
		{"addresses alone", "systems.k.consumer.bootstrap.servers=h:1", []string{"k"}, "k", "k", "k", "k", ""},
		{"one is Kafka", "systems.k.samza.factory=kafka\nsystems.m.samza.factory=memory", []string{"k", "m"}, "k", "k", "k", "k", ""},
		{"named default", "systems.k.samza.factory=kafka\nsystems.l.samza.factory=kafka\njob.default.system=l", []string{"k", "l"}, "l", "l", "l", "l", ""},
		{"each its own", "systems.a.samza.factory=kafka\nsystems.b.samza.factory=kafka\nsystems.c.samza.factory=kafka\njob.coordinator.system=a\ntask.checkpoint.system=b\njob.changelog.system=c", []string{"a", "b", "c"}, "", "a", "b", "c", ""},
		{"several", "systems.a.samza.factory=kafka\nsystems.b.samza.factory=kafka", []string{"a", "b"}, "", "", "", "", "job.coordinator.system: not set, and there are several systems: a, b; set job.coordinator.system or job.default.system"},
		{"none", "job.name=x", nil, "", "", "", "", "systems.kafka.samza.factory: no system is defined; set it to kafka"},
		{"wrong", "systems.kafka.samza.factory=kafka\njob.coordinator.system=kafak", []string{"kafka"}, "kafka", "", "kafka", "kafka", `job.coordinator.system: the system "kafak" is not defined; there are: kafka (did you mean kafka?)`},
		{"settings make no system", "systems.k.samza.fetch.threshold=1", nil, "", "", "", "", "no system is defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fromText(tt.config)
			if got := Systems(c); !slices.Equal(got, tt.systems) {
				t.Errorf("systems %v", got)
			}
			if got := DefaultSystem(c); got != tt.def {
				t.Errorf("default %q", got)
			}
			got, err := CoordinatorSystem(c)
			if got != tt.coordinator || (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("coordinator %q, %v", got, err)
			}
			if got, _ := CheckpointSystem(c); got != tt.checkpoint {
				t.Errorf("checkpoint %q", got)
			}
			if got, _ := ChangelogSystem(c); got != tt.log {
				t.Errorf("changelog %q", got)
			}
		})
	}
}

func TestEmbedded(t *testing.T) {
	for text, want := range map[string]bool{
		"systems.k.samza.factory=kafka":                                                          true,
		"systems.k.producer.bootstrap.servers=embedded":                                          true,
		"systems.k.consumer.bootstrap.servers=embedded\nsystems.k.samza.factory=kafka":           true,
		"systems.k.samza.factory=kafka\nsystems.k.producer.bootstrap.servers=h:9092":             false,
		"systems.k.samza.factory=kafka\nsystems.k.consumer.bootstrap.servers=h:9092, i:9092":     false,
		"systems.k.samza.factory=memory":                                                         false,
		"systems.other.samza.factory=kafka":                                                      false,
		"systems.k.samza.factory=org.apache.samza.system.kafka.KafkaSystemFactory\njob.name=any": true,
	} {
		if got := Embedded(fromText(text), "k"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	servers, key := Bootstrap(fromText("systems.k.consumer.bootstrap.servers=a:1, b:2"), "k")
	if !slices.Equal(servers, []string{"a:1", "b:2"}) || key != "systems.k.consumer.bootstrap.servers" {
		t.Errorf("%v by %s", servers, key)
	}
}

func TestSerde(t *testing.T) {
	c := fromText("serializers.registry.mine.class=org.apache.samza.serializers.LongSerdeFactory\nserializers.registry.string.class=JsonSerdeFactory\n" +
		"serializers.registry.java.class=org.apache.samza.serializers.SerializableSerdeFactory")
	for name, want := range map[string]string{
		"mine": "long", "string": "json", "json": "json", "": "bytes", "byte": "bytes", "bytebuffer": "bytes", "integer": "integer",
		"double": "double", "long": "long",
	} {
		if a, err := Serde(c, name, "k"); a.Name != want || err != nil {
			t.Errorf("%q is %s, %v; want %s", name, a.Name, err, want)
		}
	}
	for name, want := range map[string]string{
		"jsn":  `the serde "jsn" is not registered (did you mean json?)`,
		"java": "nothing but Java can read",
	} {
		if _, err := Serde(c, name, "the.key"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAliases(t *testing.T) {
	for _, tt := range []struct {
		kind       Kind
		name, want string
	}{
		{KindJobFactory, "org.apache.samza.job.local.ProcessJobFactory", "process"},
		{KindJobFactory, "YarnJobFactory", "yarn"},
		{KindJobFactory, "Thread", "thread"},
		{KindStore, "org.apache.samza.storage.kv.RocksDbKeyValueStorageEngineFactory", "pebble"},
		{KindStore, "rocksdb", "pebble"},
		{KindStore, "InMemoryKeyValueStorageEngineFactory", "memory"},
		{KindGrouper, "org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory", "ssp"},
		{KindCheckpoint, "org.apache.samza.checkpoint.file.FileSystemCheckpointManagerFactory", "file"},
		{KindReporter, "MetricsSnapshotReporterFactory", "snapshot"},
	} {
		if a, err := Canonical(tt.kind, tt.name); a.Name != tt.want || err != nil {
			t.Errorf("%s is %s, %v", tt.name, a.Name, err)
		}
	}
	// Names and classes of one kind mean one thing each.
	for _, a := range aliases {
		for _, n := range append([]string{a.Name, a.Class, simpleName(a.Class)}, a.Others...) {
			if n == "" {
				continue
			}
			if got, _ := Canonical(a.Kind, n); got.Name != a.Name {
				t.Errorf("%s %s is %s, want %s", a.Kind, n, got.Name, a.Name)
			}
		}
	}
	g, err := Grouper(fromText("job.systemstreampartition.grouper.factory=ssp"))
	if err != nil || g.Class != "org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory" {
		t.Errorf("grouper %+v, %v", g, err)
	}
	if g, _ := Grouper(Config{}); g.Class != "org.apache.samza.container.grouper.stream.GroupByPartitionFactory" {
		t.Errorf("default grouper %+v", g)
	}
}

// What says how long a changelog keeps deletions says how old local state may be;
// and a store with a TTL has the record size that it asks for.
func TestSettingsOfChangelogs(t *testing.T) {
	const base = "systems.kafka.samza.factory=kafka\nstores.s.factory=memory\nstores.s.changelog=log\n"
	for _, tt := range []struct {
		more      string
		retention time.Duration
		topic     map[string]string
	}{
		{"", 24 * time.Hour, map[string]string{"delete.retention.ms": "86400000", "max.message.bytes": "1000012"}},
		{"stores.s.changelog.delete.retention.ms=60000", time.Minute, map[string]string{"delete.retention.ms": "60000"}},
		{"stores.s.changelog.kafka.delete.retention.ms= 60000 ", time.Minute, map[string]string{"delete.retention.ms": "60000"}},
		{"stores.s.changelog.delete.retention.ms=60000\nstores.s.changelog.kafka.delete.retention.ms=0", time.Millisecond, map[string]string{"delete.retention.ms": "0"}},
		{"stores.s.rocksdb.ttl.ms=5000", 24 * time.Hour, map[string]string{"max.message.bytes": "", "cleanup.policy": "delete"}},
		{"stores.s.rocksdb.ttl.ms=5000\nstores.s.changelog.max.message.bytes=2000000", 24 * time.Hour, map[string]string{"max.message.bytes": "2000000"}},
	} {
		got, err := Stores(fromText(base + tt.more))
		if err != nil || got[0].DeleteRetention != tt.retention {
			t.Errorf("%s: %v, %v", tt.more, got, err)
			continue
		}
		for k, want := range tt.topic {
			if got[0].Topic[k] != want {
				t.Errorf("%s: %s is %q, want %q", tt.more, k, got[0].Topic[k], want)
			}
		}
	}
}

func TestStores(t *testing.T) {
	c := fromText(`systems.kafka.samza.factory=kafka
		systems.other.samza.factory=kafka
		job.default.system=kafka
		systems.other.default.stream.max.message.bytes=77
		stores.counts.factory=org.apache.samza.storage.kv.inmemory.InMemoryKeyValueStorageEngineFactory
		stores.counts.key.serde=string
		stores.counts.msg.serde=long
		stores.counts.changelog=counts-log
		stores.counts.changelog.kafka.segment.bytes=1000
		stores.counts.changelog.kafka.min.insync.replicas=2
		stores.big.store.factory=rocksdb
		stores.big.store.changelog=other.big.log
		stores.big.store.object.cache.size=0
		stores.plain.factory=memory
		stores.default.changelog.min.compaction.lag.ms=5
		task.transactional.state.restore.enabled=true`)
	got, err := Stores(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Name != "big.store" || got[1].Name != "counts" || got[2].Name != "plain" {
		t.Fatalf("%+v", got)
	}
	big, counts, plain := got[0], got[1], got[2]
	if big.Engine != "pebble" || big.Changelog != (SystemStream{"other", "big.log"}) || big.CacheEntries != 0 || big.WriteBatch != 500 {
		t.Errorf("%+v", big)
	}
	if big.Topic["max.message.bytes"] != "77" {
		t.Errorf("max.message.bytes comes from the system: %v", big.Topic)
	}
	want := map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "1000", "max.message.bytes": "1000012", "delete.retention.ms": "86400000",
		"min.compaction.lag.ms": "5", "min.insync.replicas": "2",
	}
	if d := cmp.Diff(want, counts.Topic); d != "" {
		t.Error(d)
	}
	if counts.Changelog != (SystemStream{"kafka", "counts-log"}) || counts.KeySerde != "string" || counts.MsgSerde != "long" ||
		counts.MinCompactionLag != 5*time.Millisecond || counts.CacheEntries != 1000 {
		t.Errorf("%+v", counts)
	}
	if plain.Logged() || plain.Topic != nil || !counts.Logged() {
		t.Errorf("%+v", plain)
	}
	off := c.With(map[string]string{"task.transactional.state.restore.enabled": "false", "stores.counts.rocksdb.ttl.ms": "9000"})
	got, err = Stores(off)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{
		"cleanup.policy": "delete", "retention.ms": "9000", "segment.bytes": "1000", "delete.retention.ms": "86400000", "min.insync.replicas": "2",
	}
	if d := cmp.Diff(want, got[1].Topic); d != "" {
		t.Error(d)
	}

	for ttl, want := range map[string]string{"1": "delete 1000", "0": "compact ", "-1": "compact ", "": "compact ", "5000": "delete 5000"} {
		got, err := Stores(c.With(map[string]string{"stores.counts.rocksdb.ttl.ms": ttl}))
		if err != nil {
			t.Fatal(err)
		}
		if s := got[1].Topic["cleanup.policy"] + " " + got[1].Topic["retention.ms"]; s != want {
			t.Errorf("a TTL of %q: %s, want %s", ttl, s, want)
		}
	}

	for key, value := range map[string]string{
		"stores.counts.changelog":         "nosystem.x",
		"stores.counts.factory":           "leveldbb",
		"stores.counts.object.cache.size": "-1",
	} {
		if _, err := Stores(c.With(map[string]string{key: value})); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
}

func TestServiceTopics(t *testing.T) {
	c := fromText("systems.s.default.stream.segment.bytes=100\nsystems.s.default.stream.max.message.bytes=200\ntask.checkpoint.segment.bytes=300")
	got, err := CheckpointTopic(c, "s")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"cleanup.policy": "compact", "segment.bytes": "300", "max.message.bytes": "200"}, got); d != "" {
		t.Error(d)
	}
	got, err = CoordinatorTopic(c, "s")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"cleanup.policy": "compact", "segment.bytes": "100"}, got); d != "" {
		t.Error(d)
	}
	got, _ = CoordinatorTopic(c, "other")
	if got["segment.bytes"] != "26214400" {
		t.Error(got)
	}
}
