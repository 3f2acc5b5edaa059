package storage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// TestCrashes drives a store with random operations, commits that are cut off
// at any step, records that are refused, and restarts: after each restart the
// store is what the last whole commit left, whatever the size of the cache, and
// with either guarantee.
func TestCrashes(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		spec := loggedSpec("counts")
		spec.Engine = rapid.SampledFrom([]string{engine.Memory, diskEngine}).Draw(t, "engine")
		spec.CacheEntries = rapid.SampledFrom([]int{0, 1, 3, Unlimited}).Draw(t, "cache")
		spec.WriteBatch = rapid.SampledFrom([]int{0, 1, 2, Unlimited}).Draw(t, "batch")
		objects := rapid.SampledFrom([]int64{0, 1, 400, 1000}).Draw(t, "object bytes")
		spec.ValueSerde = rapid.SampledFrom([]string{"long", "json", "string", ""}).Draw(t, "serde")
		value := func(n int64) (put any, shown string) {
			switch spec.ValueSerde {
			case "string":
				return fmt.Sprint("v", n), fmt.Sprint("v", n)
			case "":
				b := []byte{byte(n)}
				return b, fmt.Sprint(b)
			case "json":
				if n%2 == 0 {
					return map[string]any{"n": n}, fmt.Sprint(map[string]any{"n": n})
				}
			}
			return n, fmt.Sprint(n)
		}
		r := newRig(spec)
		r.exactly = rapid.Bool().Draw(t, "exactly once")
		var undone atomic.Int64
		r.progress = func(p Progress) { undone.Store(max(undone.Load(), p.Undone)) }
		theDisks.reset()
		keep := rapid.Float64Range(0, 1).Draw(t, "kept")
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		theDisks.keep = func() bool { return chance.Float64() < keep }
		if spec.Engine == diskEngine {
			r.base = outer.TempDir()
		}
		// Small enough that it is spilled between commits, now and then.
		buffer := rapid.SampledFrom([]int64{150, 500, 1 << 20}).Draw(t, "write buffer")
		r.options = func(o *Options) { o.testBuffer, o.testObjects = buffer, objects }
		committed := map[string]string{} // by the model
		current := map[string]string{}
		sealed := false // there is a checkpoint
		r.start(t)
		check := func() {
			if got := contents(t, r.store(t, "counts")); !maps.Equal(got, current) {
				t.Fatalf("the store holds %v, the model %v", got, current)
			}
		}
		restart := func() {
			r.broker.SetFaults(memory.Faults{})
			switch how := rapid.SampledFrom([]string{"crash", "end", "move"}).Draw(t, "how"); {
			case how == "crash":
				r.crash(t)
			case how == "end" || r.base == "":
				r.end(t)
			default: // to another host
				r.crash(t)
				r.base = outer.TempDir()
			}
			r.start(t)
			if !sealed {
				// Nothing was ever committed: what there is counts.
				committed = contents(t, r.store(t, "counts"))
				if r.exactly && len(committed) > 0 {
					t.Fatalf("nothing was committed, but the store holds %v", committed)
				}
			}
			current = maps.Clone(committed)
			check()
		}
		commit := func(t *rapid.T, steps int) {
			err := r.commit(t, steps)
			if err == nil && steps >= allSteps-1 {
				committed, sealed = maps.Clone(current), true
			}
			if err != nil {
				restart()
			}
		}
		// The container commits at once after a restore.
		commit(t, allSteps)
		key := rapid.StringMatching(`[a-e]`)
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"put": func(t *rapid.T) {
				k, n := key.Draw(t, "key"), rapid.Int64Range(0, 100).Draw(t, "value")
				v, shown := value(n)
				if err := r.store(t, "counts").Put(k, v); err != nil {
					restart()
					return
				}
				current[k] = shown
			},
			"delete": func(t *rapid.T) {
				k := key.Draw(t, "key")
				if err := r.store(t, "counts").Delete(k); err != nil {
					restart()
					return
				}
				delete(current, k)
			},
			"put all": func(t *rapid.T) {
				s := r.store(t, "counts")
				// A snapshot must not see it.
				before, err := s.Snapshot(nil, nil)
				if err != nil {
					restart()
					return
				}
				defer func() { _ = before.Close() }()
				seen := maps.Clone(current)
				var all []task.Entry
				after := maps.Clone(current)
				for range rapid.IntRange(0, 4).Draw(t, "entries") {
					k, n := key.Draw(t, "key"), rapid.Int64Range(-30, 100).Draw(t, "value")
					if n < 0 {
						all = append(all, task.Entry{Key: k})
						delete(after, k)
						continue
					}
					v, shown := value(n)
					all = append(all, task.Entry{Key: k, Value: v})
					after[k] = shown
				}
				if err := s.PutAll(all); err != nil {
					restart()
					return
				}
				current = after
				got := map[string]string{}
				for e := range before.Entries() {
					if e.Err != nil {
						t.Fatalf("snapshot: %v", e.Err)
					}
					got[fmt.Sprint(e.Key)] = fmt.Sprint(e.Value)
				}
				if !maps.Equal(got, seen) {
					t.Fatalf("the snapshot holds %v, the model held %v", got, seen)
				}
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				v, err := r.store(t, "counts").Get(k)
				if err != nil {
					restart()
					return
				}
				want, ok := current[k]
				if (v != nil) != ok || ok && fmt.Sprint(v) != want {
					t.Fatalf("get %q: %v, the model has %q, %v", k, v, want, ok)
				}
			},
			"all": func(t *rapid.T) {
				if r.store(t, "counts").Flush() != nil {
					restart()
					return
				}
				check()
			},
			"commit":             func(t *rapid.T) { commit(t, allSteps) },
			"commit, cut off":    func(t *rapid.T) { commit(t, rapid.IntRange(0, allSteps-1).Draw(t, "steps")); restart() },
			"crash":              func(*rapid.T) { restart() },
			"refuse a record":    func(t *rapid.T) { refuse(r, rapid.IntRange(0, 3).Draw(t, "after")) },
			"leave a gap":        func(*rapid.T) { _ = r.broker.Skip("counts-changelog", changelogPartition, 1) },
			"compact":            func(*rapid.T) { compact(r) },
			"another task write": func(*rapid.T) { _, _ = r.broker.Append("counts-changelog", 0, []byte("a"), []byte("other")) },
		})
		r.broker.SetFaults(memory.Faults{})
		restart()
		// Exactly-once readers of committed records find nothing behind the last
		// commit, so a restart has nothing to undo.
		if n := undone.Load(); r.exactly && n > 0 {
			t.Fatalf("%d records were undone", n)
		}
	})
}

// refuse lets the broker refuse the record after the next n.
func refuse(r *rig, n int) {
	r.broker.SetFaults(memory.Faults{Ack: func(string, system.Record) error {
		if n--; n < 0 {
			return errors.New("refused")
		}
		return nil
	}})
}

// compact removes what compaction may: records of the committed state that
// have a later one of the same key in it.
func compact(r *rig) {
	target := r.targets["counts"].Offset
	seen := map[string]bool{}
	records := r.broker.Records("counts-changelog", changelogPartition)
	for i := len(records) - 1; i >= 0; i-- {
		if target == "" || fmt.Sprintf("%020s", offsetText(records[i].Offset)) > fmt.Sprintf("%020s", target) {
			continue
		}
		if key := string(records[i].Key); seen[key] {
			_ = r.broker.Remove("counts-changelog", changelogPartition, records[i].Offset)
		} else {
			seen[key] = true
		}
	}
}
