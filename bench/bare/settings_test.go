package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/task"
)

// asked is what a client asks of the broker, as far as settings decide it.
type asked struct {
	fetchWait, fetchMin, fetchMax, fetchPartitionMax int32
	acks                                             int16
	produceTimeout                                   int32
	idempotent                                       bool
}

// watch gives a Kafka with a record in it and what was asked of it.
func watch(t *testing.T) (addresses []string, seen func() asked) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "in", "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	fill, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	if err := fill.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var a asked
	c.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if f, ok := r.(*kmsg.FetchRequest); ok {
			a.fetchWait, a.fetchMin, a.fetchMax = f.MaxWaitMillis, f.MinBytes, f.MaxBytes
			for _, topic := range f.Topics {
				for _, p := range topic.Partitions {
					// Heddle asks for less once it knows that records are small; those of
					// the benchmark are not.
					if a.fetchPartitionMax == 0 {
						a.fetchPartitionMax = p.PartitionMaxBytes
					}
				}
			}
		}
		return nil, nil, false
	})
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if p, ok := r.(*kmsg.ProduceRequest); ok {
			a.acks, a.produceTimeout = p.Acks, p.TimeoutMillis
			for _, topic := range p.Topics {
				for _, part := range topic.Partitions {
					var b kmsg.RecordBatch
					if err := b.ReadFrom(part.Records); err == nil {
						a.idempotent = b.ProducerID >= 0
					}
				}
			}
		}
		return nil, nil, false
	})
	return c.ListenAddrs(), func() asked {
		mu.Lock()
		defer mu.Unlock()
		return a
	}
}

// TestSameSettings holds that the two sides of the benchmark ask the same of
// the broker.
func TestSameSettings(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	addresses, seen := watch(t)
	client, err := kgo.NewClient(append(options(addresses...), reading("in", 1))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.PollFetches(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "out", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	bare := seen()

	addresses, seen = watch(t)
	s, err := kafka.New("kafka", config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": addresses[0]}), kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	through(ctx, t, s)
	if heddle := seen(); heddle != bare || heddle.acks != -1 || !heddle.idempotent || heddle.fetchMax == 0 {
		t.Errorf("heddle asks for %+v,\nthe bare loop for %+v", heddle, bare)
	}
}

// through reads a record and writes one.
func through(ctx context.Context, t *testing.T, s system.System) {
	t.Helper()
	c, err := s.Consumer()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Assign(&task.Source{System: "kafka", Stream: "in"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := s.Producer()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Outbox("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Send(system.Record{Stream: "out", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}
