package storage

import (
	"heddle/storage/engine"
)

// This file is the layer of the cache as a store goes through it.

// find gives the cache's entry of a key, and fills it from the engine if need
// be. It is used only where there is a cache.
func (s *store) find(key string) (*entry, error) {
	e, hash := s.lookup(key)
	if e != nil {
		s.count.hits++
		if s.expiry != nil && !e.absent() && s.expiry.gone(e.at) {
			// If it was not written down yet, that will be as a deletion.
			e.kept, e.raw, e.shared = nil, nil, false
		}
		return e, nil
	}
	raw, ok, err := s.engine.Get(nil, key)
	if err != nil {
		return nil, s.broken("get", err)
	}
	s.asked(key)
	if e, err = s.enter(key, hash); err != nil {
		return nil, err
	}
	if ok {
		s.count.bytesRead += int64(len(raw))
		if raw == nil {
			raw = []byte{}
		}
		e.raw = raw
		if s.living != nil {
			e.at = s.living.at
		}
	}
	s.cache.weigh(e)
	return e, nil
}

// lookup gives the cache's entry of a key; without one, the hash to enter it with.
func (s *store) lookup(key string) (e *entry, hash uint32) {
	if s.last != nil && s.last.key == key {
		return s.last, 0
	}
	if e, hash = s.cache.get(key); e != nil {
		e.seen = true
		s.last = e
	}
	return e, hash
}

// enter adds an entry for a key that the cache does not have; another one goes
// for it when the cache is full.
func (s *store) enter(key string, hash uint32) (*entry, error) {
	for s.cache.full() {
		if err := s.evict(s.cache.victim()); err != nil {
			return nil, err
		}
	}
	e := s.cache.add(string([]byte(key)), hash)
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

// set writes a value that was prepared; a key without one is deleted.
func (s *store) set(key string, kept any, raw []byte) error {
	at := s.expiry.stamp()
	if s.cache == nil {
		// The changelog holds on to the bytes, so they are made anew.
		w := engine.Write{Key: string([]byte(key)), At: at}
		if raw != nil {
			w.Value = append([]byte{}, raw...)
		}
		return s.through(w)
	}
	e, err := s.slot(key)
	if err != nil {
		return err
	}
	e.at = at
	switch {
	case raw == nil:
		e.kept, e.raw, e.shared = kept, nil, false
		return s.changed(e)
	case e.shared || e.raw == nil:
		e.raw, e.shared = make([]byte, 0, len(raw)), false
	}
	e.kept, e.raw = nil, append(e.raw[:0], raw...)
	return s.changed(e)
}

// slot gives the entry to write a key's new value to; the old value is not
// fetched.
func (s *store) slot(key string) (*entry, error) {
	e, hash := s.lookup(key)
	if e != nil {
		return e, nil
	}
	return s.enter(key, hash)
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
	s.count.largestKey = max(s.count.largestKey, int64(len(w.Key)))
	s.count.largestValue = max(s.count.largestValue, int64(len(w.Value)))
}

// asked takes note of a get that went to the engine.
func (s *store) asked(key string) {
	s.count.engineGets++
	s.count.keysRead += int64(len(key))
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
			return engine.Write{Key: e.key, Value: raw[:len(raw):len(raw)], At: e.at}, nil
		}
		if len(raw) < chunkSize/8 {
			s.chunk = make([]byte, 0, chunkSize)
		}
		if raw == nil {
			raw = []byte{}
		}
		return engine.Write{Key: e.key, Value: raw, At: e.at}, nil
	case e.raw != nil:
		e.shared = true
		return engine.Write{Key: e.key, Value: e.raw, At: e.at}, nil
	}
	return engine.Write{Key: e.key, At: e.at}, nil
}
