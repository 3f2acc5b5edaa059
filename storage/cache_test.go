package storage

import (
	"fmt"
	"testing"
)

// TestCacheKeepsWhatIsUsed holds the cache to its bound and to what SIEVE
// promises: what is asked for again and again outlives what passes by once.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache(10)
	get := func(key string) bool {
		if e := c.entries[key]; e != nil {
			e.seen = true
			return true
		}
		for c.full() {
			c.remove(c.victim())
		}
		c.add(key)
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
