package storage

import "math"

// entry is one key in the cache.
type entry struct {
	key string // as the key serde encodes it
	// kept is the value, if it is one that nobody can change; otherwise raw
	// holds its bytes. With neither, the key is known to be absent.
	kept any
	raw  []byte
	// shared: raw was handed on and must not be written to.
	shared bool
	dirty  bool
	// seen since the hand passed last.
	seen bool
	// bytes is what the cache reckons for the entry.
	bytes int32
	// hash is the key's, and place where the entry lies in cache.entries.
	hash  uint32
	place int32

	// at is when the value was written, in ms, of stores whose entries end.
	at int64

	older, newer *entry
	nextDirty    *entry
}

func (e *entry) absent() bool { return e.kept == nil && e.raw == nil }

// cache holds entries by key, at most limit of them, and the list of those
// that were changed, in the order of their first change (Samza: CachedStore).
//
// What goes when it is full is decided as in SIEVE: a hit only sets a mark, a
// hand walks from the oldest to the newest entry, clears marks and takes the
// first entry without one. That costs less per hit than a list in the order of
// use and keeps what is used often.
type cache struct {
	limit          int      // Unlimited: no bound
	maxBytes       int64    // 0: no bound
	bytes          int64    // of all entries, about
	entries        []*entry // in no order; all but spare are there
	index          index    // of entries
	oldest, newest *entry
	hand           *entry

	dirty, lastDirty *entry
	dirtyCount       int

	// spare is the entry that was removed last; the next one that is added takes its
	// place: a cache that is full makes no garbage of entries.
	spare *entry
}

func newCache(limit int) *cache {
	return &cache{limit: limit}
}

func (c *cache) len() int { return c.index.used }

// get gives the entry of a key; nil if there is none. hash is the key's.
func (c *cache) get(key string) (e *entry, hash uint32) {
	hash = hashOf(key)
	if at := c.index.find(hash, func(at int) bool { return c.entries[at].key == key }); at >= 0 {
		return c.entries[at], hash
	}
	return nil, hash
}

// full tells if one has to go before another is added.
func (c *cache) full() bool {
	return c.limit != Unlimited && c.len() >= c.limit || c.over()
}

// over tells if the entries take more memory than they may.
func (c *cache) over() bool { return c.maxBytes > 0 && c.bytes > c.maxBytes && c.len() > 1 }

// entryOverhead is about what an entry takes besides its key and its value: the
// entry, its place in the map, and the headers of what is allocated for it.
const entryOverhead = 176

// weigh reckons anew what an entry takes, after its value has changed.
func (c *cache) weigh(e *entry) {
	if c.maxBytes == 0 {
		return
	}
	n := entryOverhead + len(e.key) + cap(e.raw)
	switch v := e.kept.(type) {
	case nil:
	case string:
		n += len(v)
	default:
		n += 16 // a number
	}
	n = min(n, math.MaxInt32)
	c.bytes += int64(n) - int64(e.bytes)
	e.bytes = int32(n)
}

// add puts in an entry for a key that is not there; hash is get's.
func (c *cache) add(key string, hash uint32) *entry {
	e := c.spare
	if e != nil {
		c.spare = nil
	} else {
		e = &entry{place: int32(len(c.entries))}
		c.entries = append(c.entries, e)
	}
	e.key, e.hash, e.older = key, hash, c.newest
	if c.newest != nil {
		c.newest.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
	c.index.add(hash, int(e.place))
	return e
}

// victim is the entry that has to go next. It stays the same until it is
// removed or marked.
func (c *cache) victim() *entry {
	e := c.hand
	if e == nil {
		e = c.oldest
	}
	for e != nil && e.seen {
		e.seen = false
		if e = e.newer; e == nil {
			e = c.oldest
		}
	}
	c.hand = e
	return e
}

// remove takes out an entry that is not dirty. It may not be used after that.
func (c *cache) remove(e *entry) {
	if c.hand == e {
		c.hand = e.newer
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		c.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	c.index.remove(e.hash, int(e.place))
	c.bytes -= int64(e.bytes)
	*e = entry{place: e.place}
	if c.spare == nil {
		c.spare = e
		return
	}
	// The last one takes its place.
	n := len(c.entries) - 1
	last := c.entries[n]
	c.entries[n] = nil
	c.entries = c.entries[:n]
	if last == e {
		return
	}
	if last != c.spare {
		c.index.remove(last.hash, n)
		c.index.add(last.hash, int(e.place))
	}
	last.place = e.place
	c.entries[e.place] = last
}

// touch notes that e was changed.
func (c *cache) touch(e *entry) {
	if e.dirty {
		return
	}
	e.dirty = true
	c.dirtyCount++
	if c.lastDirty != nil {
		c.lastDirty.nextDirty = e
	} else {
		c.dirty = e
	}
	c.lastDirty = e
}

// clean forgets the list of changes.
func (c *cache) clean() {
	for e := c.dirty; e != nil; {
		next := e.nextDirty
		e.dirty, e.nextDirty = false, nil
		e = next
	}
	c.dirty, c.lastDirty, c.dirtyCount = nil, nil, 0
}
