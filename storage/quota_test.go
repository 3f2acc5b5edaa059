package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"heddle/storage/engine"
	"heddle/task"
)

// TestQuota: puts are refused when the store is full, and nothing else is; room
// that was made is used again.
func TestQuota(t *testing.T) {
	for _, size := range sizes {
		var log strings.Builder
		spec := loggedSpec("s")
		spec.ValueSerde, spec.QuotaBytes = "string", 10_000
		spec.CacheEntries, spec.WriteBatch = size[0], size[1]
		r := newRig(spec)
		clock := now
		r.options = func(o *Options) {
			o.Now = func() time.Time { return clock }
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		}
		r.start(t)
		s := r.store(t, "s")
		commit := func() {
			clock = clock.Add(measureEvery)
			check(t, r.commit(t, allSteps))
		}
		value := strings.Repeat("v", 96)
		for i := range 75 { // of 100 bytes each
			check(t, s.Put(fmt.Sprintf("k%03d", i), value))
			check(t, s.Put(fmt.Sprintf("k%03d", i), value)) // replaced, not added
			if i%10 == 0 {
				commit()
			}
		}
		commit()
		if strings.Contains(log.String(), "quota") {
			t.Errorf("cache %v: warned at 75 %%: %s", size, log.String())
		}
		for i := 75; i < 82; i++ {
			check(t, s.Put(fmt.Sprintf("k%03d", i), value))
			commit()
		}
		if got := strings.Count(log.String(), "heddle.stores.s.quota.bytes"); got != 1 {
			t.Errorf("cache %v: %d warnings: %s", size, got, log.String())
		}
		var err error
		put := 82
		for ; put < 200; put++ {
			if err = s.Put(fmt.Sprintf("k%03d", put), value); err != nil {
				break
			}
			commit()
		}
		if !errors.Is(err, task.ErrOverQuota) || put != 100 {
			t.Fatalf("cache %v: put %d: %v", size, put, err)
		}
		for _, part := range []string{`store "s"`, `key "k100"`, "takes 10000 bytes and may take 10000", "heddle.stores.s.quota.bytes"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error lacks %q: %v", part, err)
			}
		}
		if v, err := s.Get("k099"); err != nil || v != value {
			t.Errorf("cache %v: %v, %v", size, v, err)
		}
		commit()
		check(t, s.Delete("k000"))
		check(t, s.Delete("k001"))
		commit()
		check(t, s.Put("k100", value))
		commit()
		if got := len(contents(t, s)); got != 99 {
			t.Errorf("cache %v: %d entries", size, got)
		}
		r.crash(t)
		r.start(t) // the state of a full store is restored like any other
		if got := len(contents(t, r.store(t, "s"))); got != 99 {
			t.Errorf("cache %v: %d entries after a restart", size, got)
		}
		r.end(t)
	}
}

// TestQuotaOnDisk: with a real engine the size of its files counts, and what
// deletions free.
func TestQuotaOnDisk(t *testing.T) {
	spec := loggedSpec("s")
	spec.Engine, spec.ValueSerde, spec.QuotaBytes = engine.Pebble, "string", 16<<20
	spec.WriteBufferBytes = 1 << 20
	r := newRig(spec)
	r.base = t.TempDir()
	clock := now
	r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
	r.start(t)
	s := r.store(t, "s")
	var err error
	n := 0
	for seed := uint64(1); n < 100_000 && err == nil; n++ {
		var b strings.Builder
		for range 32 { // does not compress
			seed = seed*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&b, "%016x", seed)
		}
		if err = s.Put(fmt.Sprintf("k%06d", n), b.String()); err == nil && n%1000 == 0 {
			clock = clock.Add(time.Second)
			check(t, r.commit(t, allSteps))
		}
	}
	if !errors.Is(err, task.ErrOverQuota) || n < 8_000 {
		t.Fatalf("%d puts: %v", n, err)
	}
	if got := r.set.stores[0].size(); got > 20<<20 || got < 12<<20 {
		t.Errorf("%d bytes on disk", got)
	}
	r.end(t)
}

func TestQuotaWarnings(t *testing.T) {
	q := quota{limit: 1000}
	for i, step := range []struct {
		size int64
		want bool
	}{{0, false}, {799, false}, {800, true}, {900, false}, {750, false}, {900, false}, {699, false}, {800, true}, {1200, false}} {
		if got := q.measured(step.size); got != step.want {
			t.Errorf("step %d, %d: %v", i, step.size, got)
		}
	}
	none := quota{}
	if none.measured(1 << 40) {
		t.Error("a warning without a quota")
	}
}
