package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Read asks the store for some keys, all different. The slice is its own. A key that the store does
// not have is left out of the result, which is no error. It may be called from
// several goroutines.
type Read[K comparable, V any] func(ctx context.Context, keys []K) (map[K]V, error)

// Write makes some changes in the store, all of different keys. The slice is its
// own. It may be called from several goroutines.
type Write[K comparable, V any] func(ctx context.Context, changes []Change[K, V]) error

// Change sets a key, or deletes it.
type Change[K comparable, V any] struct {
	Key    K
	Value  V
	Delete bool
}

// Options say how a Table treats its store. The zero value limits, caches and
// retries nothing and asks for 100 keys at once.
type Options struct {
	// Name is for errors.
	Name string
	// KeysPerSecond bounds the keys that are read and written, each try counted
	// (Samza: RateLimiter with read and write tags); 0: no bound.
	KeysPerSecond float64
	// Burst is how many keys may go at once after a pause; 0: the keys of one
	// second, at least BatchSize.
	Burst int
	// BatchSize is the most keys of one call (Samza: withBatchProvider); 0: 100.
	BatchSize int
	// Calls is how many calls of Read and Write may be under way at once; 0: 16.
	Calls int
	// BatchWait is how long a key waits for others; 0: it waits only while
	// another call is under way.
	BatchWait time.Duration
	// Retry says what is tried again.
	Retry Retry
	// CacheEntries bounds the keys that are remembered, those that the store
	// does not have included (Samza: CachingTable); 0: none.
	CacheEntries int
	// CacheTTL is how long a key is remembered; 0: until it is crowded out.
	CacheTTL time.Duration
}

// Counts are what a Table has done since it was made.
type Counts struct {
	// Hits were answered by the cache, Misses were not; Shared were already
	// asked for by somebody else.
	Hits, Misses, Shared int64
	// Calls of Read and Write, those that were tried again included, the keys in
	// them, and the Retries among them.
	Calls, Keys, Retries int64
	// Failures are calls given up.
	Failures int64
}

// Table reads, and if it has a Write function writes, a store elsewhere. All
// methods may be called from several goroutines: one Table can serve all tasks
// of a container.
type Table[K comparable, V any] struct {
	o       Options
	read    Read[K, V]
	write   Write[K, V]
	limiter *rate.Limiter
	slots   chan struct{}           // one for each call under way
	cache   *lru.Cache[K, found[V]] // nil: none
	batcher batcher[K, V]
	counts  counters
}

// found is what is known of a key; ok is false if the store does not have it.
type found[V any] struct {
	value V
	ok    bool
	until time.Time // zero: for good
}

const (
	defaultBatchSize = 100
	defaultCalls     = 16
)

// New makes a table. write may be nil: it can only be read then. The error
// names an option that makes no sense.
func New[K comparable, V any](read Read[K, V], write Write[K, V], o Options) (*Table[K, V], error) {
	if err := o.check(read == nil); err != nil {
		return nil, fmt.Errorf("table %q: %w", o.Name, err)
	}
	if o.BatchSize == 0 {
		o.BatchSize = defaultBatchSize
	}
	if o.Calls == 0 {
		o.Calls = defaultCalls
	}
	o.Retry = o.Retry.withDefaults()
	t := &Table[K, V]{o: o, read: read, write: write, slots: make(chan struct{}, o.Calls)}
	if o.KeysPerSecond > 0 {
		burst := o.Burst
		if burst == 0 {
			burst = max(int(o.KeysPerSecond), o.BatchSize)
		}
		t.limiter = rate.NewLimiter(rate.Limit(o.KeysPerSecond), burst)
	}
	if o.CacheEntries > 0 {
		var err error
		if t.cache, err = lru.New[K, found[V]](o.CacheEntries); err != nil {
			return nil, fmt.Errorf("table %q: cache: %w", o.Name, err)
		}
	}
	t.batcher = newBatcher(o.BatchSize, o.BatchWait, t.readAll, t.know)
	return t, nil
}

func (o Options) check(noRead bool) error {
	switch {
	case noRead:
		return errors.New("it has no Read function")
	case o.KeysPerSecond < 0 || o.BatchSize < 0 || o.Burst < 0 || o.CacheEntries < 0 || o.Calls < 0 || math.IsNaN(o.KeysPerSecond):
		return errors.New("KeysPerSecond, BatchSize, Burst, Calls and CacheEntries must not be negative")
	case o.BatchWait < 0 || o.CacheTTL < 0:
		return errors.New("BatchWait and CacheTTL must not be negative")
	}
	return o.Retry.check()
}

// Get gives the value of a key; ok is false if the store does not have it. What
// the cache holds is given to all who ask: a value that is a pointer, a slice or
// a map must not be changed.
func (t *Table[K, V]) Get(ctx context.Context, key K) (value V, ok bool, err error) {
	if f, hit := t.cached(key); hit {
		return f.value, f.ok, nil
	}
	values, err := t.GetAll(ctx, key)
	if err != nil {
		return value, false, err
	}
	value, ok = values[key]
	return value, ok, nil
}

// cached gives what the cache knows of a key.
func (t *Table[K, V]) cached(key K) (f found[V], hit bool) {
	if t.cache == nil {
		return f, false
	}
	f, hit = t.cache.Get(key)
	if hit = hit && (f.until.IsZero() || time.Now().Before(f.until)); hit {
		t.counts.hits.Add(1)
	}
	return f, hit
}

// errNaN refuses keys that no map finds again, such as a NaN.
var errNaN = errors.New("a key is not equal to itself")

// GetAll gives the values of several keys at once; what the store does not
// have is left out.
func (t *Table[K, V]) GetAll(ctx context.Context, keys ...K) (map[K]V, error) {
	values := make(map[K]V, len(keys))
	asked := make([]K, 0, len(keys))
	seen := make(map[K]struct{}, len(keys))
	for _, k := range keys {
		if k != k { //nolint:staticcheck // a NaN
			return nil, fmt.Errorf("table %q: read %s: %w", t.o.Name, some([]K{k}), errNaN)
		}
		if _, twice := seen[k]; twice {
			continue
		}
		seen[k] = struct{}{}
		if f, hit := t.cached(k); hit {
			if f.ok {
				values[k] = f.value
			}
			continue
		}
		t.counts.misses.Add(1)
		asked = append(asked, k)
	}
	if len(asked) == 0 {
		return values, nil
	}
	shared, err := t.batcher.get(ctx, asked, values)
	t.counts.shared.Add(int64(shared))
	if err != nil {
		return nil, fmt.Errorf("table %q: read %s: %w", t.o.Name, some(asked), err)
	}
	return values, nil
}

// readAll is one call for a batch, with what belongs around it.
func (t *Table[K, V]) readAll(ctx context.Context, keys []K) (values map[K]V, err error) {
	err = t.try(ctx, len(keys), func() (err error) {
		// The batch's keys stay as they are, whatever Read does to its own.
		values, err = t.read(ctx, slices.Clone(keys))
		return err
	})
	return values, err
}

// know puts what the store has for a key into the cache.
func (t *Table[K, V]) know(key K, value V, ok bool) {
	if t.cache == nil {
		return
	}
	f := found[V]{value: value, ok: ok}
	if t.o.CacheTTL > 0 {
		f.until = time.Now().Add(t.o.CacheTTL)
	}
	t.cache.Add(key, f)
}

// forget takes a key out of the cache.
func (t *Table[K, V]) forget(key K) {
	if t.cache != nil {
		t.cache.Remove(key)
	}
}

// Put sets a key; it returns when the store has it.
func (t *Table[K, V]) Put(ctx context.Context, key K, value V) error {
	return t.Apply(ctx, []Change[K, V]{{Key: key, Value: value}})
}

// Delete removes a key; it returns when the store has done so.
func (t *Table[K, V]) Delete(ctx context.Context, key K) error {
	return t.Apply(ctx, []Change[K, V]{{Key: key, Delete: true}})
}

// ErrReadOnly is the error of a Put into a table without a Write function.
var ErrReadOnly = errors.New("it has no Write function")

// Apply makes several changes, BatchSize of them at a time; of several changes
// of one key the last counts. When it fails, some may have been made.
func (t *Table[K, V]) Apply(ctx context.Context, changes []Change[K, V]) error {
	if t.write == nil {
		return fmt.Errorf("table %q: write: %w", t.o.Name, ErrReadOnly)
	}
	for _, c := range changes {
		if c.Key != c.Key { //nolint:staticcheck // a NaN
			return fmt.Errorf("table %q: write %s: %w", t.o.Name, some([]K{c.Key}), errNaN)
		}
	}
	changes = lastOfEach(changes)
	for len(changes) > 0 {
		n := min(len(changes), t.o.BatchSize)
		part := changes[:n]
		changes = changes[n:]
		for _, c := range part {
			t.batcher.beginWrite(c.Key, t.forget)
		}
		err := t.try(ctx, n, func() error { return t.write(ctx, slices.Clone(part)) })
		for _, c := range part {
			t.batcher.endWrite(c, err == nil, t.forget)
		}
		if err != nil {
			keys := make([]K, n)
			for i, c := range part {
				keys[i] = c.Key
			}
			return fmt.Errorf("table %q: write %s: %w", t.o.Name, some(keys), err)
		}
	}
	return nil
}

// lastOfEach leaves the last change of each key, in the order of these.
func lastOfEach[K comparable, V any](changes []Change[K, V]) []Change[K, V] {
	last := make(map[K]int, len(changes))
	for i, c := range changes {
		last[c.Key] = i
	}
	if len(last) == len(changes) {
		return changes
	}
	kept := make([]Change[K, V], 0, len(last))
	for i, c := range changes {
		if last[c.Key] == i {
			kept = append(kept, c)
		}
	}
	return kept
}

// Counts says what the table has done so far.
func (t *Table[K, V]) Counts() Counts { return t.counts.read() }

// some shows keys in an error: how many, and the first.
func some[K comparable](keys []K) string {
	if len(keys) == 1 {
		return fmt.Sprintf("key %.80q", fmt.Sprint(keys[0]))
	}
	return fmt.Sprintf("%d keys from %.80q on", len(keys), fmt.Sprint(keys[0]))
}
