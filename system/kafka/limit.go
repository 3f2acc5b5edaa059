package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/system"
)

// recordLimits knows how large a batch each topic takes: the smaller of the
// producer's max.request.size and the topic's max.message.bytes. The broker
// refuses a batch that is larger, and with it all of its records, so that
// batches must not be filled beyond it either; changelogs as Samza makes them
// take less than the producer's default.
//
// The broker looks at the compressed size. With compression a topic's limit
// says nothing about a record before it was compressed, and is left to the
// broker.
type recordLimits struct {
	client     int64 // max.request.size
	key        string
	compressed bool

	mu    sync.Mutex
	topic map[string]int64 // max.message.bytes; 0: not known
}

// recordFrame is what a batch of one record needs around key, value and
// headers, at most.
const recordFrame = 128

// batch is the limit of a topic's batches, for the client.
func (l *recordLimits) batch(topic string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.topic[topic]; n > 0 && n < l.client {
		return int32(max(n, 1024))
	}
	return int32(l.client)
}

// record is the limit of a record's key, value and headers.
func (l *recordLimits) record(topic string) system.RecordLimit {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.topic[topic]; n > 0 && n < l.client {
		return system.RecordLimit{Bytes: max(n-recordFrame, 1), Why: fmt.Sprintf("max.message.bytes of the topic %s is %d", topic, n)}
	}
	return system.RecordLimit{Bytes: l.client - recordFrame, Why: fmt.Sprintf("%s is %d", l.key, l.client)}
}

// learn asks Kafka for a topic's limit, once. Without the right to see it, it
// stays unknown.
func (l *recordLimits) learn(ctx context.Context, s *System, topic string) error {
	l.mu.Lock()
	_, known := l.topic[topic]
	l.mu.Unlock()
	if known || l.compressed {
		return nil
	}
	n, err := maxMessageBytes(ctx, s, topic)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topic == nil {
		l.topic = map[string]int64{}
	}
	l.topic[topic] = n
	return nil
}

func maxMessageBytes(ctx context.Context, s *System, topic string) (int64, error) {
	l, cl, err := s.admin(ctx)
	if err != nil {
		return 0, err
	}
	configs, err := patient(ctx, l, func() (kadm.ResourceConfigs, error) { return cl.DescribeTopicConfigs(ctx, topic) })
	var auth *kadm.AuthError
	switch {
	case errors.As(err, &auth):
		return 0, nil
	case err != nil:
		return 0, err
	}
	for _, rc := range configs {
		for _, c := range rc.Configs {
			if rc.Err == nil && c.Key == "max.message.bytes" && c.Value != nil {
				n, _ := strconv.ParseInt(*c.Value, 10, 64) // what is no number is not known
				return max(n, 0), nil
			}
		}
	}
	return 0, nil
}

// newLimits makes those of a producer with these settings.
func newLimits(system string, set settings) *recordLimits {
	return &recordLimits{
		client: int64(set.maxRecordBytes), key: settingKey(system, producerSide, "max.request.size"),
		compressed: set.compression != kgo.NoCompression(),
	}
}

// tooLarge is the error of a record that is beyond the limit.
func tooLarge(size int, l system.RecordLimit) error {
	return fmt.Errorf("a record of %d bytes is too large: the limit is %d (%s); make it smaller, or raise the topic's max.message.bytes and the producer's max.request.size",
		size, l.Bytes, l.Why)
}

// RecordLimit is system.Limited's.
func (o *outbox) RecordLimit(ctx context.Context, stream string) (system.RecordLimit, error) {
	return o.p.recordLimit(ctx, stream)
}

// RecordLimit is system.Limited's.
func (o *txnOutbox) RecordLimit(ctx context.Context, stream string) (system.RecordLimit, error) {
	return o.t.p.recordLimit(ctx, stream)
}

func (p *producer) recordLimit(ctx context.Context, topic string) (system.RecordLimit, error) {
	if err := p.limits.learn(ctx, p.s, topic); err != nil {
		return system.RecordLimit{}, fmt.Errorf("system %s: stream %s: %w", p.s.name, topic, streamError(err))
	}
	return p.limits.record(topic), nil
}
