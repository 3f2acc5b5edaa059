package pebble

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heddle/storage/engine"
)

// TestRowsHold compares the cache with a map: it may have forgotten, but never
// tells anything but the last value.
func TestRowsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRows(rapid.Int64Range(leastRows, 20*rowChunk).Draw(t, "bytes"))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		keys := rapid.SampledFrom([]int{10, 1000, 20_000}).Draw(t, "keys")
		most := rapid.SampledFrom([]int{8, 200, rowLargest + 100}).Draw(t, "largest value")
		model := map[string]string{}
		for range 30_000 {
			key := fmt.Sprint("key", random.IntN(keys))
			switch random.IntN(10) {
			case 0:
				r.remove(key)
				delete(model, key)
			case 1, 2, 3:
				value := strings.Repeat(string(rune('a'+random.IntN(26))), random.IntN(most))
				r.put(key, []byte(value))
				model[key] = value
			default:
				got, ok := r.get(key)
				want, there := model[key]
				if ok && (!there || string(got) != want) {
					t.Fatalf("%s: %.40q, want %.40q, %v", key, got, want, there)
				}
			}
		}
		if len(r.chunks) > r.limit || len(r.slots) > r.most {
			t.Fatalf("%d chunks of %d, %d slots of %d", len(r.chunks), r.limit, len(r.slots), r.most)
		}
		r.clear()
		for key := range model {
			if _, ok := r.get(key); ok {
				t.Fatal("something was not forgotten")
			}
		}
	})
}

// TestRowsKeep holds that what fits is there.
func TestRowsKeep(t *testing.T) {
	const n = 20_000
	r := newRows(1 << 20)
	for range 2 {
		for i := range n {
			r.put(fmt.Sprintf("user-%08d", i), []byte("12345678"))
		}
	}
	missing := 0
	for i := range n {
		if _, ok := r.get(fmt.Sprintf("user-%08d", i)); !ok {
			missing++
		}
	}
	if missing > n/20 { // a bucket may be full
		t.Errorf("%d of %d entries of 25 bytes are missing from a mebibyte", missing, n)
	}
	// While the table grows, next to nothing goes.
	r = newRows(32 << 20)
	for i := range 15 * n {
		r.put(fmt.Sprintf("user-%08d", i), []byte("12345678"))
	}
	missing = 0
	for i := range 15 * n {
		if _, ok := r.get(fmt.Sprintf("user-%08d", i)); !ok {
			missing++
		}
	}
	if missing > n*15/50 {
		t.Errorf("%d of %d entries are missing after the table has grown", missing, 15*n)
	}
	if newRows(leastRows-1) != nil {
		t.Error("a cache of next to nothing")
	}
	var none *rows
	none.put("k", nil)
	none.remove("k")
	none.clear()
	if _, ok := none.get("k"); ok {
		t.Error("no cache holds something")
	}
}

// TestRowsAgree drives an engine with such a cache through writes, deletions,
// loads and restarts, and compares each read with a model.
func TestRowsAgree(t *testing.T) {
	o := engine.Options{Dir: t.TempDir(), RowBytes: leastRows, WriteBufferBytes: 64 << 10}
	e := openBench(t, o)
	if e.rows == nil {
		t.Fatal("there is no cache of rows")
	}
	random := rand.New(rand.NewPCG(7, 1))
	model := map[string][]byte{}
	key := func() string { return fmt.Sprint("key", random.IntN(3000)) }
	value := func() []byte {
		if random.IntN(4) == 0 {
			return nil
		}
		return bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(100))
	}
	set := func(k string, v []byte) {
		if v == nil {
			delete(model, k)
		} else {
			model[k] = v
		}
	}
	for range 60 {
		if random.IntN(10) == 0 {
			l, err := e.Load()
			if err != nil {
				t.Fatal(err)
			}
			for range 200 {
				k, v := key(), value()
				if err := l.Add([]byte(k), v); err != nil {
					t.Fatal(err)
				}
				set(k, v)
			}
			if err := l.Finish([]byte("loaded")); err != nil {
				t.Fatal(err)
			}
		}
		var batch []engine.Write
		for range random.IntN(300) {
			w := engine.Write{Key: key(), Value: value()}
			batch = append(batch, w) // a key may come twice
			set(w.Key, w.Value)
		}
		if err := e.Apply(batch, []byte("applied")); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			k := key()
			got, ok, err := e.Get(nil, k)
			if want, there := model[k]; err != nil || ok != there || !bytes.Equal(got, want) {
				t.Fatalf("%s: %q, %v, %v; want %q, %v", k, got, ok, err, want, there)
			}
		}
	}
}
