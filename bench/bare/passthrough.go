package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/steady"
)

// passThrough sends every record on from one goroutine. The record that was
// read is the one that is written: nothing is allocated in between.
func (l *loop) passThrough(ctx context.Context) error {
	client, err := kgo.NewClient(append(options(l.brokers...), reading(l.in, l.partitions))...)
	if err != nil {
		return err
	}
	defer client.Close()
	delivered := func(_ *kgo.Record, err error) {
		if err != nil {
			l.failed.CompareAndSwap(nil, &err)
		}
	}
	count := steady.Count{Meter: l.meter}
	for left := l.records; left > 0; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			count.One()
			left--
			r.Topic, r.Timestamp, r.Context = l.out, time.Time{}, nil
			client.Produce(ctx, r, delivered)
		})
	}
	count.Rest()
	return client.Flush(ctx)
}
