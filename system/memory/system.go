package memory

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"heddle/system"
	"heddle/task"
)

// System is one configured system on a Broker. It implements system.System.
type System struct {
	name   string
	broker *Broker

	mu     sync.Mutex
	closed bool
	parts  []interface{ Close() error }
}

var _ system.System = (*System)(nil)

// New makes a system of that name ("systems.NAME") on the broker.
func New(name string, b *Broker) *System { return &System{name: name, broker: b} }

// Name is the name given to New.
func (s *System) Name() string { return s.name }

// Broker is the broker given to New.
func (s *System) Broker() *Broker { return s.broker }

// Admin gives the one that asks the broker.
func (s *System) Admin() (system.Admin, error) { return admin{s.broker}, nil }

// Consumer makes a consumer of its own.
func (s *System) Consumer() (system.Consumer, error) {
	c := newConsumer(s.broker)
	return c, s.own(c)
}

// Producer gives a producer; outboxes are independent of each other.
func (s *System) Producer() (system.Producer, error) {
	p := &producer{broker: s.broker}
	return p, s.own(p)
}

func (s *System) own(part interface{ Close() error }) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("system %q: closed", s.name)
	}
	s.parts = append(s.parts, part)
	return nil
}

// Close ends the consumers and producers; the broker keeps its streams.
func (s *System) Close() error {
	s.mu.Lock()
	parts := s.parts
	s.parts, s.closed = nil, true
	s.mu.Unlock()
	for _, p := range parts {
		_ = p.Close() // they cannot fail
	}
	return nil
}

// Read is system.System's.
func (s *System) Read(ctx context.Context, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error) {
	src := &task.Source{System: s.name, Stream: stream, Partition: partition}
	b := s.broker
	b.mu.Lock()
	p, err := b.find(stream, partition)
	if err != nil {
		b.mu.Unlock()
		return 0, fmt.Errorf("read: %w", err)
	}
	if to == system.End {
		to = p.end()
	}
	if from == system.Oldest {
		from = p.oldest
	}
	b.mu.Unlock()
	for from < to {
		b.mu.Lock()
		batch, wait, err := p.fetch(src, from, to)
		changed := b.changed
		b.mu.Unlock()
		if err != nil {
			return from, fmt.Errorf("read: %w", err)
		}
		if len(batch.Messages) > 0 {
			if err := each(batch.Messages); err != nil {
				return from, err
			}
		}
		from = max(from, batch.Next)
		if wait {
			select {
			case <-ctx.Done():
				return from, fmt.Errorf("read stream %q, partition %d at %d of %d: %w", stream, partition, from, to, ctx.Err())
			case <-changed:
			}
		}
	}
	return from, nil
}

// maxBatch bounds the messages of one batch, so that a large stream arrives in
// several, as from a real system.
const maxBatch = 500

// fetch gives what lies in [from, to) of what readers may see; wait says that
// nothing is there yet. It needs the broker's lock.
func (p *partition) fetch(src *task.Source, from, to int64) (batch system.Batch, wait bool, err error) {
	if from < p.oldest || from > p.next {
		return batch, false, fmt.Errorf("stream %q, partition %d: offset %d is not between the oldest %d and the end %d: %w",
			src.Stream, src.Partition, from, p.oldest, p.next, system.ErrOutOfRange)
	}
	end := min(p.end(), to)
	batch = system.Batch{Source: src, Next: from, HighWatermark: p.next}
	if from >= end {
		return batch, true, nil
	}
	i := p.search(from)
	j := min(p.search(end), i+maxBatch)
	batch.Messages = make([]task.Message, 0, j-i)
	for _, r := range p.records[i:j] {
		batch.Messages = append(batch.Messages, r.message(src))
		batch.Bytes += len(r.Key) + len(r.Value)
	}
	batch.Next = end
	if j < len(p.records) {
		batch.Next = min(end, p.records[j].Offset)
	}
	return batch, false, nil
}

func (r *Record) message(src *task.Source) task.Message {
	return task.Message{Source: src, Offset: r.Offset, Timestamp: r.Timestamp, KeyBytes: r.Key, ValueBytes: r.Value, Headers: r.Headers}
}

type admin struct{ b *Broker }

func (a admin) ask(method string) error {
	if f := a.b.currentFaults().Ask; f != nil {
		return f(method)
	}
	return nil
}

func (a admin) Describe(_ context.Context, streams ...string) (map[string]system.StreamInfo, error) {
	if err := a.ask("Describe"); err != nil {
		return nil, err
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if len(streams) == 0 {
		for name := range a.b.streams {
			streams = append(streams, name)
		}
	}
	infos := map[string]system.StreamInfo{}
	for _, name := range streams {
		if s, ok := a.b.streams[name]; ok {
			infos[name] = system.StreamInfo{Name: name, Partitions: s.spec.Partitions, Settings: maps.Clone(s.spec.Settings)}
		}
	}
	return infos, nil
}

func (a admin) Offsets(_ context.Context, name string) ([]system.Ends, error) {
	if err := a.ask("Offsets"); err != nil {
		return nil, err
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	s, ok := a.b.streams[name]
	if !ok {
		return nil, fmt.Errorf("offsets of stream %q: %w", name, system.ErrNoStream)
	}
	ends := make([]system.Ends, len(s.parts))
	for i, p := range s.parts {
		ends[i] = system.Ends{Oldest: p.oldest, Next: p.next, Stable: p.end(), Topic: s.id}
	}
	return ends, nil
}

func (a admin) Create(_ context.Context, spec system.StreamSpec) error {
	if err := a.ask("Create"); err != nil {
		return err
	}
	return a.b.Create(spec)
}

func (a admin) Brokers(context.Context) (int, error) { return 1, a.ask("Brokers") }

func (a admin) AutoCreates(context.Context) (bool, error) {
	return a.b.AutoPartitions > 0, a.ask("AutoCreates")
}

func (a admin) Close() error { return nil }
