package checkpoint

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/system/memory"
)

const byPartition = "org.apache.samza.container.grouper.stream.GroupByPartitionFactory"

func options(b *memory.Broker) KafkaOptions {
	return KafkaOptions{
		System: memory.New("kafka", b), Topic: Topic("w2", "1"), Grouper: byPartition,
		Settings: map[string]string{"cleanup.policy": "compact"},
		Stores:   goldenStores,
	}
}

func started(t testing.TB, o KafkaOptions) *Kafka {
	t.Helper()
	k := NewKafka(o)
	if err := k.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func at(offset string) Checkpoint {
	return Checkpoint{
		ID:     "1795447399431-395992",
		Inputs: map[system.Partition]string{{System: "kafka", Stream: "in", Partition: 0}: offset},
		Changelogs: map[string]Changelog{
			"counts": {system.Partition{System: "kafka", Stream: "peer-w2-changelog", Partition: 0}, offset},
		},
	}
}

func TestTopicName(t *testing.T) {
	if got := Topic("my_job", "a_1"); got != "__samza_checkpoint_ver_1_for_my-job_a-1" {
		t.Error(got)
	}
}

// TestTakesOverFromSamza reads the topic that Samza wrote.
func TestTakesOverFromSamza(t *testing.T) {
	b := memory.NewBroker()
	o := options(b)
	if err := b.Create(system.StreamSpec{Name: o.Topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	for _, p := range golden(t) {
		if _, err := b.Append(o.Topic, 0, []byte(p.key), []byte(p.value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, versions := range [][]int{{1}, {2}, {2, 1}, {1, 2}} {
		o.ReadVersions = versions
		k := started(t, o)
		for task, want := range map[string][3]string{
			"Partition 0": {"349", "6", "1795447399396-96126"},
			"Partition 1": {"149", "2", "1795447399431-395992"},
			"Partition 2": {"349", "6", "1795447399419-532432"},
			"Partition 3": {"149", "2", "1795447399407-862895"},
		} {
			c, ok := k.Last(task)
			var input string
			for p, offset := range c.Inputs {
				if p.Stream == "peer-cap-in" {
					input = offset
				}
			}
			if got := [3]string{input, c.Changelogs["counts"].Offset, c.ID}; !ok || got != want {
				t.Errorf("read versions %v, %s: %v, want %v", versions, task, got, want)
			}
		}
		if c, ok := k.Last("Partition 4"); ok {
			t.Errorf("a task that never was: %+v", c)
		}
	}
}

// TestTopicIDs come back with the checkpoint, of either version, and Samza's
// bytes are what they were.
func TestTopicIDs(t *testing.T) {
	b := memory.NewBroker()
	o := options(b)
	c := at("1")
	c.Topics = map[system.StreamID]system.TopicID{
		{System: "kafka", Stream: "peer-w2-changelog"}: {1, 15: 2}, {System: "kafka", Stream: "in.with.dots"}: {9}, {System: "other", Stream: "x"}: {},
	}
	if err := started(t, o).Write(t.Context(), "Partition 0", c); err != nil {
		t.Fatal(err)
	}
	if err := started(t, o).Write(t.Context(), "Partition 1", at("1")); err != nil {
		t.Fatal(err)
	}
	delete(c.Topics, system.StreamID{System: "other", Stream: "x"}) // it has none
	for _, versions := range [][]int{{1}, {2}} {
		o.ReadVersions = versions
		k := started(t, o)
		if got, ok := k.Last("Partition 0"); !ok || !reflect.DeepEqual(got, c) {
			t.Errorf("read versions %v: %+v, want %+v", versions, got, c)
		}
		if got, ok := k.Last("Partition 1"); !ok || !reflect.DeepEqual(got, at("1")) {
			t.Errorf("read versions %v: %+v, want %+v", versions, got, at("1"))
		}
	}
	records := b.Records(o.Topic, 0)
	if len(records) != 4 {
		t.Fatalf("%d records", len(records))
	}
	for i, r := range records[:2] {
		want := `{"kafka.in.with.dots":"CQAAAAAAAAAAAAAAAAAAAA","kafka.peer-w2-changelog":"AQAAAAAAAAAAAAAAAAAAAg"}`
		if !bytes.Equal(r.Value, records[i+2].Value) || len(r.Headers) != 1 || string(r.Headers[0].Value) != want || len(records[i+2].Headers) != 0 {
			t.Errorf("%s, headers %q", r.Value, r.Headers)
		}
	}
	here, another := system.TopicID{1, 15: 2}, system.TopicID{5}
	log := system.StreamID{System: "kafka", Stream: "peer-w2-changelog"}
	if c.Remade(log, here) || !c.Remade(log, another) || c.Remade(log, system.TopicID{}) || at("1").Remade(log, another) {
		t.Error("which topics were made anew")
	}
}

func TestTopicIDsThatCannotBeRead(t *testing.T) {
	for _, value := range []string{"", "x", "[]", `{"kafka.in":7}`, `{"kafka.in":"short"}`, `{"nodot":"AQAAAAAAAAAAAAAAAAAAAg"}`} {
		if got := parseTopics([]byte(value)); len(got) != 0 {
			t.Errorf("%s: %v", value, got)
		}
	}
}

func TestWriteAndReadAgain(t *testing.T) {
	ctx := context.Background()
	b := memory.NewBroker()
	o := options(b)
	o.Replicas = func(brokers int) (int, error) { return brokers, nil }
	k := started(t, o)
	for _, offset := range []string{"1", "2"} {
		if err := k.Write(ctx, "Partition 0", at(offset)); err != nil {
			t.Fatal(err)
		}
	}
	if c, ok := k.Last("Partition 0"); !ok || !reflect.DeepEqual(c, at("2")) {
		t.Errorf("%+v", c)
	}
	again := started(t, o)
	if c, ok := again.Last("Partition 0"); !ok || !reflect.DeepEqual(c, at("2")) {
		t.Errorf("read again: %+v", c)
	}
	var types []string
	for _, r := range b.Records(o.Topic, 0) {
		key, err := ParseKey(r.Key)
		if err != nil || key.Grouper != byPartition || key.TaskName != "Partition 0" {
			t.Errorf("%+v, %v", key, err)
		}
		types = append(types, key.Type)
	}
	if want := []string{TypeV1, TypeV2, TypeV1, TypeV2}; !reflect.DeepEqual(types, want) {
		t.Errorf("types %v", types)
	}
	o.WriteVersions = []int{2}
	if err := started(t, o).Write(ctx, "Partition 0", at("3")); err != nil {
		t.Fatal(err)
	}
	if n := len(b.Records(o.Topic, 0)); n != 5 {
		t.Errorf("%d records, want one more", n)
	}
}

func TestTopicIsMadeOrChecked(t *testing.T) {
	b := memory.NewBroker()
	o := options(b)
	started(t, o)
	admin, _ := o.System.Admin()
	infos, err := admin.Describe(context.Background(), o.Topic)
	if err != nil || infos[o.Topic].Partitions != 1 || infos[o.Topic].Settings["cleanup.policy"] != "compact" {
		t.Errorf("%+v, %v", infos, err)
	}
	o.Topic = "other"
	if err := b.Create(system.StreamSpec{Name: "other", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	if err := NewKafka(o).Start(context.Background()); err == nil || !strings.Contains(err.Error(), "kafka.other: it has 3 partitions, but must have 1") {
		t.Errorf("3 partitions: %v", err)
	}
	var text bytes.Buffer
	o.Lenient, o.Logger = true, slog.New(slog.NewTextHandler(&text, nil))
	started(t, o)
	if !strings.Contains(text.String(), "3 partitions") {
		t.Errorf("no warning: %s", text.String())
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	v1 := func(grouper, task, offset string) pair {
		return pair{string(AppendKey(nil, Key{grouper, task, TypeV1})), string(AppendV1(nil, at(offset)))}
	}
	const bySSP = "org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory"
	tests := []struct {
		name    string
		records []pair
		errs    []string // none: it is no error
		lenient string   // the offset of task t if validation is off
	}{
		{"another grouper", []pair{v1(byPartition, "t", "1"), v1(bySSP, "t", "2")},
			[]string{"offset 1", bySSP, byPartition, "job.systemstreampartition.grouper.factory", "job.id"}, "2"},
		{"a bad key", []pair{v1(byPartition, "t", "1"), {"{", "{}"}}, []string{"offset 1", "checkpoint key", "job.checkpoint.validation.enabled"}, "1"},
		{"a bad value", []pair{{v1(byPartition, "u", "").key, "{"}, v1(byPartition, "t", "1")}, []string{"offset 0", `task "u"`, "job.checkpoint.validation.enabled"}, "1"},
		{"a bad value that was replaced", []pair{{v1(byPartition, "t", "").key, "{"}, v1(byPartition, "t", "1")}, nil, "1"},
		{"a version to come", []pair{v1(byPartition, "t", "1"), {string(AppendKey(nil, Key{byPartition, "t", "checkpoint-v3"})), "x"}}, nil, "1"},
		{"a deleted one", []pair{v1(byPartition, "t", "1"), {v1(byPartition, "t", "").key, ""}}, nil, ""},
	}
	for _, tt := range tests {
		for _, lenient := range []bool{false, true} {
			b := memory.NewBroker()
			o := options(b)
			o.Lenient = lenient
			if err := b.Create(system.StreamSpec{Name: o.Topic, Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			for _, p := range tt.records {
				value := []byte(p.value)
				if p.value == "" {
					value = nil
				}
				if _, err := b.Append(o.Topic, 0, []byte(p.key), value); err != nil {
					t.Fatal(err)
				}
			}
			k := NewKafka(o)
			err := k.Start(context.Background())
			if !lenient && len(tt.errs) > 0 {
				for _, want := range tt.errs {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %v does not say %q", tt.name, err, want)
					}
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, lenient %v: %v", tt.name, lenient, err)
				continue
			}
			if c, _ := k.Last("t"); c.Changelogs["counts"].Offset != tt.lenient {
				t.Errorf("%s, lenient %v: %+v", tt.name, lenient, c)
			}
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	b := memory.NewBroker()
	o := options(b)
	o.Lenient = true
	if err := b.Create(system.StreamSpec{Name: o.Topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(o.Topic, 0, nil, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := NewKafka(o).Start(context.Background()); err == nil || !strings.Contains(err.Error(), "without a key") {
		t.Errorf("a record without a key: %v", err)
	}
}

// TestPreferredVersion: the less preferred version wins when it is newer by
// more than the age.
func TestPreferredVersion(t *testing.T) {
	for _, tt := range []struct {
		name     string
		versions []int
		later    time.Duration
		want     string
	}{
		{"only 1", []int{1}, time.Hour, "1"},
		{"only 2", []int{2}, time.Hour, "2"},
		{"1 before 2, soon", []int{1, 2}, 10 * time.Minute, "1"},
		{"1 before 2, much later", []int{1, 2}, 10*time.Minute + time.Millisecond, "2"},
		{"2 before 1", []int{2, 1}, 0, "2"},
	} {
		b := memory.NewBroker()
		clock := time.UnixMilli(1795447399431)
		b.Now = func() time.Time { return clock }
		o := options(b)
		o.ReadVersions, o.MaxAge = tt.versions, 10*time.Minute
		if err := b.Create(system.StreamSpec{Name: o.Topic, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
		_, err := b.Append(o.Topic, 0, AppendKey(nil, Key{byPartition, "t", TypeV1}), AppendV1(nil, at("1")))
		clock = clock.Add(tt.later)
		_, err2 := b.Append(o.Topic, 0, AppendKey(nil, Key{byPartition, "t", TypeV2}), AppendV2(nil, at("2")))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if c, _ := started(t, o).Last("t"); c.Changelogs["counts"].Offset != tt.want {
			t.Errorf("%s: %+v, want %s", tt.name, c, tt.want)
		}
	}
}

func TestNewFromConfiguration(t *testing.T) {
	b := memory.NewBroker()
	systems := map[string]system.System{"kafka": memory.New("kafka", b)}
	base := config.New(map[string]string{
		"job.name": "w_2", "systems.kafka.samza.factory": "kafka",
		"stores.counts.factory": "memory", "stores.counts.changelog": "kafka.peer-w2-changelog",
	})
	made := func(extra map[string]string) (Log, error) {
		return New(base.With(extra), systems, Options{})
	}
	l, err := made(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, ok := l.(*Kafka)
	if !ok || k.o.Topic != "__samza_checkpoint_ver_1_for_w-2_1" || k.o.Grouper != byPartition || k.o.Lenient ||
		!reflect.DeepEqual(k.o.WriteVersions, []int{1, 2}) || !reflect.DeepEqual(k.o.ReadVersions, []int{1}) ||
		k.o.MaxAge != 10*time.Minute || !reflect.DeepEqual(k.o.Stores, goldenStores) ||
		!reflect.DeepEqual(k.o.Settings, map[string]string{"cleanup.policy": "compact", "segment.bytes": "26214400", "max.message.bytes": "1000012"}) {
		t.Errorf("%T %+v", l, k.o)
	}
	l, err = made(map[string]string{"systems.kafka.default.stream.segment.bytes": "100", "systems.kafka.default.stream.max.message.bytes": "200", "task.checkpoint.segment.bytes": "300"})
	if k, ok := l.(*Kafka); err != nil || !ok || k.o.Settings["segment.bytes"] != "300" || k.o.Settings["max.message.bytes"] != "200" {
		t.Errorf("the system's default settings: %+v, %v", l, err)
	}
	if n, err := k.o.Replicas(1); err != nil || n != 1 {
		t.Errorf("replicas on one broker: %d, %v", n, err)
	}
	if l, err := made(map[string]string{"task.checkpoint.factory": "none"}); err != nil || l != (None{}) {
		t.Errorf("%T, %v", l, err)
	}
	dir := t.TempDir()
	l, err = made(map[string]string{"task.checkpoint.factory": "org.apache.samza.checkpoint.file.FileSystemCheckpointManagerFactory", "task.checkpoint.path": dir})
	if f, ok := l.(*Files); !ok || err != nil || f.folder != dir || f.job != "w_2" {
		t.Errorf("%T, %v", l, err)
	}
	if _, err := made(map[string]string{"task.checkpoint.write.versions": "2"}); err == nil || !strings.Contains(err.Error(), "task.checkpoint.read.versions") {
		t.Errorf("versions that are never read: %v", err)
	}
	if _, err := New(base, nil, Options{}); err == nil || !strings.Contains(err.Error(), `"kafka"`) {
		t.Errorf("no system: %v", err)
	}
}
