package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heddle/storage/engine"
	_ "heddle/storage/engine/pebble"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// timed is a value of the model, and when it was written.
type timed struct {
	shown string
	at    time.Time
}

func alive(m map[string]timed, ttl time.Duration, at time.Time) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if at.Sub(v.at) < ttl {
			out[k] = v.shown
		}
	}
	return out
}

// TestEntriesEnd drives a store with a TTL against a model, through commits,
// crashes, other hosts and a topic that drops what has ended: what it gives is
// what was written within the TTL, whatever the cache, the engine and the way
// back from a crash.
func TestEntriesEnd(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		const ttl = 100 * time.Second
		spec := loggedSpec("counts")
		spec.Engine = rapid.SampledFrom([]string{engine.Memory, diskEngine, engine.Pebble}).Draw(t, "engine")
		spec.CacheEntries = rapid.SampledFrom([]int{0, 1, Unlimited}).Draw(t, "cache")
		spec.WriteBatch = rapid.SampledFrom([]int{0, 2, Unlimited}).Draw(t, "batch")
		spec.TTL, spec.Policy.ByAge = ttl, true
		r := newRig(spec)
		theDisks.reset()
		clock := now
		r.base = outer.TempDir()
		r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
		r.start(t)
		if err := r.commit(t, allSteps); err != nil {
			t.Fatal(err)
		}
		committed, current := map[string]timed{}, map[string]timed{}
		check := func(m map[string]timed) {
			if got, want := contents(t, r.store(t, "counts")), alive(m, ttl, clock); !maps.Equal(got, want) {
				t.Fatalf("the store holds %v, the model %v", got, want)
			}
		}
		key := rapid.StringMatching(`[a-c]`)
		look := rapid.Bool().Draw(t, "look")
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				for _, k := range []string{"a", "b", "c"} {
					if !look {
						return
					}
					v, err := r.store(t, "counts").Get(k)
					if want, ok := alive(current, ttl, clock)[k]; err != nil || (v != nil) != ok || ok && fmt.Sprint(v) != want {
						t.Fatalf("get %q: %v, %v; the model has %q, %v", k, v, err, want, ok)
					}
				}
			},
			"put": func(t *rapid.T) {
				k, n := key.Draw(t, "key"), rapid.Int64Range(0, 100).Draw(t, "value")
				if err := r.store(t, "counts").Put(k, n); err != nil {
					t.Fatal(err)
				}
				current[k] = timed{fmt.Sprint(n), clock}
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if err := r.store(t, "counts").Delete(k); err != nil {
					t.Fatal(err)
				}
				delete(current, k)
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				v, err := r.store(t, "counts").Get(k)
				want, ok := alive(current, ttl, clock)[k]
				if err != nil || (v != nil) != ok || ok && fmt.Sprint(v) != want {
					t.Fatalf("get %q: %v, %v; the model has %q, %v", k, v, err, want, ok)
				}
			},
			"commit, cut off": func(t *rapid.T) {
				if err := r.commit(t, 2); err != nil { // up to the changelog
					t.Fatal(err)
				}
			},
			"all": func(*rapid.T) { check(current) },
			"wait": func(t *rapid.T) {
				clock = clock.Add(time.Duration(rapid.SampledFrom([]int{1, 40, 99, 100}).Draw(t, "seconds")) * time.Second)
			},
			"commit": func(t *rapid.T) {
				if err := r.commit(t, allSteps); err != nil {
					t.Fatal(err)
				}
				committed = maps.Clone(current)
				v, err := r.set.View("counts", false)
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for it := v.Range("", ""); it.Next(); {
					n++
				}
				if want := len(alive(committed, ttl, clock)); n != want {
					t.Fatalf("the committed state shows %d entries, the model has %d", n, want)
				}
			},
			"retention": func(t *rapid.T) {
				for _, rec := range r.broker.Records("counts-changelog", changelogPartition) {
					if clock.Sub(time.UnixMilli(rec.Timestamp)) < ttl || rapid.IntRange(0, 9).Draw(t, "stays") == 0 {
						break
					}
					if err := r.broker.Trim("counts-changelog", changelogPartition, rec.Offset+1); err != nil {
						t.Fatal(err)
					}
				}
			},
			"retention of all": func(t *rapid.T) {
				// The active segment goes, too, when all of it has ended.
				records := r.broker.Records("counts-changelog", changelogPartition)
				if n := len(records); n > 0 && clock.Sub(time.UnixMilli(records[n-1].Timestamp)) >= ttl {
					if err := r.broker.Trim("counts-changelog", changelogPartition, records[n-1].Offset+1); err != nil {
						t.Fatal(err)
					}
				}
			},
			"restart": func(t *rapid.T) {
				// Pebble writes what it has when it is closed, so only an end can be had
				// of it here.
				switch how := rapid.SampledFrom([]string{"crash", "move", "end"}).Draw(t, "how"); {
				case how == "end" || spec.Engine == engine.Pebble && how == "crash":
					r.end(t)
				case how == "crash":
					r.crash(t)
				default:
					r.crash(t)
					r.base = outer.TempDir()
				}
				r.start(t)
				current = maps.Clone(committed)
				check(current)
				if err := r.commit(t, allSteps); err != nil {
					t.Fatal(err)
				}
			},
		})
		r.end(t)
	})
}

// TestEndedEntriesLeaveTheEngine: what has ended is gone from the engine within
// another TTL, however large the store is, and nothing of that stands in the
// changelog.
func TestEndedEntriesLeaveTheEngine(t *testing.T) {
	for _, kind := range []string{engine.Memory, engine.Pebble} {
		const n, ttl = 3*minPiece + 5, time.Hour
		spec := loggedSpec("counts")
		spec.Engine, spec.TTL, spec.Policy.ByAge = kind, ttl, true
		r := newRig(spec)
		r.base = t.TempDir()
		clock := now
		r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
		r.start(t)
		s := r.store(t, "counts")
		for i := range n {
			check(t, s.Put(fmt.Sprintf("k%05d", i), i))
		}
		commit := func() { check(t, r.commit(t, allSteps)) }
		commit()
		clock = clock.Add(ttl / 2)
		check(t, s.Put("k00007", 7)) // lives on
		commit()
		held := func() (n int) {
			for it := r.set.stores[0].engine.Range("", ""); it.Next(); {
				n++
			}
			return n
		}
		if got := held(); got != n {
			t.Fatalf("%s: %d entries before any has ended, want %d", kind, got, n)
		}
		records := len(r.broker.Records("counts-changelog", changelogPartition))
		for range 60 {
			clock = clock.Add(time.Minute)
			commit()
		}
		if got := contents(t, s); len(got) != 0 {
			t.Errorf("%s: %d entries are given", kind, len(got))
		}
		for range 60 {
			clock = clock.Add(time.Minute)
			commit()
		}
		if got := held(); got != 0 {
			t.Errorf("%s: %d entries are held a TTL after their end", kind, got)
		}
		if got := len(r.broker.Records("counts-changelog", changelogPartition)); got != records {
			t.Errorf("%s: %d records of the changelog, then %d", kind, records, got)
		}
		r.end(t)
	}
}

func TestSweeper(t *testing.T) {
	s := newSweeper(newExpiry(time.Hour, nil))
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	steps := []struct {
		minute, want int
		seen         int
		next         string
	}{
		{minute: 0, want: 0},
		{minute: 29, want: 0},
		{minute: 30, want: minPiece, seen: minPiece, next: "k"},
		{minute: 31, want: minPiece, seen: minPiece, next: "m"},
		{minute: 46, want: 2 * minPiece, seen: 1000}, // its whole time has passed
		{minute: 59, want: 0},
		{minute: 60, want: minPiece, seen: minPiece, next: "k"},
		{minute: 75, want: 2*minPiece + 1000, seen: 10},
	}
	for _, st := range steps {
		got := s.piece(at(st.minute))
		if got != st.want {
			t.Errorf("minute %d: %d entries, want %d", st.minute, got, st.want)
		}
		if got > 0 {
			s.looked(st.seen, st.next)
		}
	}
	if newSweeper(nil) != nil || newExpiry(0, nil) != nil || newExpiry(-1, nil) != nil {
		t.Error("there is no TTL, but something is swept")
	}
}

// TestTTLIsSwitchedOn: local state of before has no times and is not used.
func TestTTLIsSwitchedOn(t *testing.T) {
	r := diskRig(t, loggedSpec("counts"))
	clock := now
	r.broker.Now = func() time.Time { return clock }
	r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
	r.start(t)
	check(t, r.store(t, "counts").Put("old", 1))
	check(t, r.commit(t, allSteps))
	clock = clock.Add(time.Minute)
	check(t, r.store(t, "counts").Put("new", 2))
	check(t, r.commit(t, allSteps))
	r.end(t)
	clock = clock.Add(time.Second)
	r.specs[0].TTL = time.Minute
	r.start(t)
	if got := fmt.Sprint(contents(t, r.store(t, "counts"))); got != "map[new:2]" {
		t.Errorf("the records' times count: %s", got)
	}
	check(t, r.commit(t, allSteps))
	r.end(t)
	r.specs[0].TTL = time.Hour // longer: what had not ended lives longer
	clock = clock.Add(30 * time.Minute)
	r.start(t)
	if got := fmt.Sprint(contents(t, r.store(t, "counts"))); got != "map[new:2]" {
		t.Errorf("a longer TTL: %s", got)
	}
	r.end(t)
	r.specs[0].TTL = 0
	r.start(t)
	if got := fmt.Sprint(contents(t, r.store(t, "counts"))); got != "map[new:2 old:1]" {
		t.Errorf("no TTL any more: %s", got)
	}
}

func TestRestoredTimes(t *testing.T) {
	x := newExpiry(time.Minute, nil)
	at := now.UnixMilli()
	for _, tt := range []struct {
		name  string
		value []byte
		at    int64
		want  int64 // 0: gone
	}{
		{"fresh", []byte("v"), at - 1, at - 1},
		{"empty", []byte{}, at - 1, at - 1},
		{"a deletion", nil, at - 1, 0},
		{"nearly ended", []byte("v"), at - 59_999, at - 59_999},
		{"ended", []byte("v"), at - 60_000, 0},
		{"no time", []byte("v"), -1, at},
		{"a fast clock", []byte("v"), at + 5_000, at},
	} {
		got := x.restored(nil, tt.value, tt.at, at)
		if (got == nil) != (tt.want == 0) {
			t.Errorf("%s: %v", tt.name, got)
			continue
		}
		if got == nil {
			continue
		}
		v, stamp, err := unstamp("k", got)
		if err != nil || string(v) != string(tt.value) || stamp != tt.want {
			t.Errorf("%s: %q at %d, %v; want %d", tt.name, v, stamp, err, tt.want)
		}
	}
	if _, _, err := unstamp("k", []byte("short")); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("too short: %v", err)
	}
}

// dropping is a system whose topic drops records between the question where it
// begins and the reading.
type dropping struct {
	system.System
	drop func()
}

func (d *dropping) Read(ctx context.Context, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error) {
	if d.drop != nil {
		d.drop()
		d.drop = nil
	}
	return d.System.Read(ctx, stream, partition, from, to, each)
}

// TestRetentionIsFaster than a restore: it goes on from the first record that is
// there.
func TestRetentionIsFaster(t *testing.T) {
	for _, byAge := range []bool{true, false} {
		spec := loggedSpec("counts")
		spec.TTL, spec.Policy.ByAge = time.Hour, byAge
		r := newRig(spec)
		r.start(t)
		for i := range 10 {
			check(t, r.store(t, "counts").Put(fmt.Sprint(i), i))
		}
		check(t, r.commit(t, allSteps))
		r.end(t)
		sys := memory.New("kafka", r.broker)
		d := &dropping{System: sys, drop: func() { check(t, r.broker.Trim("counts-changelog", changelogPartition, 4)) }}
		set, err := Open(r.specs, Options{TaskName: "Partition 1", ChangelogPartition: changelogPartition, Now: func() time.Time { return now },
			Outbox: func(string) (system.Outbox, error) { return r.out, nil }})
		check(t, err)
		err = set.Restore(context.Background(), map[string]system.System{"kafka": d}, r.targets, nil)
		if !byAge {
			if !errors.Is(err, system.ErrOutOfRange) {
				t.Errorf("of a compacted topic records are missing: %v", err)
			}
			continue
		}
		check(t, err)
		s, _ := set.Store("counts")
		if got := len(contents(t, s)); got != 6 {
			t.Errorf("%d entries, want 6", got)
		}
	}
}

// TestUndoneKeepsItsTime: what is appended to undo a later record ends when the
// committed entry would have ended.
func TestUndoneKeepsItsTime(t *testing.T) {
	spec := loggedSpec("counts")
	spec.TTL, spec.Policy.ByAge = time.Hour, true
	r := newRig(spec)
	clock := now
	r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
	r.start(t)
	check(t, r.store(t, "counts").Put("a", 1))
	check(t, r.commit(t, allSteps))
	clock = clock.Add(40 * time.Minute)
	check(t, r.store(t, "counts").Put("a", 2))
	check(t, r.commit(t, 2))
	r.crash(t)
	r.start(t)
	records := r.broker.Records("counts-changelog", changelogPartition)
	last := records[len(records)-1]
	if len(records) != 3 || last.Timestamp != now.UnixMilli() || last.Value[7] != 1 {
		t.Errorf("%d records, the last is %+v", len(records), last)
	}
	check(t, r.commit(t, allSteps))
	r.crash(t)
	clock = clock.Add(20 * time.Minute)
	r.start(t)
	if got := contents(t, r.store(t, "counts")); len(got) != 0 {
		t.Errorf("after an hour: %v", got)
	}
}

// TestNothingIsLeft: when all records of the committed state have ended and
// gone, what lies behind it is undone all the same.
func TestNothingIsLeft(t *testing.T) {
	for _, disk := range []bool{false, true} {
		spec := loggedSpec("counts")
		spec.TTL, spec.Policy.ByAge = time.Hour, true
		r := newRig(spec)
		if disk {
			r = diskRig(t, spec)
		}
		clock := now
		r.options = func(o *Options) { o.Now = func() time.Time { return clock } }
		r.start(t)
		check(t, r.store(t, "counts").Put("a", 1))
		check(t, r.commit(t, allSteps))
		clock = clock.Add(2 * time.Hour)
		check(t, r.broker.Trim("counts-changelog", changelogPartition, 1))
		check(t, r.store(t, "counts").Put("b", 2))
		check(t, r.commit(t, 2))
		r.crash(t)
		r.start(t)
		if got := contents(t, r.store(t, "counts")); len(got) != 0 {
			t.Errorf("disk %v: %v", disk, got)
		}
		check(t, r.store(t, "counts").Put("c", 3))
		check(t, r.commit(t, allSteps))
		r.crash(t)
		r.start(t)
		if got := fmt.Sprint(contents(t, r.store(t, "counts"))); got != "map[c:3]" {
			t.Errorf("disk %v: %v", disk, got)
		}
		r.end(t)
	}
}
