package storage

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"heddle/storage/engine"
	_ "heddle/storage/engine/pebble"
	"heddle/storage/local"
	"heddle/system"
	"heddle/task"
)

// heap is what the process holds after a collection, in MiB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// bigLog is a changelog of many records that are made as they are read: it
// takes no memory of its own.
type bigLog struct {
	system.System
	records  int64
	peak     float64
	readings int
}

const (
	bigValue = 200
	bigBatch = 1000
)

func bigRecord(i int64) (key, value []byte) {
	value = make([]byte, bigValue)
	binary.BigEndian.PutUint64(value, uint64(i))
	return fmt.Appendf(nil, "key %09d", i*7919%1_000_003), value
}

func (b *bigLog) Read(ctx context.Context, _ string, _ int32, from, to int64, each func([]task.Message) error) (int64, error) {
	for at := from; at < to; {
		var batch []task.Message
		for range min(bigBatch, to-at) {
			key, value := bigRecord(at)
			batch = append(batch, task.Message{Offset: at, KeyBytes: key, ValueBytes: value})
			at++
		}
		if err := each(batch); err != nil {
			return at, err
		}
		if b.readings++; b.readings%20 == 0 {
			b.peak = max(b.peak, heap())
		}
		if ctx.Err() != nil {
			return at, ctx.Err()
		}
	}
	return to, nil
}

// TestMemoryIsBounded restores, reads and changes a store of some 60 MiB whose
// cache and write buffer are a tenth of that: neither a restore nor a range
// holds memory in proportion to it.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some 100 MiB")
	}
	const (
		records = 300_000
		// bound, in MiB over what there was before: four times the write buffer may be
		// pending, three of them wait to become files, and the cache of blocks.
		bound = 52
	)
	spec := loggedSpec("counts")
	spec.Engine, spec.ValueSerde = engine.Pebble, ""
	spec.CacheEntries, spec.WriteBatch = 1000, 500
	spec.CacheBytes, spec.WriteBufferBytes = 4<<20, 4<<20
	before := heap()
	base := t.TempDir()
	log := &bigLog{records: records}
	set, err := Open([]Spec{spec}, Options{
		TaskName: "Partition 1", ChangelogPartition: 1, Now: func() time.Time { return now },
		Outbox:  func(string) (system.Outbox, error) { return forgetful{}, nil },
		Folders: &local.Job{Base: base, Name: "counts", ID: "1"},
		Ends: func(context.Context, system.StreamID) ([]system.Ends, error) {
			e := system.Ends{Stable: records, Next: records}
			return []system.Ends{e, e}, nil
		},
	})
	check(t, err)
	targets := map[string]Target{"counts": {Offset: offsetText(records - 1), Committed: now}}
	check(t, set.Restore(context.Background(), map[string]system.System{"kafka": log}, targets, nil))
	t.Logf("restore of %d records: at most %.1f MiB over %.1f MiB", records, log.peak-before, before)
	if log.peak-before > bound {
		t.Errorf("a restore takes %.1f MiB", log.peak-before)
	}
	s, err := set.Store("counts")
	check(t, err)
	n, peak, last := 0, 0.0, ""
	for e := range s.All() {
		check(t, e.Err)
		if key := e.Key.(string); key <= last {
			t.Fatalf("%q after %q", key, last)
		} else {
			last = strings.Clone(key)
		}
		if n++; n%20_000 == 0 {
			peak = max(peak, heap())
			// What is written meanwhile is not seen, and does not pile up.
			for i := range 1000 {
				check(t, s.Put(fmt.Sprintf("new %09d", n+i), make([]byte, bigValue)))
			}
		}
	}
	t.Logf("a range over %d entries: at most %.1f MiB over %.1f MiB", n, peak-before, before)
	if n != records || peak-before > bound {
		t.Errorf("a range over %d of %d entries takes %.1f MiB", n, records, peak-before)
	}
	peak = 0
	for i := range 150_000 {
		key, value := bigRecord(int64(i))
		var old []byte
		ok, err := s.GetInto(string(key), &old)
		check(t, err)
		if !ok || len(old) != bigValue {
			t.Fatalf("%s: %v, %d bytes", key, ok, len(old))
		}
		check(t, s.Put(string(key), value))
		if i%15_000 == 0 {
			peak = max(peak, heap())
		}
	}
	t.Logf("gets and puts between two commits: at most %.1f MiB over %.1f MiB", peak-before, before)
	if peak-before > bound {
		t.Errorf("gets and puts take %.1f MiB", peak-before)
	}
	check(t, set.Close())
}

// forgetful is a way out that forgets what it is given.
type forgetful struct{ system.Outbox }

func (forgetful) Send(system.Record) error          { return nil }
func (forgetful) Flush(context.Context) error       { return nil }
func (forgetful) Acked(string, int32) (int64, bool) { return 0, false }
