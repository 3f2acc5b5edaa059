package kafka

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
	"heddle/task"
)

// leader fetches the partitions that one broker leads.
type leader struct {
	c    *consumer
	node int32
	// wake holds a token when there may be something new to ask for.
	wake chan struct{}

	// Guarded by consumer.mu.
	waiting bool // an answer waits for Poll
	session fetchSession
	turn    int // where the next request begins, so that all partitions get theirs
}

const (
	// pausedWait bounds a request's wait while partitions are paused: one that
	// is resumed has to wait for it.
	pausedWait = 20 * time.Millisecond
	// followFor is how long a follower is fetched from before the leader is asked
	// again whom to fetch from (Kafka: metadata.max.age.ms).
	followFor = 5 * time.Minute
)

// changed tells that an input was paused or resumed. It needs c.mu.
func (l *leader) changed(in *input) {
	if !in.paused {
		l.poke()
	}
}

// taken tells that Poll took the answer. It needs c.mu.
func (l *leader) taken() {
	if l.waiting {
		l.waiting = false
		l.poke()
	}
}

func (l *leader) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run fetches until the consumer is closed.
func (l *leader) run() {
	failures := 0
	for l.c.ctx.Err() == nil {
		req, wants := l.request()
		if req == nil {
			select {
			case <-l.c.ctx.Done():
			case <-l.wake:
			}
			continue
		}
		kresp, err := l.c.link.client.Broker(int(l.node)).Request(l.c.ctx, req)
		if l.c.ctx.Err() != nil {
			return
		}
		var ok bool
		if err == nil {
			ok, err = l.answer(kresp)
		}
		if err != nil {
			l.lost(wants)
		}
		if ok {
			failures = 0
			continue
		}
		failures++
		if pause(l.c.ctx, retryBackoff(20*time.Millisecond, time.Second)(failures)) != nil {
			return
		}
	}
}

// request makes the next request; nil if there is nothing to ask for, or the
// last answer still waits for Poll.
func (l *leader) request() (*kmsg.FetchRequest, []*input) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.waiting || c.err != nil {
		return nil, nil
	}
	wants := make([]*input, 0, len(c.inputs))
	wait := c.set.fetchWait
	now := time.Now()
	n := len(c.inputs)
	for i := range c.inputs {
		in := c.inputs[(i+l.turn)%n]
		switch {
		case in.leader != l:
		case !in.follow.IsZero() && now.After(in.follow):
			in.follow = time.Time{}
			c.detach(in, noLeader)
		case in.paused:
			wait = min(wait, pausedWait)
		default:
			in.reqGen = in.gen
			wants = append(wants, in)
		}
	}
	if len(wants) == 0 {
		return nil, nil
	}
	if l.session.epoch <= 0 {
		// A session's broker takes turns by itself.
		l.turn = (l.turn + 1) % n
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = c.set.fetchMinBytes
	req.MaxBytes = c.set.fetchMaxBytes
	req.IsolationLevel = c.set.isolation
	req.Rack = c.set.rackID
	l.session.fill(req, wants, c.set.maxPartitionBytes)
	return req, wants
}

// lost sends all that was asked for to find; the session goes with the
// connection.
func (l *leader) lost(wants []*input) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l.session.reset()
	for _, in := range wants {
		if in.leader == l {
			in.follow = time.Time{}
			c.detach(in, noLeader)
		}
	}
}

// arrival is one partition's part of an answer.
type arrival struct {
	in  *input
	gen int
	src *task.Source
	rp  *kmsg.FetchResponseTopicPartition

	from int64
	d    decoded
	err  error
}

// answer takes an answer in; ok is false if the next request should wait a
// little.
func (l *leader) answer(kresp kmsg.Response) (ok bool, err error) {
	c := l.c
	resp, isFetch := kresp.(*kmsg.FetchResponse)
	if !isFetch {
		return false, errors.New("the answer to a fetch is none")
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		l.session.reset()
		if errors.Is(err, kerr.FetchSessionIDNotFound) || errors.Is(err, kerr.InvalidFetchSessionEpoch) {
			l.session.refused++
			return l.session.refused < maxRefusals, nil
		}
		return false, err
	}
	arrivals := l.arrivals(resp)
	// Decoding is most of the work; it needs no lock.
	for i := range arrivals {
		if a := &arrivals[i]; a.err == nil && len(a.rp.RecordBatches) > 0 {
			a.d, a.err = c.read.read(a.src, a.rp.RecordBatches, a.from, a.rp.AbortedTransactions)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ok = true
	for i := range arrivals {
		a := &arrivals[i]
		if a.in.gen != a.gen || a.in.leader != l {
			continue
		}
		if a.err == nil {
			ok = l.take(a) && ok
			continue
		}
		ok = false
		l.failed(a)
	}
	if l.waiting {
		c.notify()
	}
	return ok, nil
}

// arrivals finds the inputs of an answer's partitions.
func (l *leader) arrivals(resp *kmsg.FetchResponse) []arrival {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l.session.answered(resp.SessionID)
	var out []arrival
	for i := range resp.Topics {
		t := &resp.Topics[i]
		name := t.Topic
		if name == "" {
			name = c.names[t.TopicID]
		}
		byPartition := c.byTopic[name]
		for j := range t.Partitions {
			rp := &t.Partitions[j]
			in := byPartition[rp.Partition]
			if in == nil || in.leader != l || in.reqGen != in.gen {
				continue
			}
			out = append(out, arrival{in: in, gen: in.gen, src: in.src, rp: rp, from: in.next, err: kerr.ErrorForCode(rp.ErrorCode)})
		}
	}
	return out
}

// take moves an input on and keeps its messages for Poll; false if the answer
// brought bytes and did not move it. It needs c.mu.
func (l *leader) take(a *arrival) bool {
	c, in := l.c, a.in
	in.unknown = time.Time{}
	if a.rp.PreferredReadReplica >= 0 && a.rp.PreferredReadReplica != l.node {
		in.follow = time.Now().Add(followFor)
		c.attach(in, a.rp.PreferredReadReplica)
		return true
	}
	if len(a.rp.RecordBatches) == 0 {
		return true
	}
	if a.d.next <= a.from {
		return false
	}
	in.next = a.d.next
	if n := len(a.d.messages); n > 0 {
		in.recordBytes = int32(max(len(a.rp.RecordBatches)/n, 1))
	}
	if a.d.epoch >= 0 {
		in.lastEpoch = a.d.epoch
	}
	end := a.rp.HighWatermark
	if c.set.isolation == readCommitted && a.rp.LastStableOffset >= 0 {
		end = min(end, a.rp.LastStableOffset)
	}
	c.batches = append(c.batches, system.Batch{
		Source: a.src, Messages: a.d.messages, Next: a.d.next, HighWatermark: end, Bytes: a.d.bytes,
	})
	l.waiting = true
	return true
}

// failed deals with a partition's error. It needs c.mu.
func (l *leader) failed(a *arrival) {
	c, in := l.c, a.in
	switch {
	case errors.Is(a.err, kerr.OffsetOutOfRange) && !in.follow.IsZero():
		// A follower may not be as far as its leader.
		in.follow = time.Time{}
		c.detach(in, noLeader)
	case errors.Is(a.err, kerr.OffsetOutOfRange):
		c.detach(in, outOfRange)
	case passing(a.err):
		in.follow = time.Time{}
		c.detach(in, noLeader)
	default:
		c.fail(in, a.err)
	}
}

// attach gives an input to the broker that it is fetched from. It needs c.mu.
func (c *consumer) attach(in *input, node int32) {
	l := c.leaders[node]
	if l == nil {
		l = &leader{c: c, node: node, wake: make(chan struct{}, 1)}
		c.leaders[node] = l
		if !c.closed {
			c.tasks.Go(l.run)
		}
	}
	in.leader = l
	l.poke()
}
