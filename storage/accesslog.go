package storage

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// accessLogged is a store a sample of whose calls goes to a topic (Samza:
// AccessLoggedStore). It is the uppermost layer: it sees what the task asks,
// not what the cache answers.
//
// The sample is what stores.NAME.accesslog.sampling.ratio says, of a hundred;
// in Samza half of all calls are logged whatever the ratio, since it compares it
// with a random number of all 2^32. All is not logged, as in Samza; Prefix is as
// the range that it is.
type accessLogged struct {
	task.Store
	log accessLog
}

var _ task.Store = (*accessLogged)(nil)

type accessLog struct {
	to        *changelog // its outbox and partition
	stream    string
	ratio     int
	keys      task.Serde
	now       func() time.Time
	chance    func(n int) int // in [0, n)
	storeName string
}

// AccessLogStream is the stream of a changelog's access log.
func AccessLogStream(changelog system.StreamID) system.StreamID {
	return system.StreamID{System: changelog.System, Stream: changelog.Stream + config.AccessLogSuffix}
}

func newAccessLogged(st *opened, o Options) *accessLogged {
	chance := o.Chance
	if chance == nil {
		chance = rand.IntN //nolint:gosec // a sample needs no secrecy
	}
	return &accessLogged{st.store, accessLog{
		to: st.log, stream: AccessLogStream(st.spec.Changelog).Stream, ratio: st.spec.AccessLogRatio,
		keys: st.keys, now: o.Now, chance: chance, storeName: st.spec.Name,
	}}
}

// begin tells if a call is in the sample, and when it began.
func (l *accessLog) begin() (at time.Time, sampled bool) {
	if l.chance(100) >= l.ratio {
		return time.Time{}, false
	}
	return l.now(), true
}

// end writes the record of a call that succeeded. The key was encoded by the
// call, so it can be.
func (l *accessLog) end(op accessOp, began time.Time, keys ...any) error {
	now := l.now()
	a := access{op: op, took: now.Sub(began).Nanoseconds(), at: now.UnixMilli(), keys: make([][]byte, len(keys))}
	for i, k := range keys {
		if k == nil {
			continue
		}
		b, err := l.keys.Append([]byte{}, k)
		if err != nil {
			return fmt.Errorf("access log of store %q: key: %w", l.storeName, err)
		}
		a.keys[i] = b
	}
	err := l.to.out.Send(system.Record{
		Stream: l.stream, At: l.to.partition + 1, Timestamp: a.at,
		Key: binary.BigEndian.AppendUint64(nil, uint64(a.at)), Value: appendAccess(nil, a),
	})
	if err != nil {
		return fmt.Errorf("access log of store %q: %w", l.storeName, err)
	}
	return nil
}

// Get is task.Store's.
func (s *accessLogged) Get(key any) (any, error) {
	began, sampled := s.log.begin()
	v, err := s.Store.Get(key)
	if err == nil && sampled {
		err = s.log.end(accessRead, began, key)
	}
	return v, err
}

// GetInto is task.Store's.
func (s *accessLogged) GetInto(key, v any) (bool, error) {
	began, sampled := s.log.begin()
	ok, err := s.Store.GetInto(key, v)
	if err == nil && sampled {
		err = s.log.end(accessRead, began, key)
	}
	return ok, err
}

// GetAll is task.Store's.
func (s *accessLogged) GetAll(keys []any) ([]any, error) {
	began, sampled := s.log.begin()
	v, err := s.Store.GetAll(keys)
	if err == nil && sampled {
		err = s.log.end(accessRead, began, keys...)
	}
	return v, err
}

// Put is task.Store's.
func (s *accessLogged) Put(key, value any) error {
	began, sampled := s.log.begin()
	err := s.Store.Put(key, value)
	if err == nil && sampled {
		err = s.log.end(accessWrite, began, key)
	}
	return err
}

// Delete is task.Store's.
func (s *accessLogged) Delete(key any) error {
	began, sampled := s.log.begin()
	err := s.Store.Delete(key)
	if err == nil && sampled {
		err = s.log.end(accessDelete, began, key)
	}
	return err
}

// PutAll is task.Store's.
func (s *accessLogged) PutAll(entries []task.Entry) error {
	began, sampled := s.log.begin()
	err := s.Store.PutAll(entries)
	if err != nil || !sampled {
		return err
	}
	keys := make([]any, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	return s.log.end(accessWrite, began, keys...)
}

// Range is task.Store's.
func (s *accessLogged) Range(from, to any) iter.Seq[task.Entry] {
	return s.ranged(s.Store.Range(from, to), from, to)
}

// Prefix is task.Store's.
func (s *accessLogged) Prefix(prefix any) iter.Seq[task.Entry] {
	return s.ranged(s.Store.Prefix(prefix), prefix, nil)
}

// ranged logs an iteration when it is over: how long it took includes what the
// task did with the entries.
func (s *accessLogged) ranged(entries iter.Seq[task.Entry], bounds ...any) iter.Seq[task.Entry] {
	return func(yield func(task.Entry) bool) {
		began, sampled := s.log.begin()
		more := true
		for e := range entries {
			if more = yield(e) && e.Err == nil; !more {
				break
			}
		}
		if sampled {
			if err := s.log.end(accessRange, began, bounds...); err != nil && more {
				yield(task.Entry{Err: err})
			}
		}
	}
}

// Snapshot is task.Store's.
func (s *accessLogged) Snapshot(from, to any) (task.Snapshot, error) {
	began, sampled := s.log.begin()
	snap, err := s.Store.Snapshot(from, to)
	if err == nil && sampled {
		err = s.log.end(accessSnapshot, began, from, to)
	}
	return snap, err
}
