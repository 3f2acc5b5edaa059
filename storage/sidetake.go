package storage

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// Take takes what was fetched of one partition after Fill.
func (s *Side) Take(b system.Batch) error {
	at := s.places[system.Partition{System: b.Source.System, Stream: b.Source.Stream, Partition: b.Source.Partition}]
	if at == nil {
		return nil
	}
	before := at.next
	err := s.takeMessages(at, b.Messages, nil)
	if err == nil {
		at.next = max(at.next, b.Next)
		at.end.Store(b.HighWatermark)
		if b.Next >= b.HighWatermark {
			at.at = s.o.now()
		}
		if at.next != before {
			err = s.apply()
		}
	}
	if err == nil {
		err = s.keep()
	}
	if err != nil {
		return fmt.Errorf("side input of store %q of %s: %w", s.Name(), s.o.TaskName, err)
	}
	return nil
}

// maxSideBatch is how much of the side inputs is applied at once.
const maxSideBatch = 4 << 20

// takeMessages makes entries of messages of one partition, in order.
func (s *Side) takeMessages(at *place, batch []task.Message, load engine.Load) error {
	for i := range batch {
		m := &batch[i]
		if m.Offset < at.next {
			continue
		}
		m.Source = at.source
		s.unkept++
		if err := s.entry(m, load); err != nil {
			var undecoded *task.DecodeError
			if !s.undecoded || !errors.As(err, &undecoded) {
				return fmt.Errorf("%s, partition %d, offset %d: %w", at.partition.StreamID(), at.partition.Partition, m.Offset, err)
			}
			s.passed++
		}
		at.next = m.Offset + 1
		if s.st.pending.bytes > maxSideBatch {
			if err := s.apply(); err != nil {
				return err
			}
		}
	}
	if load != nil {
		at.position.Store(at.next)
		return nil
	}
	return s.apply()
}

// entry puts what one message says into the store.
func (s *Side) entry(m *task.Message, load engine.Load) error {
	if s.process != nil {
		return s.call(m)
	}
	if m.KeyBytes == nil {
		s.passed++
		return nil
	}
	key, err := recoded(m.KeyBytes, m.Source.KeySerde, s.st.keys, m.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	var value []byte
	if m.ValueBytes != nil {
		if value, err = recoded(m.ValueBytes, m.Source.ValueSerde, s.st.values, m.Value); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	if load != nil {
		return load.Add(key, value)
	}
	return s.st.pending.Apply([]engine.Write{{Key: string(key), Value: value}}, nil)
}

// call hands a message to the program's function. A panic of it is an error: it
// would take the process with it, and with that the tasks' last commits.
func (s *Side) call(m *task.Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.st.logger.Error("panic in the function of the side inputs", "function", s.st.spec.SideProcessor, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v (the stack is in the log)", r)
		}
	}()
	return s.process(m, s.st.store)
}

// recoded is a key or a value as the store encodes it. Without a serde of the
// stream, or with the same one, the bytes are taken as they are.
func recoded(raw []byte, from, to task.Serde, decode func() (any, error)) ([]byte, error) {
	if _, plain := to.(serde.Bytes); plain || from == nil || reflect.TypeOf(from) == reflect.TypeOf(to) {
		return raw, nil
	}
	v, err := decode()
	if err != nil {
		return nil, err
	}
	return to.Append([]byte{}, v)
}

// apply makes what was taken visible, with its places.
func (s *Side) apply() error {
	if err := s.st.pending.Apply(nil, s.mark()); err != nil {
		return s.st.ailing(err)
	}
	for _, p := range s.places {
		p.position.Store(p.next)
	}
	return nil
}

// keepEvery bounds the messages that are read again after the process was killed.
const keepEvery = 50_000

// keep writes to the disk what was applied, once it is much: until then an engine
// on disk has it in memory.
func (s *Side) keep() error {
	if s.unkept < keepEvery {
		return nil
	}
	s.unkept = 0
	if e := s.st.onDisk(); e != nil {
		return s.st.ailing(e.Flush())
	}
	return nil
}

func (s *Side) mark() []byte {
	places := make([]sidePlace, 0, len(s.places))
	for _, p := range s.places {
		places = append(places, p.sidePlace)
	}
	return appendSideMark(nil, places)
}
