package storage

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"heddle/storage/engine"
	"heddle/task"
)

// Range is task.Store's.
func (s *store) Range(from, to any) iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		lo, hi, empty, err := s.bounds(from, to)
		if err != nil {
			yield(task.Entry{Err: s.failed("range", err)})
			return
		}
		s.count.ranges++
		if !empty {
			s.scan(lo, hi, yield)
		}
	}
}

// bounds encodes both ends of a range; empty tells that nothing lies between
// them, for nothing is less than the empty key.
func (s *store) bounds(from, to any) (lo, hi string, empty bool, err error) {
	if from != nil {
		if lo, err = s.bound(from); err != nil {
			return "", "", false, err
		}
	}
	if to != nil {
		if hi, err = s.bound(to); err != nil {
			return "", "", false, err
		}
	}
	return lo, hi, to != nil && hi == "", nil
}

func (s *store) bound(key any) (string, error) {
	k, err := s.encode(key)
	return string([]byte(k)), err
}

// All is task.Store's.
func (s *store) All() iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		s.count.alls++
		s.scan("", "", yield)
	}
}

// Prefix is task.Store's.
func (s *store) Prefix(prefix any) iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		lo, err := s.bound(prefix)
		if err != nil {
			yield(task.Entry{Err: s.failed("prefix", err)})
			return
		}
		s.count.ranges++
		s.scan(lo, after(lo), yield)
	}
}

// after is the least text that is greater than all that begin with prefix; ""
// if there is none.
func after(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return ""
}

// scan yields the entries of [lo, hi). What is in the cache goes to the engine
// first, which alone has an order.
func (s *store) scan(lo, hi string, yield func(task.Entry) bool) {
	if s.err != nil {
		yield(task.Entry{Err: s.err})
		return
	}
	if s.cache != nil {
		if err := s.write(); err != nil {
			yield(task.Entry{Err: err})
			return
		}
	}
	r := reader{s.name, s.keys, s.values, s.rawValues}
	if err := r.entries(s.engine.Range(lo, hi), yield); err != nil {
		yield(task.Entry{Err: s.brokenRange(err)})
	}
}

// brokenRange is the error of a range. What cannot be decoded is the entry's
// fault, all else the engine's.
func (s *store) brokenRange(err error) error {
	if errors.Is(err, errUndecoded) {
		return s.failed("range", err)
	}
	return s.broken("range", err)
}

// reader decodes entries. Any goroutine may use it.
type reader struct {
	name         string
	keys, values task.Serde
	rawValues    bool // values are bytes as they are
}

var errUndecoded = errors.New("it cannot be decoded")

// entries yields what the iterator gives, until yield has enough, and closes
// it.
func (r reader) entries(it engine.Iterator, yield func(task.Entry) bool) error {
	defer func() { _ = it.Close() }() // what was read is whole
	for it.Next() {
		k, err := r.keys.Decode([]byte(it.Key()))
		if err != nil {
			return fmt.Errorf("key %.80q: %w: %w", it.Key(), errUndecoded, err)
		}
		raw := it.Value()
		if r.rawValues {
			raw = slices.Clone(raw)
		}
		v, err := r.values.Decode(raw)
		if err != nil {
			return fmt.Errorf("value of key %s: %w: %w", shownKey(r.keys, it.Key()), errUndecoded, err)
		}
		if !yield(task.Entry{Key: k, Value: v}) {
			return nil
		}
	}
	return it.Err()
}
