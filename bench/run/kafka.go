package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker is the Kafka that the benchmark runs on.
type broker struct {
	addresses []string
	client    *kgo.Client
	admin     *kadm.Client
}

func connect(ctx context.Context, addresses []string) (*broker, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addresses...))
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("kafka at %s (KAFKA_BOOTSTRAP_SERVERS) cannot be reached: %w", strings.Join(addresses, ","), err)
	}
	return &broker{addresses, client, kadm.NewClient(client)}, nil
}

func (k *broker) close() { k.client.Close() }

// topicSettings are those of Kafka for one topic.
type topicSettings map[string]string

// All records are kept: of a changelog, too, those with the same key, for the time
// that a run takes. Heddle takes no changelog that drops records by age.
var (
	asStream    = topicSettings{"retention.ms": "-1", "retention.bytes": "-1"}
	asChangelog = topicSettings{"cleanup.policy": "compact", "min.compaction.lag.ms": "14400000"}
)

func (k *broker) create(ctx context.Context, topic string, partitions int, as topicSettings) error {
	configs := map[string]*string{}
	for name, value := range as {
		configs[name] = &value
	}
	_, err := k.admin.CreateTopic(ctx, int32(partitions), 1, configs, topic)
	if err != nil {
		return fmt.Errorf("make topic %s: %w", topic, err)
	}
	// A topic is ready when each partition has a leader.
	for {
		if ends, err := k.admin.ListEndOffsets(ctx, topic); err == nil && ends.Error() == nil && len(ends[topic]) == partitions {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (k *broker) remove(ctx context.Context, topics ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answers, err := k.admin.DeleteTopics(ctx, topics...)
	if err == nil {
		err = answers.Error()
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	return err
}

// removeLike deletes the topics whose names hold a text.
func (k *broker) removeLike(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	topics, err := k.admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("delete the benchmark's topics: %w", err)
	}
	var found []string
	for name := range topics {
		if strings.Contains(name, text) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if err := k.remove(ctx, found...); err != nil {
		return fmt.Errorf("delete the benchmark's topics: %w", err)
	}
	return nil
}

// fill writes records, each made of its number.
func (k *broker) fill(ctx context.Context, topic string, records int64, make func(i int64) *kgo.Record) error {
	client, err := k.writer(topic)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	delivered := func(_ *kgo.Record, err error) {
		if err != nil {
			cancel(err)
		}
	}
	for i := range records {
		if i%1000 == 0 && ctx.Err() != nil {
			break
		}
		client.Produce(ctx, make(i), delivered)
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("fill topic %s: %w", topic, context.Cause(ctx))
	}
	return nil
}

// writer gives a client that writes to a topic, by key as Kafka's own does.
func (k *broker) writer(topic string) (*kgo.Client, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(20*time.Millisecond),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedBytes(64<<20))
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}

// readAll hands every record of a topic to each.
func (k *broker) readAll(ctx context.Context, topic string, each func(*kgo.Record) error) error {
	ends, err := k.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("read topic %s: %w", topic, err)
	}
	from := map[int32]kgo.Offset{}
	end := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition], end[o.Partition] = kgo.NewOffset().At(0), o.Offset
		}
	})
	if len(from) == 0 {
		return nil
	}
	// Nothing here is compacted within minutes: the last record, be it the end of
	// a transaction, lies right before the end.
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for len(end) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read topic %s: %w", topic, err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if !r.Attrs.IsControl() {
				if err := each(r); err != nil {
					return fmt.Errorf("topic %s, partition %d, offset %d: %w", topic, r.Partition, r.Offset, err)
				}
			}
			if r.Offset+1 >= end[r.Partition] {
				delete(end, r.Partition)
			}
		}
	}
	return nil
}
