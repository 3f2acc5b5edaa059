package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"heddle/system"
	"heddle/task"
)

// outputs is a task's way out: an outbox per system, and what is known of each
// stream that it has sent to. The task's goroutine owns it.
type outputs struct {
	// open gives an outbox for the system of that name.
	open func(system string) (system.Outbox, error)
	// serdes gives the serdes of a stream and its name in its system.
	resolve func(id system.StreamID) (outStream, error)

	// flows are the container's counts.
	flows *flows

	boxes   map[string]system.Outbox
	streams map[string]*outStream
	// The stream sent to last: most tasks have one.
	lastName string
	last     *outStream

	arena arena
}

// outStream is one output stream.
type outStream struct {
	// topic is the stream's name in its system.
	topic, system string
	key, value    task.Serde
	box           system.Outbox
	// sent and bytes count for this task; what of them is in the container's
	// flow already is published.
	sent, bytes                   int64
	publishedSent, publishedBytes int64
	flow                          *flow
}

// errEncode marks failures of a serde, which task.drop.serialization.errors
// lets pass.
var errEncode = errors.New("cannot be encoded")

func (o *outputs) stream(name string) (*outStream, error) {
	if name == o.lastName && o.last != nil {
		return o.last, nil
	}
	s, ok := o.streams[name]
	if !ok {
		var err error
		if s, err = o.openStream(name); err != nil {
			return nil, err
		}
	}
	o.lastName, o.last = name, s
	return s, nil
}

func (o *outputs) openStream(name string) (*outStream, error) {
	sys, stream, ok := strings.Cut(name, ".")
	if !ok || sys == "" || stream == "" {
		return nil, fmt.Errorf("send to %q: an output is named system.stream, like an entry of task.inputs", name)
	}
	s, err := o.resolve(system.StreamID{System: sys, Stream: stream})
	if err != nil {
		return nil, fmt.Errorf("send to %q: %w", name, err)
	}
	if s.box, err = o.box(sys); err != nil {
		return nil, fmt.Errorf("send to %q: %w", name, err)
	}
	if o.streams == nil {
		o.streams = map[string]*outStream{}
	}
	s.flow = o.flows.out(name)
	o.streams[strings.Clone(name)] = &s
	return &s, nil
}

// box gives the task's outbox of a system, opened at its first use.
func (o *outputs) box(sys string) (system.Outbox, error) {
	if b, ok := o.boxes[sys]; ok {
		return b, nil
	}
	b, err := o.open(sys)
	if err != nil {
		return nil, err
	}
	if o.boxes == nil {
		o.boxes = map[string]system.Outbox{}
	}
	o.boxes[sys] = b
	return b, nil
}

// send encodes and hands over. Its errors are final but for errEncode.
func (o *outputs) send(s *outStream, m *task.Output) (key, value []byte, err error) {
	key, value = m.RawKey, m.RawValue
	partitionKey := m.PartitionKey
	if key == nil && m.Key != nil {
		if key, err = o.encode(s.key, m.Key); err != nil {
			return nil, nil, fmt.Errorf("the key of a message to %q %w: %w", m.Stream, errEncode, err)
		}
		if partitionKey == nil {
			partitionKey = m.Key
		}
	}
	if value == nil && m.Value != nil {
		if value, err = o.encode(s.value, m.Value); err != nil {
			return nil, nil, fmt.Errorf("the value of a message to %q %w: %w", m.Stream, errEncode, err)
		}
	}
	s.sent++
	s.bytes += int64(len(key) + len(value))
	return key, value, s.box.Send(system.Record{
		Stream: s.topic, PartitionKey: partitionKey, At: m.AtPartition,
		Key: key, Value: value, Timestamp: m.Timestamp, Headers: m.Headers,
	})
}

var errNotBytes = errors.New("the stream has no serde")

func (o *outputs) encode(s task.Serde, v any) ([]byte, error) {
	if s != nil {
		return o.arena.encode(s, v)
	}
	if b, ok := v.([]byte); ok {
		return b, nil
	}
	return nil, fmt.Errorf("%w, so it takes []byte and not %T; set streams.STREAM.samza.key.serde and .msg.serde", errNotBytes, v)
}

// publish brings the container's counts up to date.
func (o *outputs) publish() {
	for _, s := range o.streams {
		if d := s.sent - s.publishedSent; d > 0 {
			s.flow.messages.Add(d)
			s.flow.bytes.Add(s.bytes - s.publishedBytes)
			s.publishedSent, s.publishedBytes = s.sent, s.bytes
		}
	}
}

// flush waits until all that was sent is acknowledged. On a failure it says
// whose.
func (o *outputs) flush(ctx context.Context) (failed string, err error) {
	for _, name := range sortedKeys(o.boxes) {
		if err := o.boxes[name].Flush(ctx); err != nil {
			return name, fmt.Errorf("flush to system %q: %w", name, err)
		}
	}
	return "", nil
}

// reopen gives up what a system's outbox has not sent, and its failure, and
// goes on with a new one (task.drop.producer.errors).
func (o *outputs) reopen(sys string) error {
	old, ok := o.boxes[sys]
	if !ok {
		return nil
	}
	_ = old.Close() // it failed already
	delete(o.boxes, sys)
	b, err := o.box(sys)
	if err != nil {
		return err
	}
	for _, s := range o.streams {
		if s.system == sys {
			s.box = b
		}
	}
	return nil
}

func (o *outputs) close() error {
	var errs []error
	for _, name := range sortedKeys(o.boxes) {
		errs = append(errs, o.boxes[name].Close())
	}
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
