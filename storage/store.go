package storage

import (
	"errors"
	"fmt"
	"iter"
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

// find gives the cache's entry of a key, and fills it from the engine if need
// be. It is used only where there is a cache.
func (s *store) find(key string) (*entry, error) {
	if e := s.lookup(key); e != nil {
		s.count.hits++
		return e, nil
	}
	raw, ok, err := s.engine.Get(nil, key)
	if err != nil {
		return nil, s.broken("get", err)
	}
	s.count.engineGets++
	e, err := s.enter(key)
	if err != nil {
		return nil, err
	}
	if ok {
		s.count.bytesRead += int64(len(raw))
		if raw == nil {
			raw = []byte{}
		}
		e.raw = raw
	}
	s.cache.weigh(e)
	return e, nil
}

func (s *store) lookup(key string) *entry {
	if s.last != nil && s.last.key == key {
		return s.last
	}
	e := s.cache.entries[key]
	if e != nil {
		e.seen = true
		s.last = e
	}
	return e
}

// enter adds an entry for a key that the cache does not have; another one goes
// for it when the cache is full.
func (s *store) enter(key string) (*entry, error) {
	for s.cache.full() {
		if err := s.evict(s.cache.victim()); err != nil {
			return nil, err
		}
	}
	e := s.cache.add(string([]byte(key)))
	s.last = e
	return e, nil
}

// evict takes an entry out of the cache.
func (s *store) evict(e *entry) error {
	if e.dirty {
		// Samza, too, writes everything then, so that the order between keys is
		// kept and batches stay large.
		if err := s.write(); err != nil {
			return err
		}
	}
	if s.last == e {
		s.last = nil
	}
	s.cache.remove(e)
	return nil
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
		s.count.engineGets++
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
func (s *store) shown(key string) string {
	if v, err := s.keys.Decode([]byte(key)); err == nil {
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
		s.count.engineGets++
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

// assign sets what v points to, if it is of the very type of kept.
func assign(kept, v any) bool {
	switch k := kept.(type) {
	case int64:
		switch p := v.(type) {
		case *int64:
			*p = k
			return true
		case *int:
			if int64(int(k)) == k {
				*p = int(k)
				return true
			}
		}
	case int32:
		if p, ok := v.(*int32); ok {
			*p = k
			return true
		}
	case string:
		if p, ok := v.(*string); ok {
			*p = k
			return true
		}
	case float64:
		if p, ok := v.(*float64); ok {
			*p = k
			return true
		}
	case bool:
		if p, ok := v.(*bool); ok {
			*p = k
			return true
		}
	}
	if p, ok := v.(*any); ok && p != nil {
		*p = kept
		return true
	}
	return false
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
	if s.cache == nil {
		// The changelog holds on to the bytes, so they are made anew.
		raw, err := s.values.Append([]byte{}, value)
		if err != nil {
			return s.failed("put", s.valueError(k, err))
		}
		return s.through(engine.Write{Key: string([]byte(k)), Value: raw})
	}
	if s.keeper != nil {
		if kept, ok := s.keeper.Keep(value); ok {
			e, err := s.slot(k)
			if err != nil {
				return err
			}
			e.kept, e.raw, e.shared = kept, nil, false
			return s.changed(e)
		}
	}
	raw, err := s.values.Append(s.valueBuf[:0], value)
	if err != nil {
		return s.failed("put", s.valueError(k, err))
	}
	s.valueBuf = raw
	e, err := s.slot(k)
	if err != nil {
		return err
	}
	if e.shared || e.raw == nil {
		e.raw, e.shared = make([]byte, 0, len(raw)), false
	}
	e.kept, e.raw = nil, append(e.raw[:0], raw...)
	return s.changed(e)
}

func (s *store) Delete(key any) error {
	if s.err != nil {
		return s.err
	}
	s.count.deletes++
	k, err := s.encode(key)
	if err != nil {
		return s.failed("delete", err)
	}
	if s.cache == nil {
		return s.through(engine.Write{Key: string([]byte(k)), Value: nil})
	}
	e, err := s.slot(k)
	if err != nil {
		return err
	}
	e.kept, e.raw, e.shared = nil, nil, false
	return s.changed(e)
}

// slot gives the entry to write a key's new value to; the old value is not
// fetched.
func (s *store) slot(key string) (*entry, error) {
	if e := s.lookup(key); e != nil {
		return e, nil
	}
	return s.enter(key)
}

func (s *store) changed(e *entry) error {
	s.cache.touch(e)
	s.cache.weigh(e)
	// Values grow, too. The entry itself stays: it was used just now.
	for s.cache.over() {
		v := s.cache.victim()
		if v == e {
			e.seen = true
			continue
		}
		if err := s.evict(v); err != nil {
			return err
		}
	}
	if s.batch != Unlimited && s.cache.dirtyCount >= s.batch {
		return s.write()
	}
	return nil
}

func (s *store) through(w engine.Write) error {
	s.writes = append(s.writes[:0], w)
	s.wrote(w)
	if err := s.engine.Apply(s.writes, nil); err != nil {
		return s.broken("write", err)
	}
	clear(s.writes)
	return nil
}

func (s *store) wrote(w engine.Write) {
	if w.Value == nil {
		s.count.engineDeletes++
	} else {
		s.count.enginePuts++
	}
	s.count.bytesWritten += int64(len(w.Key) + len(w.Value))
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

const (
	// applied together at most
	maxApply = 1024
	// chunkSize is what is allocated at once for values that the changelog
	// holds on to until they are acknowledged.
	chunkSize = 64 << 10
)

// write hands every change of the cache down, one write per key.
func (s *store) write() error {
	if s.cache.dirty == nil {
		return nil
	}
	s.writes = s.writes[:0]
	for e := s.cache.dirty; e != nil; e = e.nextDirty {
		w, err := s.writeOf(e)
		if err != nil {
			return s.broken("flush", s.valueError(e.key, err))
		}
		s.wrote(w)
		if s.writes = append(s.writes, w); len(s.writes) == maxApply || e.nextDirty == nil {
			if err := s.engine.Apply(s.writes, nil); err != nil {
				return s.broken("flush", err)
			}
			clear(s.writes)
			s.writes = s.writes[:0]
		}
	}
	s.count.batches++
	s.count.batched += int64(s.cache.dirtyCount)
	s.cache.clean()
	return nil
}

func (s *store) writeOf(e *entry) (engine.Write, error) {
	switch {
	case e.kept != nil:
		free := s.chunk[len(s.chunk):]
		raw, err := s.values.Append(free, e.kept)
		if err != nil {
			return engine.Write{}, err
		}
		if cap(free) > 0 && len(raw) <= cap(free) {
			// It went into the chunk.
			s.chunk = s.chunk[:len(s.chunk)+len(raw)]
			return engine.Write{Key: e.key, Value: raw[:len(raw):len(raw)]}, nil
		}
		if len(raw) < chunkSize/8 {
			s.chunk = make([]byte, 0, chunkSize)
		}
		if raw == nil {
			raw = []byte{}
		}
		return engine.Write{Key: e.key, Value: raw}, nil
	case e.raw != nil:
		e.shared = true
		return engine.Write{Key: e.key, Value: e.raw}, nil
	}
	return engine.Write{Key: e.key, Value: nil}, nil
}

// Range is task.Store's.
func (s *store) Range(from, to any) iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		lo, hi := "", ""
		var err error
		if from != nil {
			if lo, err = s.bound(from); err != nil {
				yield(task.Entry{Err: s.failed("range", err)})
				return
			}
		}
		if to != nil {
			if hi, err = s.bound(to); err != nil {
				yield(task.Entry{Err: s.failed("range", err)})
				return
			}
			if hi == "" {
				return // nothing is less than the empty key
			}
		}
		s.count.ranges++
		s.scan(lo, hi, yield)
	}
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
	it := s.engine.Range(lo, hi)
	defer func() { _ = it.Close() }() // what was read is whole
	for it.Next() {
		k, err := s.keys.Decode([]byte(it.Key()))
		if err != nil {
			yield(task.Entry{Err: s.failed("range", fmt.Errorf("key %.80q: %w", it.Key(), err))})
			return
		}
		raw := it.Value()
		if s.rawValues {
			raw = slices.Clone(raw)
		}
		v, err := s.values.Decode(raw)
		if err != nil {
			yield(task.Entry{Err: s.failed("range", s.valueError(it.Key(), err))})
			return
		}
		if !yield(task.Entry{Key: k, Value: v}) {
			return
		}
	}
	if err := it.Err(); err != nil {
		yield(task.Entry{Err: s.broken("range", err)})
	}
}
