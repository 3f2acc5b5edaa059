package storage

import (
	"errors"
	"fmt"
	"slices"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/task"
)

// store is what a task sees: typed keys and values over a cache over an engine
// of bytes (Samza: KeyValueStorageEngine). One goroutine uses it.
type store struct {
	name   string
	engine engine.Engine // logged, if the store is

	keys, values task.Serde
	textKeys     bool         // keys are strings as they are
	keeper       serde.Keeper // of values; nil if their serde has none
	rawValues    bool         // values are bytes as they are

	cache *cache // nil: none
	batch int    // changed keys that are written together; Unlimited

	// last is the entry that was used last: a Put after a Get of the same key
	// finds it without a look-up.
	last *entry

	keyBuf   []byte // the key of the current call
	valueBuf []byte // the value of the current call
	chunk    []byte // the rest of the memory that flushed values are put into
	writes   []engine.Write

	sizes  sizeRule
	quota  quota
	size   func() int64 // of the engine and what is pending
	expiry *expiry      // nil: entries do not end
	living *expiring    // the layer that has the time of what was read; nil without expiry

	count counts
	err   error // the first failure, for good
	// ailing adds the way out to an error of the engine; nil: nothing is added.
	ailing func(error) error
}

var _ task.Store = (*store)(nil)

func newStore(s Spec, e engine.Engine, keys, values task.Serde) *store {
	st := &store{name: s.Name, engine: e, keys: keys, values: values, batch: s.WriteBatch}
	if keys == nil {
		st.keys = serde.Bytes{}
	}
	if values == nil {
		st.values = serde.Bytes{}
	}
	_, st.textKeys = st.keys.(serde.Text)
	_, st.rawValues = st.values.(serde.Bytes)
	st.keeper, _ = st.values.(serde.Keeper)
	if s.CacheEntries != 0 {
		st.cache = newCache(s.CacheEntries)
	}
	return st
}

var errNilKey = errors.New("the key is nil")

// encode gives the key's bytes, valid until the next call.
func (s *store) encode(key any) (string, error) {
	if k, ok := key.(string); ok && s.textKeys {
		return k, nil
	}
	if key == nil {
		return "", errNilKey
	}
	b, err := s.keys.Append(s.keyBuf[:0], key)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	s.keyBuf = b
	return textOf(b), nil
}

func (s *store) failed(op string, err error) error {
	return fmt.Errorf("%s in store %q: %w", op, s.name, err)
}

// broken makes err the answer to every later call: what was cached and what
// was written no longer agree.
func (s *store) broken(op string, err error) error {
	if s.ailing != nil {
		err = s.ailing(err)
	}
	s.err = s.failed(op, err)
	return s.err
}

func (s *store) Get(key any) (any, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.count.gets++
	k, err := s.encode(key)
	if err != nil {
		return nil, s.failed("get", err)
	}
	if s.cache == nil {
		raw, ok, err := s.engine.Get(nil, k)
		if err != nil {
			return nil, s.broken("get", err)
		}
		s.asked(k)
		s.count.bytesRead += int64(len(raw))
		if !ok {
			return nil, nil
		}
		return s.decode(k, raw)
	}
	e, err := s.find(k)
	switch {
	case err != nil:
		return nil, err
	case e.kept != nil:
		return e.kept, nil
	case e.raw == nil:
		return nil, nil
	}
	v, err := s.decode(k, e.raw)
	if err != nil {
		return nil, err
	}
	if s.rawValues {
		return slices.Clone(v.([]byte)), nil
	}
	if s.keeper != nil && v != nil {
		if kept, ok := s.keeper.Keep(v); ok {
			e.kept, e.raw, e.shared = kept, nil, false
			s.cache.weigh(e)
		}
	}
	return v, nil
}

func (s *store) decode(key string, raw []byte) (any, error) {
	v, err := s.values.Decode(raw)
	if err != nil {
		return nil, s.failed("get", s.valueError(key, err))
	}
	return v, nil
}

func (s *store) valueError(key string, err error) error {
	return fmt.Errorf("value of key %s: %w", s.shown(key), err)
}

// shown is a key as a message shows it.
func (s *store) shown(key string) string { return shownKey(s.keys, key) }

func shownKey(keys task.Serde, key string) string {
	if v, err := keys.Decode([]byte(key)); err == nil {
		return fmt.Sprintf("%.80q", fmt.Sprint(v))
	}
	return fmt.Sprintf("%.80q", key)
}

func (s *store) GetInto(key, v any) (bool, error) {
	if s.err != nil {
		return false, s.err
	}
	s.count.gets++
	k, err := s.encode(key)
	if err != nil {
		return false, s.failed("get", err)
	}
	var raw []byte
	if s.cache == nil {
		var ok bool
		if raw, ok, err = s.engine.Get(nil, k); err != nil {
			return false, s.broken("get", err)
		}
		s.asked(k)
		s.count.bytesRead += int64(len(raw))
		if !ok {
			return false, nil
		}
		if raw == nil {
			raw = []byte{}
		}
	} else {
		e, err := s.find(k)
		if err != nil {
			return false, err
		}
		if e.absent() {
			return false, nil
		}
		if e.kept != nil {
			if assign(e.kept, v) {
				return true, nil
			}
			if s.valueBuf, err = s.values.Append(s.valueBuf[:0], e.kept); err != nil {
				return false, s.failed("get", s.valueError(k, err))
			}
			raw = s.valueBuf
		} else {
			raw = e.raw
		}
		if s.rawValues {
			raw = slices.Clone(raw) // the serde gives the slice itself away
		}
	}
	if err := s.values.DecodeInto(raw, v); err != nil {
		return false, s.failed("get", s.valueError(k, err))
	}
	return true, nil
}

func (s *store) Put(key, value any) error {
	if value == nil {
		return s.Delete(key)
	}
	if s.err != nil {
		return s.err
	}
	s.count.puts++
	k, err := s.encode(key)
	if err != nil {
		return s.failed("put", err)
	}
	kept, raw, drop, err := s.prepare(k, value)
	if err != nil || drop {
		return err
	}
	return s.set(k, kept, raw)
}

// prepare encodes a value, unless it can be kept as it is, and asks the rules
// about sizes: nothing has changed after an error. raw is valid until the next
// call.
func (s *store) prepare(key string, value any) (kept any, raw []byte, drop bool, err error) {
	if s.keeper != nil && s.cache != nil {
		if k, ok := s.keeper.Keep(value); ok && !s.sizes.unsure(k, key) {
			return k, nil, false, s.admit(key, len(key)+keptBytes(k))
		}
	}
	if raw, err = s.values.Append(s.valueBuf[:0], value); err != nil {
		return nil, nil, false, s.failed("put", s.valueError(key, err))
	}
	if s.valueBuf = raw; raw == nil {
		raw = []byte{}
	}
	if drop, err = s.sizes.judge(key, raw); err != nil || drop {
		if err != nil {
			err = s.failed("put", fmt.Errorf("key %s: %w", s.shown(key), err))
		}
		return nil, nil, drop, err
	}
	return nil, raw, false, s.admit(key, len(key)+len(raw))
}

// Delete is task.Store's.
func (s *store) Delete(key any) error {
	if s.err != nil {
		return s.err
	}
	s.count.deletes++
	k, err := s.encode(key)
	if err != nil {
		return s.failed("delete", err)
	}
	return s.set(k, nil, nil)
}

// Flush is task.Store's.
func (s *store) Flush() error {
	if s.err != nil {
		return s.err
	}
	s.count.flushes++
	if s.cache == nil {
		return nil
	}
	return s.write()
}
