package storage

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
)

// sink takes the records of a changelog and forgets them.
type sink struct{ sent int64 }

func (s *sink) Partitions(context.Context, string) (int32, error) { return 1, nil }
func (s *sink) Send(system.Record) error                          { s.sent++; return nil }
func (s *sink) Flush(context.Context) error                       { return nil }
func (s *sink) Acked(string, int32) (int64, bool)                 { return s.sent - 1, s.sent > 0 }
func (s *sink) Close() error                                      { return nil }

// BenchmarkMisses counts by 250,000 keys in no order, in a store on disk with a cache
// for a tenth of them and a commit after each 40,000 records: what a task of the
// workload count-cache does, but for what Kafka and JSON take. The processor time of
// flushes and compactions is in it.
func BenchmarkMisses(b *testing.B) {
	const keys, every = 250_000, 40_000
	spec := loggedSpec("counts")
	spec.Engine, spec.CacheEntries = engine.Pebble, keys/10
	spec.CacheBytes = 100 << 20 // stores.counts.container.cache.size.bytes
	out := &sink{}
	set, err := Open([]Spec{spec}, Options{
		TaskName: "Partition 0", Outbox: func(string) (system.Outbox, error) { return out, nil }, Tasks: 4,
		Folders: &local.Job{Base: b.TempDir(), Name: "counts", ID: "1", Logger: slog.New(slog.DiscardHandler)},
		Ends: func(context.Context, system.StreamID) ([]system.Ends, error) {
			return []system.Ends{{}}, nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := set.Close(); err != nil {
			b.Error(err)
		}
	}()
	if err := set.Restore(context.Background(), nil, nil, nil); err != nil {
		b.Fatal(err)
	}
	s, err := set.Store("counts")
	if err != nil {
		b.Fatal(err)
	}
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("user-%08d", i*4)
	}
	random := rand.New(rand.NewPCG(1, 2))
	n := 0
	one := func(key string) {
		var count int64
		if _, err := s.GetInto(key, &count); err != nil {
			b.Fatal(err)
		}
		if err := s.Put(key, count+1); err != nil {
			b.Fatal(err)
		}
		if n++; n%every > 0 {
			return
		}
		if err := set.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := set.Committed(context.Background(), Commit{Checkpoint: "1", Began: time.Now()}); err != nil {
			b.Fatal(err)
		}
	}
	for _, key := range names {
		one(key)
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := processorTime()
	for range b.N {
		one(names[random.IntN(keys)])
	}
	b.StopTimer()
	b.ReportMetric(float64((processorTime()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what the process has used of processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
