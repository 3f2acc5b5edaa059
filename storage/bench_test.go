package storage

import (
	"fmt"
	"testing"
)

// BenchmarkCount is what counting by key costs for each record: a get and a
// put of a key in the cache.
func BenchmarkCount(b *testing.B) {
	users := make([]string, 10000)
	for i := range users {
		users[i] = fmt.Sprintf("user-%08d", i)
	}
	for _, bench := range []struct {
		name  string
		cache int
	}{{"cached", Unlimited}, {"cache of a tenth", len(users) / 10}, {"no cache", 0}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			s := plain(b, local("string", "long", bench.cache, Unlimited))
			i := 0
			for b.Loop() {
				user := users[(i*7919)%len(users)]
				i++
				var n int64
				if _, err := s.GetInto(user, &n); err != nil {
					b.Fatal(err)
				}
				if err := s.Put(user, n+1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFlush writes 10,000 changed keys to the engine.
func BenchmarkFlush(b *testing.B) {
	b.ReportAllocs()
	s := plain(b, local("string", "long", Unlimited, Unlimited))
	n := 0
	for b.Loop() {
		n++
		for i := range 10000 {
			if err := s.Put(keys10k[i], n); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/key")
}

var keys10k = func() []string {
	keys := make([]string, 10000)
	for i := range keys {
		keys[i] = fmt.Sprintf("user-%08d", (i*7919)%10000)
	}
	return keys
}()

func BenchmarkAll(b *testing.B) {
	s := plain(b, local("string", "long", Unlimited, Unlimited))
	for i := range 10000 {
		if err := s.Put(keys10k[i], i); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		n := 0
		for e := range s.All() {
			if e.Err != nil {
				b.Fatal(e.Err)
			}
			n++
		}
		if n != 10000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/entry")
}
