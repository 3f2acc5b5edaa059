package task

import (
	"fmt"
	"time"
)

// Source says where the messages of one input partition come from and how
// their bytes are read. All messages of a partition share one Source.
type Source struct {
	// System and Stream name the input as the configuration does ("kafka",
	// "clickevent"); Partition is counted from 0. Together they are Samza's
	// SystemStreamPartition.
	System    string
	Stream    string
	Partition int32
	// KeySerde and ValueSerde decode the bytes; nil means that the bytes are
	// the value.
	KeySerde   Serde
	ValueSerde Serde
}

// String is Samza's text form, "SystemStreamPartition [kafka, clickevent, 0]".
func (s *Source) String() string {
	return fmt.Sprintf("SystemStreamPartition [%s, %s, %d]", s.System, s.Stream, s.Partition)
}

// Header is one header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// Message is one input message (Samza: IncomingMessageEnvelope). Its fields may
// be read and its bytes kept after Process returns, but must not be changed.
type Message struct {
	// Source is the partition that the message was read from.
	Source *Source
	// Offset is the message's position in its partition.
	Offset int64
	// Timestamp is in milliseconds since the Unix epoch, as the system gave it.
	Timestamp int64
	// KeyBytes is the key as it was read; nil if there is none.
	KeyBytes []byte
	// ValueBytes is the value as it was read; nil if there is none (in Kafka's
	// terms, a tombstone).
	ValueBytes []byte
	// Headers are the record's headers, mostly none.
	Headers []Header
}

// Key decodes the key by the stream's key serde: string for "string", int64
// and so on for the numeric serdes, any JSON value for "json", []byte without
// a serde; nil if there is no key. The error is a *DecodeError.
func (m *Message) Key() (any, error) {
	if m.KeyBytes == nil {
		return nil, nil
	}
	if m.Source.KeySerde == nil {
		return m.KeyBytes, nil
	}
	v, err := m.Source.KeySerde.Decode(m.KeyBytes)
	if err != nil {
		return nil, m.decodeError("key", err)
	}
	return v, nil
}

// Value decodes the value by the stream's message serde, as Key does the key.
func (m *Message) Value() (any, error) {
	if m.ValueBytes == nil {
		return nil, nil
	}
	if m.Source.ValueSerde == nil {
		return m.ValueBytes, nil
	}
	v, err := m.Source.ValueSerde.Decode(m.ValueBytes)
	if err != nil {
		return nil, m.decodeError("value", err)
	}
	return v, nil
}

// Decode reads the value straight into v, a pointer to what the task wants.
// With the json serde v may point to any type that JSON can be read into;
// with the string serde it points to a string, []byte, or a type that JSON can
// be read into (the text is then taken for JSON). It is the fast way: nothing
// is made in between. The error is a *DecodeError.
func (m *Message) Decode(v any) error {
	s := m.Source.ValueSerde
	if s == nil {
		switch p := v.(type) {
		case *[]byte:
			*p = m.ValueBytes
			return nil
		default:
			return m.decodeError("value", fmt.Errorf("the stream has no message serde, so its values are bytes and cannot be read into %T; set streams.%s.samza.msg.serde", v, m.Source.Stream))
		}
	}
	if err := s.DecodeInto(m.ValueBytes, v); err != nil {
		return m.decodeError("value", err)
	}
	return nil
}

// Time is Timestamp as a time in UTC.
func (m *Message) Time() time.Time { return time.UnixMilli(m.Timestamp).UTC() }

func (m *Message) decodeError(part string, err error) error {
	return &DecodeError{Source: m.Source, Offset: m.Offset, Part: part, Err: err}
}

// DecodeError says which message could not be decoded. A task may return it
// (wrapped or not) from Process: the container then stops with it, or drops the
// message when task.drop.deserialization.errors is true.
type DecodeError struct {
	Source *Source
	Offset int64
	// Part is "key" or "value".
	Part string
	Err  error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode the %s of topic %s, partition %d, offset %d (system %s): %v",
		e.Part, e.Source.Stream, e.Source.Partition, e.Offset, e.Source.System, e.Err)
}

// Unwrap gives the serde's own error.
func (e *DecodeError) Unwrap() error { return e.Err }
