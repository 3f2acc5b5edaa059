package table

import (
	"context"
	"slices"
	"sync"
	"time"
)

// batcher gathers keys that are asked for at the same time into calls. A key
// that is on its way is not asked for twice.
type batcher[K comparable, V any] struct {
	size int
	wait time.Duration
	call func(ctx context.Context, keys []K) (map[K]V, error)
	// know is told of every key that was read and not written to meanwhile.
	know func(key K, value V, ok bool)

	mu sync.Mutex
	// open takes keys until its call begins; nil: the next key opens one.
	open *batch[K, V]
	// onTheWay finds the batch that a key is in.
	onTheWay map[K]*batch[K, V]
	calling  int
	// writes are those under way.
	writes map[K]*writing
}

// writing counts the writes of a key that are under way.
type writing struct {
	n int
	// several were under way at once: nobody knows which was the last.
	several bool
}

// batch is one call. Its keys are complete once it was taken from open.
type batch[K comparable, V any] struct {
	keys    []K
	waiting int // callers who want it
	cancel  context.CancelFunc
	ctx     context.Context //nolint:containedctx // that of the call, which outlives each caller but not all of them
	begin   chan struct{}   // closed when it is full or nothing is under way
	begun   bool
	done    chan struct{}
	values  map[K]V
	err     error
}

func newBatcher[K comparable, V any](size int, wait time.Duration, call func(context.Context, []K) (map[K]V, error), know func(K, V, bool)) batcher[K, V] {
	return batcher[K, V]{size: size, wait: wait, call: call, know: know, onTheWay: map[K]*batch[K, V]{}, writes: map[K]*writing{}}
}

// get adds the values of keys to values; shared is how many of them somebody
// else had asked for.
func (b *batcher[K, V]) get(ctx context.Context, keys []K, values map[K]V) (shared int, err error) {
	wanted := map[*batch[K, V]][]K{}
	b.mu.Lock()
	for _, k := range keys {
		on := b.onTheWay[k]
		if on != nil {
			shared++
		} else {
			on = b.add(ctx, k)
		}
		if _, known := wanted[on]; !known {
			on.waiting++
		}
		wanted[on] = append(wanted[on], k)
	}
	if b.open != nil && b.wait == 0 && b.calling == 0 {
		b.start(b.open)
	}
	b.mu.Unlock()
	defer b.leave(wanted)
	for on, keys := range wanted {
		select {
		case <-on.done:
		case <-ctx.Done():
			return shared, ctx.Err()
		}
		if on.err != nil {
			return shared, on.err
		}
		for _, k := range keys {
			if v, ok := on.values[k]; ok {
				values[k] = v
			}
		}
	}
	return shared, nil
}

// add puts a key into the open batch, and makes one if there is none. The
// caller holds mu.
func (b *batcher[K, V]) add(ctx context.Context, k K) *batch[K, V] {
	on := b.open
	if on == nil {
		on = &batch[K, V]{begin: make(chan struct{}), done: make(chan struct{})}
		// What the first caller's context holds goes along; its end counts only
		// when nobody waits any more.
		on.ctx, on.cancel = context.WithCancel(context.WithoutCancel(ctx))
		b.open = on
		go b.run(on)
	}
	b.onTheWay[k] = on
	if slices.Contains(on.keys, k) {
		return on // a write took it off the way since it was added
	}
	on.keys = append(on.keys, k)
	if len(on.keys) == b.size {
		b.start(on)
	}
	return on
}

// start lets a batch begin. The caller holds mu.
func (b *batcher[K, V]) start(on *batch[K, V]) {
	if on.begun {
		return
	}
	on.begun = true
	b.calling++
	if b.open == on {
		b.open = nil
	}
	close(on.begin)
}

func (b *batcher[K, V]) run(on *batch[K, V]) {
	defer on.cancel()
	var due <-chan time.Time
	if b.wait > 0 {
		timer := time.NewTimer(b.wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-on.begin:
	case <-due:
		b.mu.Lock()
		b.start(on)
		b.mu.Unlock()
	}
	values, err := b.call(on.ctx, on.keys)
	b.mu.Lock()
	defer b.mu.Unlock()
	on.values, on.err = values, err
	for _, k := range on.keys {
		// Under the lock: a write that begins after this takes the key out of
		// the cache again, one that began before has taken it off the way.
		if b.onTheWay[k] != on {
			continue
		}
		delete(b.onTheWay, k)
		if err == nil {
			v, ok := values[k]
			b.know(k, v, ok)
		}
	}
	close(on.done)
	b.calling--
	if b.open != nil && b.wait == 0 && b.calling == 0 {
		b.start(b.open)
	}
}

// leave gives up waiting; a call that nobody waits for any more ends.
func (b *batcher[K, V]) leave(wanted map[*batch[K, V]][]K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for on := range wanted {
		if on.waiting--; on.waiting > 0 {
			continue
		}
		on.cancel()
		for _, k := range on.keys { // a later caller asks anew
			if b.onTheWay[k] == on {
				delete(b.onTheWay, k)
			}
		}
		b.start(on)
	}
}

// beginWrite notes that a key is about to be written: who asks from now on gets
// a call of its own, and what is under way does not go into the cache.
func (b *batcher[K, V]) beginWrite(k K, forget func(K)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.onTheWay, k)
	forget(k)
	w := b.writes[k]
	if w == nil {
		w = &writing{}
		b.writes[k] = w
	}
	w.n++
	w.several = w.several || w.n > 1
}

// endWrite takes the note back; done says if the change was made. What the key
// has now is known unless another write of it was under way at the same time.
func (b *batcher[K, V]) endWrite(c Change[K, V], done bool, forget func(K)) {
	k := c.Key
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.onTheWay, k)
	forget(k)
	w := b.writes[k]
	if w.n--; w.n == 0 {
		delete(b.writes, k)
	}
	if done && !w.several {
		b.know(k, c.Value, !c.Delete)
	}
}
