package grid

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaTimeout bounds every single thing a test asks of Kafka.
const kafkaTimeout = 60 * time.Second

// Name returns a name that no other test has: the given one with random letters.
func Name(prefix string) string {
	return fmt.Sprintf("%s-%08x", prefix, rand.Uint32())
}

// Topic makes a topic with a name of its own that begins with the prefix, and deletes it after the
// test. Settings are Kafka's topic settings as "key=value".
func (g *Grid) Topic(t testing.TB, prefix string, partitions int32, settings ...string) string {
	t.Helper()
	name := Name(prefix)
	configs := topicSettings(t, settings)
	g.admin(t, func(ctx context.Context, admin *kadm.Client) error {
		if _, err := admin.CreateTopic(ctx, partitions, 1, configs, name); err != nil {
			return err
		}
		return served(ctx, admin, name, partitions)
	})
	t.Cleanup(func() { g.DeleteTopics(t, name) })
	return name
}

// served waits until the broker knows a new topic: a busy one does a moment after it has said that it
// is made.
func served(ctx context.Context, admin *kadm.Client, name string, partitions int32) error {
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
		ends, err := admin.ListEndOffsets(ctx, name)
		if err == nil {
			err = ends.Error()
		}
		if err == nil && len(ends[name]) == int(partitions) || time.Now().After(deadline) {
			return err
		}
	}
}

// CreateTopic makes a topic of that name, which is the test's to delete.
func (g *Grid) CreateTopic(t testing.TB, name string, partitions int32, settings ...string) (err error) {
	t.Helper()
	configs := topicSettings(t, settings)
	g.admin(t, func(ctx context.Context, admin *kadm.Client) error {
		if _, err = admin.CreateTopic(ctx, partitions, 1, configs, name); err == nil {
			err = served(ctx, admin, name, partitions)
		}
		return nil
	})
	return err
}

func topicSettings(t testing.TB, settings []string) map[string]*string {
	t.Helper()
	configs := map[string]*string{}
	for _, setting := range settings {
		key, value, ok := strings.Cut(setting, "=")
		if !ok {
			t.Fatalf("topic setting %q is not key=value", setting)
		}
		configs[key] = &value
	}
	return configs
}

// DeleteTopics deletes topics; those that do not exist are no failure. A job's own topics
// (coordinator, checkpoint, changelog) are a test's to delete.
func (g *Grid) DeleteTopics(t testing.TB, topics ...string) {
	t.Helper()
	g.admin(t, func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.DeleteTopics(ctx, topics...)
		return err
	})
}

// Produce appends records to their topics (to the partition that each names) and returns when all
// are acknowledged.
func (g *Grid) Produce(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	client := g.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), kafkaTimeout)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("produce %d records: %v", len(records), err)
	}
}

// ProduceLines appends one record without a key for each line, over the topic's partitions in turn.
func (g *Grid) ProduceLines(t testing.TB, topic string, lines []string) {
	t.Helper()
	ends := g.EndOffsets(t, topic)
	records := make([]*kgo.Record, len(lines))
	for i, line := range lines {
		records[i] = &kgo.Record{Topic: topic, Partition: int32(i % len(ends)), Value: []byte(line)}
	}
	g.Produce(t, records...)
}

// EndOffsets are the end offsets of a topic's partitions for a reader of committed records.
func (g *Grid) EndOffsets(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	return g.ends(t, topic, (*kadm.Client).ListCommittedOffsets)
}

// Ends are the end offsets of a topic's partitions, with what lies in open transactions.
func (g *Grid) Ends(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	return g.ends(t, topic, (*kadm.Client).ListEndOffsets)
}

func (g *Grid) ends(t testing.TB, topic string, list func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)) map[int32]int64 {
	t.Helper()
	ends := map[int32]int64{}
	g.admin(t, func(ctx context.Context, admin *kadm.Client) error {
		offsets, err := list(admin, ctx, topic)
		if err == nil {
			err = offsets.Error()
		}
		offsets.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
		return err
	})
	if len(ends) == 0 {
		t.Fatalf("topic %s does not exist", topic)
	}
	return ends
}

// ReadAll returns the committed records of a topic from its beginning to the end that it has now,
// in the order of each partition.
func (g *Grid) ReadAll(t testing.TB, topic string) []*kgo.Record {
	t.Helper()
	ends := g.EndOffsets(t, topic)
	var begins kadm.ListedOffsets
	g.admin(t, func(ctx context.Context, admin *kadm.Client) (err error) {
		if begins, err = admin.ListStartOffsets(ctx, topic); err == nil {
			err = begins.Error()
		}
		return err
	})
	from := map[int32]kgo.Offset{}
	begins.Each(func(o kadm.ListedOffset) {
		if o.Offset < ends[o.Partition] {
			from[o.Partition] = kgo.NewOffset().At(o.Offset)
		}
	})
	if len(from) == 0 {
		return nil
	}
	// Positions, not records, say where the end is: on a transaction's end lies no record. With
	// control records kept, the client returns the last offset in every case but compaction at the
	// very end, which the time limit shows.
	client := g.client(t,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxWait(100*time.Millisecond))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), kafkaTimeout)
	defer cancel()
	var records []*kgo.Record
	open := len(from)
	for open > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read topic %s to its end: %v", topic, err)
		}
		for _, failed := range fetches.Errors() {
			t.Fatalf("read topic %s, partition %d: %v", topic, failed.Partition, failed.Err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			end := ends[p.Partition]
			for _, r := range p.Records {
				if r.Offset < end && !r.Attrs.IsControl() {
					records = append(records, r)
				}
			}
			if n := len(p.Records); n > 0 && p.Records[n-1].Offset >= end-1 {
				if _, reading := from[p.Partition]; reading {
					delete(from, p.Partition)
					open--
				}
			}
		})
	}
	return records
}

// Values are the records' values as text.
func Values(records []*kgo.Record) []string {
	values := make([]string, len(records))
	for i, r := range records {
		values[i] = string(r.Value)
	}
	return values
}

func (g *Grid) client(t testing.TB, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	// A topic that was made just now is asked for again soon, not after the client's 5 s.
	options = append(options, kgo.SeedBrokers(g.KafkaAddress), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	client, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatalf("Kafka client for %s: %v", g.KafkaAddress, err)
	}
	return client
}

func (g *Grid) admin(t testing.TB, do func(context.Context, *kadm.Client) error) {
	t.Helper()
	client := g.client(t)
	defer client.Close()
	// Not the test's own context: clean-up runs after it has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), kafkaTimeout)
	defer cancel()
	if err := do(ctx, kadm.NewClient(client)); err != nil {
		t.Fatalf("Kafka at %s: %v", g.KafkaAddress, err)
	}
}
