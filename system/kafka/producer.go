package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
)

// producer is the one writing client of a System.
type producer struct {
	s    *System
	link *link
	set  settings
	// limits are of records and batches, by topic.
	limits *recordLimits

	mu     sync.RWMutex
	topics map[string]int32 // partitions

	// Flushes ask for a kick; those that ask at the same time share one.
	kickMu  sync.Mutex
	kicks   atomic.Int64 // begun
	stopped context.Context
}

// Producer gives a handle on the system's one producer; the client ends when
// all handles are closed.
func (s *System) Producer() (system.Producer, error) {
	s.mu.Lock()
	p := s.producer
	if p != nil {
		s.users++
	}
	s.mu.Unlock()
	if p != nil {
		return &producerHandle{p: p}, nil
	}
	set := s.sides[producerSide].settings
	limits := newLimits(s.name, set)
	l, err := s.connect("producer", producerSide, kgo.RecordPartitioner(chooser{set.stickyBytes}), kgo.ProducerBatchMaxBytesFn(limits.batch), kgo.ProducerOnDataLossDetected(func(topic string, partition int32) {
		s.log.Warn("Kafka lost records that it had acknowledged (an unclean choice of a leader?)", "topic", topic, "partition", partition)
	}))
	if err != nil {
		return nil, err
	}
	p = &producer{s: s, link: l, set: set, limits: limits, topics: map[string]int32{}}
	ended, end := context.WithCancel(context.Background())
	end()
	p.stopped = ended
	s.mu.Lock()
	if s.producer == nil {
		s.producer = p
	}
	p = s.producer
	s.users++
	s.mu.Unlock()
	if p.link != l {
		s.drop(l)
	}
	return &producerHandle{p: p}, nil
}

type producerHandle struct {
	p    *producer
	once sync.Once
}

func (h *producerHandle) Outbox(name string) (system.Outbox, error) { return newOutbox(h.p, name), nil }

func (h *producerHandle) Close() error {
	h.once.Do(func() {
		s := h.p.s
		s.mu.Lock()
		s.users--
		last := s.users == 0 && s.producer == h.p
		if last {
			s.producer = nil
		}
		s.mu.Unlock()
		if last {
			s.drop(h.p.link)
		}
	})
	return nil
}

// kick sends what lingers. The client has no call that does only that: Flush
// with an ended context stops all lingering and does not wait.
func (p *producer) kick() {
	asked := p.kicks.Load()
	p.kickMu.Lock()
	defer p.kickMu.Unlock()
	if p.kicks.Load() > asked {
		return // one has begun since, and took everything of ours along
	}
	p.kicks.Add(1)
	_ = p.link.client.Flush(p.stopped) // the ended context's error
}

// partitions gives a topic's number of partitions, as known does.
func (p *producer) partitions(ctx context.Context, topic string) (int32, error) {
	n, err := p.known(ctx, topic)
	var away *ConnectError
	if err != nil && !errors.As(err, &away) {
		err = fmt.Errorf("system %s: stream %s: %w", p.s.name, topic, err)
	}
	return n, err
}

// known gives a topic's number of partitions. A topic that is missing is made if
// Kafka makes topics by itself. The error does not name the topic.
func (p *producer) known(ctx context.Context, topic string) (int32, error) {
	p.mu.RLock()
	n, ok := p.topics[topic]
	p.mu.RUnlock()
	if ok {
		return n, nil
	}
	err := p.overOutages(ctx, func(ctx context.Context) (err error) {
		if err := p.link.reach(ctx); err != nil {
			return err
		}
		if n, err = p.lookUp(ctx, topic); err != nil {
			return err
		}
		// Before the first record: the client asks for the limit only once.
		if err := p.limits.learn(ctx, p.s, topic); err != nil {
			return fmt.Errorf("how large a record may be: %w", err)
		}
		return nil
	})
	if err != nil {
		if err = streamError(err); errors.Is(err, system.ErrNoStream) {
			err = fmt.Errorf("%w; this Kafka makes no topics by itself: make it with run-job topic create %s.%s --partitions=4, or let the job make it at its start with streams.%s.samza.system=%s",
				err, p.s.name, topic, topic, p.s.name)
		}
		return 0, err
	}
	p.mu.Lock()
	p.topics[topic] = n
	p.mu.Unlock()
	return n, nil
}

// overOutages repeats what fails because no broker answers, as long as a record
// that is sent is tried: for ever, unless delivery.timeout.ms is set. Once Kafka
// was reached, be it by another client of the system, the first record to a topic is
// worth no less than those to topics that are known.
func (p *producer) overOutages(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Closing the producer ends what waits.
	defer context.AfterFunc(p.link.client.Context(), cancel)()
	if limit := p.set.recordTimeout; limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTookTooLong)
		defer cancel()
	}
	wait := retryBackoff(0, 0)
	for try := 1; ; try++ {
		err := ask(ctx)
		if outage(err) && p.s.reachedBefore(p.link.side) && pause(ctx, wait(try)) == nil {
			continue
		}
		if err != nil && context.Cause(ctx) == errTookTooLong { //nolint:errorlint // it is ours, unwrapped
			err = fmt.Errorf("no broker has answered within %s: %w", settingKey(p.s.name, producerSide, "delivery.timeout.ms"), err)
		}
		return err
	}
}

func (p *producer) lookUp(ctx context.Context, topic string) (int32, error) {
	n, err := p.metadata(ctx, topic, false)
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return n, err
	}
	if p.s.embedded {
		err := admin{p.s}.Create(ctx, system.StreamSpec{Name: topic})
		if err != nil && !errors.Is(err, system.ErrExists) {
			return 0, err
		}
		return p.metadata(ctx, topic, false)
	}
	auto, autoErr := (admin{p.s}).AutoCreates(ctx)
	if autoErr != nil {
		return 0, errors.Join(err, autoErr)
	}
	// If asking makes it, it is there a little later; and brokers learn a little
	// late of a topic that someone else made just now.
	patience := time.Second
	if auto {
		patience = 15 * time.Second
	}
	deadline := time.Now().Add(patience)
	for errors.Is(err, kerr.UnknownTopicOrPartition) && time.Now().Before(deadline) {
		if n, err = p.metadata(ctx, topic, auto); err == nil {
			break
		}
		if stop := pause(ctx, 50*time.Millisecond); stop != nil {
			return 0, stop
		}
	}
	return n, err
}

func (p *producer) metadata(ctx context.Context, topic string, create bool) (n int32, err error) {
	err = p.link.patiently(ctx, func() error {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = create
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, p.link.client)
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 {
			return fmt.Errorf("the broker answered for %d topics instead of 1", len(resp.Topics))
		}
		n = int32(len(resp.Topics[0].Partitions))
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	})
	return n, err
}

// sendError says what became of a record in words that name the way out.
func (p *producer) sendError(topic string, bytes int, err error) error {
	key := func(name string) string { return settingKey(p.s.name, producerSide, name) }
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("a record of %d bytes is too large: the client's limit is %d (%s), and the topic's max.message.bytes (Kafka's default 1048588) may be lower: %w",
			bytes, p.set.maxRecordBytes, key("max.request.size"), err)
	case errors.Is(err, kgo.ErrRecordTimeout):
		return fmt.Errorf("not acknowledged within %s: %w", key("delivery.timeout.ms"), err)
	case errors.Is(err, kgo.ErrClientClosed):
		return fmt.Errorf("the producer was closed before the record was acknowledged: %w", err)
	}
	return streamError(err)
}
