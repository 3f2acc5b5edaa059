package checkpoint

import (
	"log/slog"
	"maps"
	"testing"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
)

// topicIDsInKafka writes a checkpoint with topics' ids and reads it, at the start
// and as who has taken over a transactional id does.
func topicIDsInKafka(t *testing.T, topic string, settings map[string]string) {
	sys, err := kafka.New("kafka", config.New(settings), kafka.Options{JobName: "topics", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	})
	o := KafkaOptions{System: sys, Topic: topic, Grouper: byPartition, WriteVersions: []int{1, 2}, ReadVersions: []int{2}}
	c := at("7")
	c.Topics = map[system.StreamID]system.TopicID{{System: "kafka", Stream: "in"}: {1, 15: 2}, {System: "kafka", Stream: "log"}: {3}}
	first := started(t, o)
	if err := first.Write(t.Context(), "Partition 0", c); err != nil {
		t.Fatal(err)
	}
	if got, ok := started(t, o).Last("Partition 0"); !ok || !maps.Equal(got.Topics, c.Topics) {
		t.Errorf("read at the start: %+v", got)
	}
	o.Transactional = true
	taking := started(t, o)
	c.Topics = map[system.StreamID]system.TopicID{{System: "kafka", Stream: "in"}: {9}}
	if err := first.Write(t.Context(), "Partition 0", c); err != nil {
		t.Fatal(err)
	}
	if err := taking.Refresh(t.Context(), []string{"Partition 0"}); err != nil {
		t.Fatal(err)
	}
	if got, ok := taking.Last("Partition 0"); !ok || !maps.Equal(got.Topics, c.Topics) {
		t.Errorf("read after the start: %+v", got)
	}
}

func TestTopicIDsInTheEmbeddedKafka(t *testing.T) {
	topicIDsInKafka(t, "checkpoints", map[string]string{"heddle.home": t.TempDir()})
}

// FuzzTopics: whatever a checkpoint's header holds, what is read of it is written as
// it was read.
func FuzzTopics(f *testing.F) {
	f.Add(appendTopics(nil, map[system.StreamID]system.TopicID{{System: "kafka", Stream: "a.b"}: {1, 2}, {System: "k", Stream: "\u2028\""}: {3}}))
	f.Add([]byte(`{"kafka.in":"AAAAAAAAAAAAAAAAAAAAAA","in":"x","kafka.":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := parseTopics(b)
		if again := parseTopics(appendTopics(nil, got)); len(got) > 0 && !maps.Equal(again, got) {
			t.Fatalf("%q is read as %v, then as %v", b, got, again)
		}
	})
}
