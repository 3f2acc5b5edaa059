package main

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
	"heddle/bench/steady"
)

// count counts the events of each partition by user in a map, a goroutine per
// partition, and writes each second the counts that changed.
func (l *loop) count(ctx context.Context) error {
	client, err := kgo.NewClient(append(options(l.brokers...), reading(l.in, l.partitions), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer client.Close()
	counters := make([]*counter, l.partitions)
	var wg sync.WaitGroup
	for p := range counters {
		c := &counter{l: l, client: client, partition: int32(p), batches: make(chan []*kgo.Record, 8), users: map[string]*user{}, meter: steady.Count{Meter: l.meter}}
		counters[p] = c
		wg.Go(func() { c.run(ctx) })
	}
	left := l.records
	for left > 0 && err == nil {
		fetches := client.PollFetches(ctx)
		if err = fetches.Err(); err != nil {
			break
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				left -= int64(len(p.Records))
				counters[p.Partition].batches <- p.Records
			}
		})
	}
	for _, c := range counters {
		close(c.batches)
	}
	wg.Wait()
	if err != nil {
		return err
	}
	return client.Flush(ctx)
}

// counter is one partition's.
type counter struct {
	l         *loop
	client    *kgo.Client
	partition int32
	batches   chan []*kgo.Record
	users     map[string]*user
	changed   []*user
	event     input.Event
	meter     steady.Count
}

type user struct {
	name    string
	count   int64
	changed bool
}

func (c *counter) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.write(ctx)
		case records, ok := <-c.batches:
			if !ok {
				c.write(ctx)
				c.meter.Rest()
				return
			}
			for _, r := range records {
				c.one(r)
			}
		}
	}
}

func (c *counter) one(r *kgo.Record) {
	c.meter.One()
	if err := json.Unmarshal(r.Value, &c.event); err != nil {
		c.fail(err)
		return
	}
	u := c.users[c.event.User]
	if u == nil {
		u = &user{name: c.event.User}
		c.users[u.name] = u
	}
	u.count++
	if !u.changed {
		u.changed = true
		c.changed = append(c.changed, u)
	}
}

// write sends the counts that changed to the partition's changelog.
func (c *counter) write(ctx context.Context) {
	for _, u := range c.changed {
		u.changed = false
		c.client.Produce(ctx, &kgo.Record{
			Topic: c.l.out, Partition: c.partition,
			Key: []byte(u.name), Value: binary.BigEndian.AppendUint64(nil, uint64(u.count)),
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				c.fail(err)
			}
		})
	}
	c.changed = c.changed[:0]
}

func (c *counter) fail(err error) { c.l.failed.CompareAndSwap(nil, &err) }
