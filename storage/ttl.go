package storage

import (
	"encoding/binary"
	"fmt"
	"time"

	"heddle/storage/engine"
)

// expiry is the rule of a store whose entries end (Samza: rocksdb.ttl.ms). An
// entry ends ttl after the task wrote it, to the millisecond: Samza's RocksDB
// gives it back until a compaction comes by. The time of the write stands
// behind the value in the engine, and is the timestamp of its record in the
// changelog; so a TTL may be changed, and a restored entry ends when it would
// have ended.
type expiry struct {
	ttl int64 // ms
	now func() time.Time
}

// stampBytes is what stands behind a value: the time of its write, in ms since
// the Unix epoch, big-endian.
const stampBytes = 8

// ttlLayout names how entries are laid out in the engine by it.
const ttlLayout = "stamped"

func newExpiry(ttl time.Duration, now func() time.Time) *expiry {
	if ttl <= 0 {
		return nil
	}
	return &expiry{ttl: max(ttl.Milliseconds(), 1), now: now}
}

// stamp is the time of a write now; 0 for a store whose entries do not end.
func (x *expiry) stamp() int64 {
	if x == nil {
		return 0
	}
	return x.now().UnixMilli()
}

// ended tells if an entry of that time is gone at a moment.
func (x *expiry) ended(at, now int64) bool { return now-at >= x.ttl }

// gone tells if a cached entry has ended.
func (x *expiry) gone(at int64) bool { return x.ended(at, x.now().UnixMilli()) }

func appendStamped(dst, value []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, value...), uint64(at))
}

// unstamp parts a value from the time of its write.
func unstamp(key string, stamped []byte) (value []byte, at int64, err error) {
	n := len(stamped) - stampBytes
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: the value of key %.80q has no time", engine.ErrCorrupt, key)
	}
	return stamped[:n], int64(binary.BigEndian.Uint64(stamped[n:])), nil
}

// restored is the value of a changelog's record as the engine holds it, put
// into dst: nil for one that has ended, which as every newer record takes the
// older ones of its key away.
func (x *expiry) restored(dst, value []byte, timestamp, now int64) []byte {
	if value == nil {
		return nil
	}
	// A record without a time, or one of a clock that goes fast, is as of now.
	if timestamp <= 0 || timestamp > now {
		timestamp = now
	}
	if x.ended(timestamp, now) {
		return nil
	}
	return appendStamped(dst, value, timestamp)
}

// expiring is an engine whose entries end. What it is given and gives has no
// stamp; what lies below has.
type expiring struct {
	engine.Engine
	*expiry
	// at is the time of the entry that Get gave last.
	at int64
}

// over is another engine with the same rule.
func (x *expiry) over(e engine.Engine) engine.Engine {
	if x == nil {
		return e
	}
	return &expiring{Engine: e, expiry: x}
}

// Get is engine.Engine's.
func (e *expiring) Get(dst []byte, key string) ([]byte, bool, error) {
	n := len(dst)
	all, ok, err := e.Engine.Get(dst, key)
	if err != nil || !ok {
		return dst, false, err
	}
	value, at, err := unstamp(key, all[n:])
	if err != nil || e.gone(at) {
		return dst, false, err
	}
	e.at = at
	return all[:n+len(value)], true, nil
}

// Apply is engine.Engine's.
func (e *expiring) Apply(batch []engine.Write, mark []byte) error {
	size := 0
	for i := range batch {
		if batch[i].Value != nil {
			size += len(batch[i].Value) + stampBytes
		}
	}
	// One piece of memory for all; the batch itself is the changelog's, too.
	chunk := make([]byte, 0, size)
	stamped := make([]engine.Write, len(batch))
	for i, w := range batch {
		if w.Value != nil {
			n := len(chunk)
			chunk = appendStamped(chunk, w.Value, w.At)
			w.Value = chunk[n:len(chunk):len(chunk)]
		}
		stamped[i] = w
	}
	return e.Engine.Apply(stamped, mark)
}

// Range is engine.Engine's. It is as of now: what ends while it runs is given.
func (e *expiring) Range(from, to string) engine.Iterator {
	return &living{Iterator: e.Engine.Range(from, to), expiry: e.expiry, now: e.stamp()}
}

// Snapshot is engine.Engine's.
func (e *expiring) Snapshot() engine.Snapshot {
	return livingSnapshot{e.Engine.Snapshot(), e.expiry, e.stamp()}
}

type livingSnapshot struct {
	engine.Snapshot
	*expiry
	at int64
}

// Range is engine.Snapshot's.
func (s livingSnapshot) Range(from, to string) engine.Iterator {
	return &living{Iterator: s.Snapshot.Range(from, to), expiry: s.expiry, now: s.at}
}

// living gives the entries of a range that have not ended.
type living struct {
	engine.Iterator
	*expiry
	now   int64
	value []byte
	err   error
}

// Next is engine.Iterator's.
func (l *living) Next() bool {
	for l.err == nil && l.Iterator.Next() {
		value, at, err := unstamp(l.Key(), l.Iterator.Value())
		if err != nil {
			l.err = err
			return false
		}
		if l.value = value; !l.ended(at, l.now) {
			return true
		}
	}
	return false
}

// Value is engine.Iterator's.
func (l *living) Value() []byte { return l.value }

// Err is engine.Iterator's.
func (l *living) Err() error {
	if l.err != nil {
		return l.err
	}
	return l.Iterator.Err()
}
