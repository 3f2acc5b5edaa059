package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
)

// stillUnknown is for how long Kafka may not know a topic that is read before
// that is an error: brokers learn of topics one after the other, also when they
// start.
const stillUnknown = 15 * time.Second

// find looks after inputs without a leader until there are none.
func (c *consumer) find() {
	for try := 1; ; try++ {
		c.mu.Lock()
		var lost []*input
		for _, in := range c.inputs {
			if in.leader == nil {
				lost = append(lost, in)
			}
		}
		if len(lost) == 0 || c.closed || c.err != nil {
			c.finding = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.findOnce(lost)
		if c.ctx.Err() != nil {
			c.mu.Lock()
			c.finding = false
			c.mu.Unlock()
			return
		}
		// The first rounds follow quickly: most changes of leaders are known at
		// once.
		if try > 1 {
			_ = pause(c.ctx, retryBackoff(20*time.Millisecond, time.Second)(try-1)) // its end is seen above
		}
	}
}

// state is what is known of an input's partition.
type state struct {
	id          [16]byte
	leader      int32
	leaderEpoch int32
	err         error
}

// findOnce asks for the leaders of inputs and hands them over, after their
// offsets were settled.
func (c *consumer) findOnce(lost []*input) {
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
	defer cancel()
	states, err := c.states(ctx, lost)
	if err != nil {
		return // an outage, which the client tells of; tried again
	}
	ends := endsCache{c: c, ctx: ctx, known: map[string][]system.Ends{}}
	adm := kadm.NewClient(c.link.client)
	// All are handed over at once, so that the first request asks for all.
	var settled []func()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, f := range settled {
			f()
		}
	}()
	for i, in := range lost {
		st := states[i]
		c.mu.Lock()
		gen, next, why, epoch, lastEpoch, id, unknown := in.gen, in.next, in.problem, in.leaderEpoch, in.lastEpoch, in.id, in.unknown
		c.mu.Unlock()
		settle := func(f func()) {
			settled = append(settled, func() {
				if in.gen == gen {
					f()
				}
			})
		}
		switch {
		case errors.Is(st.err, kerr.UnknownTopicOrPartition) || errors.Is(st.err, kerr.UnknownTopicID):
			if unknown.IsZero() {
				settle(func() { in.unknown = time.Now() })
			} else if time.Since(unknown) > stillUnknown {
				settle(func() { c.fail(in, st.err) })
			}
			continue
		case st.err != nil && passing(st.err):
			continue
		case st.err != nil:
			settle(func() { c.fail(in, st.err) })
			continue
		case id != [16]byte{} && st.id != [16]byte{} && id != st.id:
			settle(func() { c.fail(in, fmt.Errorf("%w: %w", system.ErrRemade, kerr.UnknownTopicID)) })
			continue
		}
		switch {
		case next < 0:
			e, err := ends.of(in)
			if err != nil {
				continue
			}
			if next == system.End {
				next = ends.end(e)
			} else {
				next = e.Oldest
			}
		case why == outOfRange:
			e, err := ends.of(in)
			if err != nil {
				continue
			}
			to, err := c.reset(in, next, e, ends.end(e))
			if err != nil {
				settle(func() { c.fail(in, err) })
				continue
			}
			next, lastEpoch = to, -1
		case lastEpoch >= 0 && st.leaderEpoch > epoch && epoch >= 0:
			to, err := c.divergence(ctx, adm, in, st, next, lastEpoch)
			if err != nil {
				continue
			}
			next = to
		}
		settle(func() {
			in.next, in.lastEpoch, in.problem = next, lastEpoch, noLeader
			in.id, in.leaderEpoch, in.unknown = st.id, st.leaderEpoch, time.Time{}
			if st.id != [16]byte{} {
				c.names[st.id] = in.topic
			}
			c.attach(in, st.leader)
		})
	}
}

// states asks for the leaders of the inputs' partitions.
func (c *consumer) states(ctx context.Context, inputs []*input) ([]state, error) {
	type place struct {
		topic     string
		partition int32
	}
	req := kmsg.NewPtrMetadataRequest()
	asked := map[string]bool{}
	for _, in := range inputs {
		if !asked[in.topic] {
			asked[in.topic] = true
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(in.topic)
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := req.RequestWith(ctx, c.link.client)
	if err != nil {
		return nil, err
	}
	known := map[place]state{}
	failed := map[string]error{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			failed[*t.Topic] = err
			continue
		}
		for _, p := range t.Partitions {
			st := state{id: t.TopicID, leader: p.Leader, leaderEpoch: p.LeaderEpoch}
			if p.Leader < 0 {
				if st.err = kerr.ErrorForCode(p.ErrorCode); st.err == nil {
					st.err = kerr.LeaderNotAvailable
				}
			}
			known[place{*t.Topic, p.Partition}] = st
		}
	}
	out := make([]state, len(inputs))
	for i, in := range inputs {
		st, ok := known[place{in.topic, in.partition}]
		switch {
		case failed[in.topic] != nil:
			st.err = failed[in.topic]
		case !ok:
			st.err = kerr.UnknownTopicOrPartition
		}
		out[i] = st
	}
	return out, nil
}

// endsCache asks once for each stream.
type endsCache struct {
	c     *consumer
	ctx   context.Context
	known map[string][]system.Ends
}

func (e *endsCache) of(in *input) (system.Ends, error) {
	all, ok := e.known[in.topic]
	if !ok {
		var err error
		if all, err = (admin{e.c.s}).Offsets(e.ctx, in.topic); err != nil {
			return system.Ends{}, err
		}
		e.known[in.topic] = all
	}
	if int(in.partition) >= len(all) {
		return system.Ends{}, kerr.UnknownTopicOrPartition
	}
	return all[in.partition], nil
}

// end is the offset of the next message that can be read.
func (e *endsCache) end(ends system.Ends) int64 {
	if e.c.set.isolation == 1 {
		return ends.Stable
	}
	return ends.Next
}

// reset moves a position that is out of range as the configuration says, never
// silently.
func (c *consumer) reset(in *input, next int64, e system.Ends, end int64) (int64, error) {
	if next >= e.Oldest && next <= e.Next {
		return next, nil // by now it is there
	}
	reset, key := resetOf(c.s.conf, c.s.name, in.topic)
	to := e.Oldest
	switch reset {
	case "earliest":
	case "latest":
		to = end
	default:
		return 0, fmt.Errorf("offset %d is not between the oldest %d and the end %d, so records may be missing; set %s to earliest or latest to go on there, or the job's offsets by run-job checkpoint set: %w",
			next, e.Oldest, e.Next, key, system.ErrOutOfRange)
	}
	c.s.log.Warn("the offset to read is out of range; reading goes on elsewhere, and what lies between is skipped or read again",
		"topic", in.topic, "partition", in.partition, "offset", next, "oldest", e.Oldest, "end", e.Next, "from", to, "because", key+"="+reset)
	return to, nil
}

// divergence compares what was read with a new leader's log (KIP-320): after an
// unclean choice of a leader the logs part before the position.
func (c *consumer) divergence(ctx context.Context, adm *kadm.Client, in *input, st state, next int64, lastEpoch int32) (int64, error) {
	var req kadm.OffsetForLeaderEpochRequest
	req.Add(in.topic, in.partition, lastEpoch)
	answers, err := adm.OffsetForLeaderEpoch(ctx, req)
	if err != nil {
		return 0, err
	}
	a, ok := answers[in.topic][in.partition]
	if !ok || errors.Is(a.Err, kerr.TopicAuthorizationFailed) || errors.Is(a.Err, kerr.UnsupportedVersion) {
		return next, nil
	}
	if a.Err != nil {
		return 0, a.Err
	}
	if a.EndOffset < 0 || a.EndOffset >= next {
		return next, nil
	}
	c.s.log.Warn("Kafka lost records that were read already (an unclean choice of a leader?); reading goes on where the logs part",
		"topic", in.topic, "partition", in.partition, "read", next, "from", a.EndOffset, "leader", st.leader)
	return a.EndOffset, nil
}
