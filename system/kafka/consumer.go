package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// consumer reads by a client of its own.
//
// What pausing does: the client keeps at most one answer per broker ready, and
// fetches the next as soon as that one was polled. A paused partition is left
// out of later requests; its part of an answer that was fetched before is thrown
// away when it would be polled, and fetched again after Resume. So each Pause
// costs up to one fetch of the partition (max.partition.fetch.bytes). A caller
// that does not poll pays nothing and has the same effect on all partitions.
type consumer struct {
	s    *System
	link *link

	mu      sync.Mutex
	closed  bool
	polled  bool // Poll has begun: assignments go to the client at once
	pending map[string]map[int32]kgo.Offset
	parts   map[string]map[int32]*input

	// Poll's own.
	quiet   time.Duration // how long to wait before looking for a gap
	missing time.Time     // since when a stream is missing
}

// input is one assigned partition.
type input struct {
	src    *task.Source
	paused bool
	// next is the position, -1 until the first answer of a symbolic one.
	next int64
	// behind says that the position was before the end when last seen.
	behind bool
}

const (
	firstLook = 200 * time.Millisecond
	lastLook  = 10 * time.Second
	// stillMissing is for how long a stream may be unknown to the brokers.
	stillMissing = 5 * time.Second
)

// Consumer makes a consumer with a client of its own.
func (s *System) Consumer() (system.Consumer, error) {
	// Control records are kept to know the position behind them; no reset,
	// because what to do out of range is decided here.
	l, err := s.connect(consumerSide, kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err != nil {
		return nil, err
	}
	return &consumer{s: s, link: l, quiet: firstLook,
		pending: map[string]map[int32]kgo.Offset{}, parts: map[string]map[int32]*input{}}, nil
}

// Assign on a partition that is assigned already moves its position.
func (c *consumer) Assign(src *task.Source, next int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("system %s: assign %s: consumer %w", c.s.name, src, errClosed)
	}
	at := kgo.NewOffset()
	switch {
	case next == system.Oldest:
		at = at.AtStart()
	case next == system.End:
		at = at.AtEnd()
	case next < 0:
		return fmt.Errorf("system %s: assign %s: %d is no offset", c.s.name, src, next)
	default:
		at = at.At(next)
	}
	byPartition := c.parts[src.Stream]
	if byPartition == nil {
		byPartition = map[int32]*input{}
		c.parts[src.Stream] = byPartition
	}
	if byPartition[src.Partition] != nil && c.polled {
		c.link.client.RemoveConsumePartitions(map[string][]int32{src.Stream: {src.Partition}})
	}
	byPartition[src.Partition] = &input{src: src, next: max(next, -1), behind: true}
	if c.pending[src.Stream] == nil {
		c.pending[src.Stream] = map[int32]kgo.Offset{}
	}
	c.pending[src.Stream][src.Partition] = at
	if c.polled {
		c.assignPending()
	}
	return nil
}

// assignPending needs c.mu.
func (c *consumer) assignPending() {
	if len(c.pending) > 0 {
		c.link.client.AddConsumePartitions(c.pending)
		c.pending = map[string]map[int32]kgo.Offset{}
	}
}

func (c *consumer) Pause(src ...*task.Source) {
	c.link.client.PauseFetchPartitions(c.mark(src, true))
}

func (c *consumer) Resume(src ...*task.Source) {
	c.link.client.ResumeFetchPartitions(c.mark(src, false))
}

func (c *consumer) mark(src []*task.Source, paused bool) map[string][]int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	byTopic := map[string][]int32{}
	for _, s := range src {
		if in := c.parts[s.Stream][s.Partition]; in != nil {
			in.paused = paused
			byTopic[s.Stream] = append(byTopic[s.Stream], s.Partition)
		}
	}
	return byTopic
}

func (c *consumer) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if !was {
		c.s.drop(c.link)
	}
	return nil
}

func (c *consumer) Poll(ctx context.Context) ([]system.Batch, error) {
	if err := c.link.reach(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("system %s: poll: consumer %w", c.s.name, errClosed)
	}
	c.polled = true
	c.assignPending()
	c.mu.Unlock()
	for {
		batches, waited, err := c.poll(ctx)
		if err != nil || len(batches) > 0 {
			c.quiet = firstLook
			return batches, err
		}
		if waited {
			batches, err := c.lookForGaps(ctx)
			if err != nil || len(batches) > 0 {
				return batches, err
			}
			c.quiet = min(2*c.quiet, lastLook)
		}
	}
}

// poll asks the client once; waited says that nothing came for a while although
// a partition is not at its end.
func (c *consumer) poll(ctx context.Context) (batches []system.Batch, waited bool, err error) {
	pollCtx := ctx
	if c.anyBehind() {
		var cancel context.CancelFunc
		pollCtx, cancel = context.WithTimeout(ctx, c.quiet)
		defer cancel()
	}
	fetches := c.link.client.PollFetches(pollCtx)
	for i := range fetches {
		for j := range fetches[i].Topics {
			t := &fetches[i].Topics[j]
			for k := range t.Partitions {
				p := &t.Partitions[k]
				if p.Err != nil {
					switch {
					case errors.Is(p.Err, kgo.ErrClientClosed):
						return nil, false, fmt.Errorf("system %s: poll: consumer %w", c.s.name, errClosed)
					case ctx.Err() != nil:
						return nil, false, ctx.Err()
					case pollCtx.Err() != nil && errors.Is(p.Err, pollCtx.Err()):
						waited = true
						continue
					}
					if err := c.failed(ctx, t.Topic, p); err != nil {
						return nil, false, err
					}
				}
				if b, ok := c.take(t.Topic, p); ok {
					batches = append(batches, b)
				}
			}
		}
	}
	return batches, waited, nil
}

func (c *consumer) anyBehind() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, byPartition := range c.parts {
		for _, in := range byPartition {
			if in.behind && !in.paused {
				return true
			}
		}
	}
	return false
}

// take makes a batch of what came for a partition.
func (c *consumer) take(topic string, p *kgo.FetchPartition) (system.Batch, bool) {
	c.mu.Lock()
	in := c.parts[topic][p.Partition]
	c.mu.Unlock()
	if in == nil {
		return system.Batch{}, false
	}
	end := p.HighWatermark
	if c.s.sides[consumerSide].settings.isolation == 1 {
		end = p.LastStableOffset
	}
	if len(p.Records) == 0 {
		if p.Err == nil && in.next >= 0 {
			in.behind = in.next < end
		}
		return system.Batch{}, false
	}
	b := system.Batch{Source: in.src, HighWatermark: p.HighWatermark, Next: p.Records[len(p.Records)-1].Offset + 1}
	b.Messages, b.Bytes = appendMessages(make([]task.Message, 0, len(p.Records)), in.src, p.Records)
	in.next, in.behind = b.Next, b.Next < end
	return b, true
}

// lookForGaps finds partitions whose end no record lies before: the client does
// not tell of it.
func (c *consumer) lookForGaps(ctx context.Context) ([]system.Batch, error) {
	c.mu.Lock()
	var behind []*input
	for _, byPartition := range c.parts {
		for _, in := range byPartition {
			if in.behind && !in.paused {
				behind = append(behind, in)
			}
		}
	}
	c.mu.Unlock()
	ends := map[string][]system.Ends{}
	committed := c.s.sides[consumerSide].settings.isolation == 1
	var batches []system.Batch
	for _, in := range behind {
		all := ends[in.src.Stream]
		if all == nil {
			var err error
			if all, err = (admin{c.s}).Offsets(ctx, in.src.Stream); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if !errors.Is(err, system.ErrNoStream) {
					return nil, nil // an outage: it is looked at again later
				}
				// Brokers learn of topics one after the other: one may not know
				// yet.
				if c.missing.IsZero() {
					c.missing = time.Now()
				}
				if time.Since(c.missing) > stillMissing {
					return nil, err
				}
				return nil, nil
			}
			c.missing = time.Time{}
			ends[in.src.Stream] = all
		}
		if int(in.src.Partition) >= len(all) {
			return nil, fmt.Errorf("system %s: poll: stream %s has partitions 0 to %d, not %d: %w", c.s.name, in.src.Stream, len(all)-1, in.src.Partition, system.ErrNoStream)
		}
		e := all[in.src.Partition]
		end := e.Next
		if committed {
			end = e.Stable
		}
		if in.next < 0 {
			// Assigned at the oldest or the end, and nothing came: both are where
			// reading stands if the partition is empty.
			if e.Oldest == end {
				in.next, in.behind = end, false
				batches = append(batches, system.Batch{Source: in.src, Next: end, HighWatermark: e.Next})
			}
			continue
		}
		if in.next >= end {
			in.behind = in.next > end && !committed // out of range, which the client reports
			continue
		}
		a := newFetcher(c.s, c.link, in.src.Stream, in.src.Partition).once(ctx, in.next, 0)
		if a.err != nil || len(a.records) > 0 || a.next <= in.next {
			continue // the client's own fetch brings records and errors
		}
		in.next, in.behind = a.next, a.next < end
		batches = append(batches, system.Batch{Source: in.src, Next: a.next, HighWatermark: e.Next})
	}
	return batches, nil
}

// failed deals with a partition's error: nil if reading goes on.
func (c *consumer) failed(ctx context.Context, topic string, p *kgo.FetchPartition) error {
	var lost *kgo.ErrDataLoss
	switch {
	case errors.As(p.Err, &lost):
		c.s.log.Warn("Kafka lost records that were read already (an unclean choice of a leader?); reading goes on where the logs part",
			"topic", topic, "partition", p.Partition, "read", lost.ConsumedTo, "from", lost.ResetTo)
		return nil
	case errors.Is(p.Err, kerr.OffsetOutOfRange):
		return c.outOfRange(ctx, topic, p.Partition)
	case errors.Is(p.Err, kerr.UnknownTopicID):
		return fmt.Errorf("system %s: read stream %s, partition %d: the topic was deleted, or made anew: %w", c.s.name, topic, p.Partition, streamError(p.Err))
	case kerr.IsRetriable(p.Err):
		return nil
	}
	return fmt.Errorf("system %s: read stream %s, partition %d: %w", c.s.name, topic, p.Partition, streamError(p.Err))
}

// outOfRange moves the position as the configuration says, never silently.
func (c *consumer) outOfRange(ctx context.Context, topic string, partition int32) error {
	c.mu.Lock()
	in := c.parts[topic][partition]
	c.mu.Unlock()
	if in == nil {
		return nil
	}
	ends, err := c.s.endsOf(ctx, topic, partition)
	if err != nil {
		return fmt.Errorf("system %s: read stream %s, partition %d: %w", c.s.name, topic, partition, err)
	}
	reset, key := resetOf(c.s.conf, c.s.name, topic)
	to := ends.Oldest
	switch reset {
	case "earliest":
	case "latest":
		to = ends.Next
	default:
		return fmt.Errorf("system %s: read stream %s, partition %d: offset %d is not between the oldest %d and the end %d, so records may be missing; set %s to earliest or latest to go on there, or the job's offsets by run-job checkpoint set: %w",
			c.s.name, topic, partition, in.next, ends.Oldest, ends.Next, key, system.ErrOutOfRange)
	}
	c.s.log.Warn("the offset to read is out of range; reading goes on elsewhere, and what lies between is skipped or read again",
		"topic", topic, "partition", partition, "offset", in.next, "oldest", ends.Oldest, "end", ends.Next, "from", to, "because", key+"="+reset)
	return c.Assign(in.src, to)
}

// resetOf says where reading goes on when an offset is out of range: what the
// topic's or the system's auto.offset.reset says, else the stream's
// offset.default if it is set. Samza's default (skip to the end, without a word)
// is not followed: without any of them it is an error.
func resetOf(c config.Config, name, topic string) (reset, key string) {
	if config.SystemStreamAutoOffsetReset.IsSet(c, name, topic) {
		return config.SystemStreamAutoOffsetReset.Of(c, name, topic), config.SystemStreamAutoOffsetReset.Found(c, name, topic)
	}
	for _, key := range []string{
		"streams." + topic + ".samza.offset.default",
		"systems." + name + ".streams." + topic + ".samza.offset.default",
		"systems." + name + ".default.stream.samza.offset.default",
		"systems." + name + ".samza.offset.default",
	} {
		switch v, _ := c.Get(key); v {
		case "oldest":
			return "earliest", key
		case "upcoming":
			return "latest", key
		}
	}
	return "", config.SystemAutoOffsetReset.Name(name)
}
