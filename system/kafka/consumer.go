package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// consumer fetches by itself, on the connections of a client of its own: the
// client's consumer does not tell positions behind control records and gaps,
// throws away what it had fetched of a partition that is paused, and makes
// records first of what is to be messages.
//
// One goroutine for each broker that leads partitions (leader) has one request
// under way, or one answer waiting for Poll: so while the caller works on what
// Poll gave, the next is fetched, and a caller that does not poll stops the
// fetching. A paused partition is left out of later requests; what was fetched
// of it is kept and given. Pausing costs nothing.
//
// Partitions whose leader, offset or validity is in question go to find, which
// asks and hands them to a leader again.
type consumer struct {
	s     *System
	link  *link
	set   settings
	read  batchReader
	ctx   context.Context // ends with Close
	close context.CancelFunc
	tasks sync.WaitGroup
	// ready holds a token when Poll has something to look at.
	ready chan struct{}

	mu      sync.Mutex
	closed  bool
	started bool // Poll has been called
	finding bool // find runs
	inputs  []*input
	byTopic map[string]map[int32]*input
	names   map[[16]byte]string
	leaders map[int32]*leader
	batches []system.Batch
	err     error // final
}

// input is one assigned partition. All but its name is guarded by consumer.mu.
type input struct {
	topic     string
	partition int32

	src    *task.Source
	gen    int // counts assignments, so that old answers are not taken
	paused bool
	// next is the offset to fetch, or system.Oldest or End.
	next int64
	id   [16]byte // the topic's, once known
	// leader fetches it; nil while find has it.
	leader      *leader
	leaderEpoch int32
	// lastEpoch is the leader's epoch of the last batch read, -1 before.
	lastEpoch int32
	problem   problem
	// recordBytes is what a record of the last answer took in it, on average.
	recordBytes int32
	// unknown is since when Kafka does not know the topic.
	unknown time.Time
	// follow is until when it is fetched from a follower.
	follow time.Time
	member membership
	reqGen int
}

// problem is why an input is without a leader.
type problem uint8

const (
	noLeader   problem = iota // it was not asked for yet, or has changed
	outOfRange                // its offset is not there
)

// Consumer makes a consumer with a client of its own.
func (s *System) Consumer() (system.Consumer, error) {
	return s.consumer(s.sides[consumerSide].settings)
}

// CommittedConsumer is system.CommittedReader's.
func (s *System) CommittedConsumer() (system.Consumer, error) {
	set := s.sides[consumerSide].settings
	set.isolation = readCommitted
	return s.consumer(set)
}

func (s *System) consumer(set settings) (system.Consumer, error) {
	l, err := s.connect("consumer", consumerSide)
	if err != nil {
		return nil, err
	}
	c := &consumer{
		s: s, link: l, set: set, ready: make(chan struct{}, 1),
		read:    batchReader{committed: set.isolation == readCommitted, checkCRC: !set.noCRC, codec: kgo.DefaultDecompressor()},
		byTopic: map[string]map[int32]*input{}, names: map[[16]byte]string{}, leaders: map[int32]*leader{},
	}
	c.ctx, c.close = context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("system %s: %w", s.name, errClosed)
	}
	if s.readers == nil {
		s.readers = map[*consumer]struct{}{}
	}
	s.readers[c] = struct{}{}
	return c, nil
}

// Assign on a partition that is assigned already moves its position.
func (c *consumer) Assign(src *task.Source, next int64) error {
	if next < 0 && next != system.Oldest && next != system.End {
		return fmt.Errorf("system %s: assign %s: %d is no offset", c.s.name, src, next)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("system %s: assign %s: consumer %w", c.s.name, src, errClosed)
	}
	in := c.byTopic[src.Stream][src.Partition]
	if in == nil {
		in = &input{topic: src.Stream, partition: src.Partition}
		if c.byTopic[src.Stream] == nil {
			c.byTopic[src.Stream] = map[int32]*input{}
		}
		c.byTopic[src.Stream][src.Partition] = in
		c.inputs = append(c.inputs, in)
	} else {
		kept := c.batches[:0]
		for _, b := range c.batches {
			if b.Source != in.src {
				kept = append(kept, b)
			}
		}
		clear(c.batches[len(kept):])
		c.batches = kept
	}
	in.src, in.next, in.paused, in.lastEpoch = src, next, false, -1
	in.gen++
	c.detach(in, noLeader)
	return nil
}

// detach takes an input from its leader, for find to look after. It needs c.mu.
func (c *consumer) detach(in *input, why problem) {
	in.leader, in.problem = nil, why
	c.startFind()
}

// startFind needs c.mu.
func (c *consumer) startFind() {
	if c.started && !c.finding && !c.closed {
		c.finding = true
		c.tasks.Go(c.find)
	}
}

func (c *consumer) Pause(src ...*task.Source) { c.setPaused(true, src) }

func (c *consumer) Resume(src ...*task.Source) { c.setPaused(false, src) }

func (c *consumer) setPaused(paused bool, src []*task.Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range src {
		if in := c.byTopic[s.Stream][s.Partition]; in != nil && in.paused != paused {
			in.paused = paused
			if in.leader != nil {
				in.leader.changed(in)
			}
		}
	}
}

func (c *consumer) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if !was {
		c.close()
		c.s.mu.Lock()
		delete(c.s.readers, c)
		c.s.mu.Unlock()
		c.s.drop(c.link)
		c.tasks.Wait()
	}
	return nil
}

func (c *consumer) Poll(ctx context.Context) ([]system.Batch, error) {
	if err := c.link.reach(ctx); err != nil {
		return nil, err
	}
	for {
		c.mu.Lock()
		if !c.started {
			c.started = true
			c.startFind()
		}
		switch {
		case c.closed:
			c.mu.Unlock()
			return nil, fmt.Errorf("system %s: poll: consumer %w", c.s.name, errClosed)
		case len(c.batches) > 0:
			batches := c.batches
			c.batches = nil
			for _, l := range c.leaders {
				l.taken()
			}
			c.mu.Unlock()
			return batches, nil
		case c.err != nil:
			err := c.err
			c.mu.Unlock()
			return nil, err
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ctx.Done():
			return nil, fmt.Errorf("system %s: poll: consumer %w", c.s.name, errClosed)
		case <-c.ready:
		}
	}
}

// notify wakes Poll.
func (c *consumer) notify() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// fail ends the consumer with an error about a partition. It needs c.mu.
func (c *consumer) fail(in *input, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("system %s: read stream %s, partition %d: %w", c.s.name, in.topic, in.partition, streamError(err))
	}
	c.notify()
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

// passing tells failures that a new try may not meet: of the network, and
// Kafka's passing ones.
func passing(err error) bool {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Retriable
	}
	return !errors.Is(err, kgo.ErrClientClosed) && !errors.Is(err, errBadBatch)
}

// outage tells failures of a client that has reached Kafka before: no broker
// answers now.
func outage(err error) bool {
	var (
		first *kgo.ErrFirstReadEOF
		op    *net.OpError
	)
	return err != nil && !refused(err) &&
		(kgo.IsRetryableBrokerErr(err) || errors.As(err, &first) || errors.As(err, &op) && op.Op == "dial")
}
