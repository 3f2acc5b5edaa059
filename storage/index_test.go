package storage

import (
	"testing"

	"pgregory.net/rapid"
)

// TestIndex compares with a map while places come and go: hashes that are the same,
// that follow each other, that lie at the end of the table, that are zero.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOfN(rapid.OneOf(rapid.Uint32Range(0, 40), rapid.Uint32Range(1<<32-20, 1<<32-1), rapid.Uint32()), 1, 60).Draw(t, "hashes")
		var x index
		model := map[int]uint32{} // hash by place
		holds := func(hash uint32, at int) bool {
			return x.find(hash, func(got int) bool { return got == at }) == at
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			at := rapid.IntRange(0, 100).Draw(t, "place")
			if hash, there := model[at]; there {
				x.remove(hash, at)
				delete(model, at)
				if holds(hash, at) {
					t.Fatalf("place %d is still there", at)
				}
			} else {
				hash = rapid.SampledFrom(hashes).Draw(t, "hash")
				x.add(hash, at)
				model[at] = hash
			}
			if x.used != len(model) {
				t.Fatalf("%d in use, want %d", x.used, len(model))
			}
			for at, hash := range model {
				if !holds(hash, at) {
					t.Fatalf("place %d of hash %d is lost", at, hash)
				}
			}
		}
		x.clear()
		for at, hash := range model {
			if holds(hash, at) {
				t.Fatal("something is left")
			}
		}
	})
}

// TestCacheKeepsItsPlaces takes out several entries at a time, as a value that grows
// does, and finds all others by their keys.
func TestCacheKeepsItsPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCache(Unlimited)
		model := map[string]*entry{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "evict") {
				for range rapid.IntRange(0, min(4, len(model))).Draw(t, "many") {
					e := c.victim()
					delete(model, e.key)
					c.remove(e)
				}
			} else {
				key := rapid.StringMatching("[a-d]{1,3}").Draw(t, "key")
				e, hash := c.get(key)
				if e != model[key] {
					t.Fatalf("%q: %v, want %v", key, e, model[key])
				}
				if e == nil {
					model[key] = c.add(key, hash)
				}
			}
			if c.len() != len(model) || len(c.entries) > len(model)+1 {
				t.Fatalf("%d entries in %d places, want %d", c.len(), len(c.entries), len(model))
			}
			for key, want := range model {
				if e, _ := c.get(key); e != want || e.key != key || c.entries[e.place] != e {
					t.Fatalf("%q is not found", key)
				}
			}
		}
	})
}
