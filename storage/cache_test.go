package storage

import (
	"fmt"
	"strings"
	"testing"
)

// TestCacheKeepsWhatIsUsed holds the cache to its bound and to what SIEVE
// promises: what is asked for again and again outlives what passes by once.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache(10)
	get := func(key string) bool {
		e, hash := c.get(key)
		if e != nil {
			e.seen = true
			return true
		}
		for c.full() {
			c.remove(c.victim())
		}
		c.add(key, hash)
		return false
	}
	misses := 0
	for i := range 10000 {
		if !get(fmt.Sprint("hot", i%5)) {
			misses++
		}
		get(fmt.Sprint("cold", i))
		if c.len() > 10 {
			t.Fatalf("%d entries", c.len())
		}
	}
	if misses > 10 {
		t.Errorf("%d misses of 5 hot keys", misses)
	}
	n := 0
	for e := c.oldest; e != nil; e = e.newer {
		n++
		if e.newer != nil && e.newer.older != e {
			t.Fatal("the list is broken")
		}
	}
	if n != c.len() {
		t.Errorf("%d in the list, %d in the map", n, c.len())
	}
}

// TestCacheBytes holds a cache to its bytes while entries come and values grow,
// and loses nothing of what goes.
func TestCacheBytes(t *testing.T) {
	st := plain(t, unlogged("string", "string", Unlimited, Unlimited))
	s := st.(*store) //nolint:forcetypeassert // it is
	const limit = 20_000
	s.cache.maxBytes = limit
	want := map[string]string{}
	put := func(key, value string) {
		t.Helper()
		check(t, s.Put(key, value))
		want[key] = value
		if over := s.cache.bytes - limit; over > int64(entryOverhead+len(key)+len(value)) {
			t.Fatalf("%d bytes more than it may hold", over)
		}
	}
	for i := range 200 {
		put(fmt.Sprint("key", i), "short")
	}
	entries := s.cache.len()
	if entries < 50 || entries > 110 {
		t.Errorf("%d short entries", entries)
	}
	for round := range 5 { // the same keys, again and again
		for i := range 10 {
			put(fmt.Sprint("key", 190+i), strings.Repeat("x", 500*(round+1)))
		}
	}
	put("large", strings.Repeat("y", 3*limit))
	if n := s.cache.len(); n != 1 {
		t.Errorf("%d entries beside one that is larger than the cache", n)
	}
	put("small", "z")
	var sum int64
	for e := s.cache.oldest; e != nil; e = e.newer {
		sum += int64(e.bytes)
	}
	if sum != s.cache.bytes {
		t.Errorf("reckoned %d bytes, the entries have %d", s.cache.bytes, sum)
	}
	for key, value := range want {
		if got, err := s.Get(key); err != nil || got != value {
			t.Fatalf("%s: %.20v, %v", key, got, err)
		}
	}
}
