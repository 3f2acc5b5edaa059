package storage

import (
	"context"
	"fmt"
	"testing"

	"heddle/system"
	"heddle/task"
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
			s := plain(b, unlogged("string", "long", bench.cache, Unlimited))
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
	s := plain(b, unlogged("string", "long", Unlimited, Unlimited))
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
	s := plain(b, unlogged("string", "long", Unlimited, Unlimited))
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

// history is a system whose changelog holds a million records of 100,000 keys.
type history struct{ system.System }

const historyLength = 1_000_000

func (history) Read(_ context.Context, _ string, _ int32, from, to int64, each func([]task.Message) error) (int64, error) {
	batch := make([]task.Message, 0, 500)
	for at := from; at < to; at++ {
		batch = append(batch, task.Message{Offset: at, KeyBytes: fmt.Appendf(nil, "user-%08d", at*7919%100_000), ValueBytes: []byte("12345678")})
		if len(batch) == cap(batch) || at+1 == to {
			if err := each(batch); err != nil {
				return at, err
			}
			batch = batch[:0]
		}
	}
	return to, nil
}

func BenchmarkRestore(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		set, err := Open([]Spec{loggedSpec("counts")}, Options{
			Outbox: func(string) (system.Outbox, error) { return &holder{}, nil },
			Ends: func(context.Context, system.StreamID) ([]system.Ends, error) {
				return []system.Ends{{Next: historyLength, Stable: historyLength}}, nil
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := set.Restore(context.Background(), map[string]system.System{"kafka": history{}}, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(historyLength*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
