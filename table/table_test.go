package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// remote is a store elsewhere: it takes a time for each call and can be told to
// fail.
type remote struct {
	mu    sync.Mutex
	data  map[string]int
	took  time.Duration
	calls [][]string
	fail  []error // of the next calls; nil: none
}

func (r *remote) begin(ctx context.Context, keys []string) error {
	r.mu.Lock()
	sorted := slices.Sorted(slices.Values(keys))
	r.calls = append(r.calls, sorted)
	var err error
	if len(r.fail) > 0 {
		err, r.fail = r.fail[0], r.fail[1:]
	}
	r.mu.Unlock()
	if len(slices.Compact(slices.Clone(sorted))) != len(keys) {
		return fmt.Errorf("keys come twice: %v", sorted)
	}
	if r.took > 0 {
		select {
		case <-time.After(r.took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (r *remote) read(ctx context.Context, keys []string) (map[string]int, error) {
	if err := r.begin(ctx, keys); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for _, k := range keys {
		if v, ok := r.data[k]; ok {
			out[k] = v
		}
	}
	return out, nil
}

func (r *remote) write(ctx context.Context, changes []Change[string, int]) error {
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = c.Key
	}
	if err := r.begin(ctx, keys); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		if c.Delete {
			delete(r.data, c.Key)
		} else {
			r.data[c.Key] = c.Value
		}
	}
	return nil
}

func newTable(t *testing.T, r *remote, o Options) *Table[string, int] {
	t.Helper()
	o.Name = "users"
	table, err := New(r.read, r.write, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestGetAsksOnceAndRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{data: map[string]int{"a": 1, "b": 2}}
		table := newTable(t, r, Options{CacheEntries: 10, CacheTTL: time.Minute})
		for range 3 {
			got, err := table.GetAll(t.Context(), "a", "c", "a")
			if err != nil || !maps.Equal(got, map[string]int{"a": 1}) {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		if len(r.calls) != 1 {
			t.Errorf("calls %v, want one: an absent key is remembered, too", r.calls)
		}
		time.Sleep(2 * time.Minute) //nolint:forbidigo // the bubble's clock
		r.data["a"] = 5
		if v, ok, err := table.Get(t.Context(), "a"); v != 5 || !ok || err != nil {
			t.Errorf("after the TTL: %v %v %v", v, ok, err)
		}
		if c := table.Counts(); c.Hits != 4 || c.Misses != 3 || c.Calls != 2 || c.Keys != 3 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestConcurrentGetsShareCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{data: map[string]int{}, took: time.Second}
		for i := range 10 {
			r.data[fmt.Sprint(i)] = i
		}
		table := newTable(t, r, Options{BatchSize: 4, BatchWait: 10 * time.Millisecond})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				v, ok, err := table.Get(t.Context(), fmt.Sprint(i%10))
				if err != nil || !ok || v != i%10 {
					t.Errorf("%d: %v %v %v", i, v, ok, err)
				}
			})
		}
		wg.Wait()
		n := 0
		for _, c := range r.calls {
			if n += len(c); len(c) > 4 {
				t.Errorf("a call of %d keys", len(c))
			}
		}
		if len(r.calls) != 3 || n != 10 {
			t.Errorf("calls %v, want 3 with each key once", r.calls)
		}
	})
}

func TestWithoutAWaitKeysGatherWhileACallIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{data: map[string]int{}, took: time.Second}
		table := newTable(t, r, Options{})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { _, _, _ = table.Get(t.Context(), fmt.Sprint(i)) })
			synctest.Wait()
		}
		wg.Wait()
		if len(r.calls) != 2 || len(r.calls[0]) != 1 || len(r.calls[1]) != 4 {
			t.Errorf("calls %v, want one of the first key and one of the others", r.calls)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestRetry(t *testing.T) {
	flaky, bad := errors.New("busy"), errors.New("no such column")
	for _, c := range []struct {
		name  string
		fail  []error
		retry Retry
		calls int
		want  error
	}{
		{"not by default", []error{flaky}, Retry{}, 1, flaky},
		{"until it works", []error{flaky, flaky}, Retry{Attempts: 5}, 3, nil},
		{"no more than that", []error{flaky, flaky, flaky}, Retry{Attempts: 3}, 3, flaky},
		{"only what is worth it", []error{flaky, bad}, Retry{Attempts: 5, If: func(err error) bool { return !errors.Is(err, bad) }}, 2, bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &remote{data: map[string]int{"a": 1}, fail: c.fail}
				_, _, err := newTable(t, r, Options{Retry: c.retry}).Get(t.Context(), "a")
				if !errors.Is(err, c.want) || len(r.calls) != c.calls {
					t.Errorf("%v after %d calls, want %v after %d", err, len(r.calls), c.want, c.calls)
				}
				if err != nil && !strings.Contains(err.Error(), `table "users": read key "a"`) {
					t.Errorf("error %q does not name table and key", err)
				}
			})
		})
	}
}

func TestPause(t *testing.T) {
	r := Retry{Attempts: 6, First: time.Second, Most: 5 * time.Second}.withDefaults()
	for attempt, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 5: 5 * time.Second} {
		if got, again := r.pause(attempt, errors.New("x"), 0); !again || got != want {
			t.Errorf("after attempt %d: %v %v, want %v", attempt, got, again, want)
		}
		if got, _ := r.pause(attempt, errors.New("x"), 0.9999); got < want/2 || got > want*51/100 {
			t.Errorf("after attempt %d, at the least: %v", attempt, got)
		}
	}
	if _, again := r.pause(6, errors.New("x"), 0); again {
		t.Error("a seventh attempt")
	}
	if _, again := r.pause(1, context.Canceled, 0); again {
		t.Error("another attempt after the caller gave up")
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{data: map[string]int{}}
		table := newTable(t, r, Options{KeysPerSecond: 10, Burst: 10})
		began := time.Now()
		keys := make([]string, 50)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		if _, err := table.GetAll(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("50 keys at 10/s with a burst of 10 took %v, want 4s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := table.Put(ctx, "a", 1); err == nil || !strings.Contains(err.Error(), "rate of 10 keys/s") {
			t.Errorf("error %v does not name the rate", err)
		}
	})
}

func TestWhoGivesUpDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{data: map[string]int{"a": 1}, took: time.Second}
		table := newTable(t, r, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := table.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if v, _, err := table.Get(t.Context(), "a"); v != 1 || err != nil {
				t.Errorf("the other got %v, %v", v, err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if len(r.calls) != 1 {
			t.Errorf("calls %v", r.calls)
		}
		// Nobody waits: the call itself ends.
		ctx, cancel = context.WithCancel(t.Context())
		wg.Go(func() { _, _, _ = table.Get(ctx, "b") })
		synctest.Wait()
		began := time.Now()
		cancel()
		wg.Wait()
		synctest.Wait()
		if !time.Now().Equal(began) || table.Counts().Failures != 1 {
			t.Errorf("the call went on: %v, %+v", time.Since(began), table.Counts())
		}
	})
}

func TestApply(t *testing.T) {
	r := &remote{data: map[string]int{"d": 4}}
	table := newTable(t, r, Options{BatchSize: 2, CacheEntries: 10})
	err := table.Apply(t.Context(), []Change[string, int]{
		{Key: "a", Value: 1}, {Key: "b", Value: 2}, {Key: "a", Value: 3}, {Key: "d", Delete: true},
	})
	if err != nil || !maps.Equal(r.data, map[string]int{"a": 3, "b": 2}) {
		t.Fatalf("%v, %v", r.data, err)
	}
	if fmt.Sprint(r.calls) != "[[a b] [d]]" {
		t.Errorf("calls %v", r.calls)
	}
	if got, err := table.GetAll(t.Context(), "a", "b", "d"); err != nil || !maps.Equal(got, r.data) || len(r.calls) != 2 {
		t.Errorf("what was written is not known: %v %v, %d calls", got, err, len(r.calls))
	}
	r.fail = []error{errors.New("refused")}
	if err := table.Put(t.Context(), "a", 9); err == nil || !strings.Contains(err.Error(), `write key "a": refused`) {
		t.Errorf("error %v", err)
	}
	if v, _, _ := table.Get(t.Context(), "a"); v != 3 || len(r.calls) != 4 {
		t.Errorf("after a failed write the cache answered %d", v)
	}
	only, err := New(r.read, nil, Options{Name: "users"})
	if err != nil {
		t.Fatal(err)
	}
	if err := only.Delete(t.Context(), "a"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a table without Write: %v", err)
	}
}

// TestTheCacheNeverHoldsWhatAWriteReplaced reads and writes in many
// interleavings: when all is quiet, cache and store agree.
func TestTheCacheNeverHoldsWhatAWriteReplaced(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
			r := &remote{data: map[string]int{}, took: 10 * time.Millisecond}
			for range 200 {
				var err error
				if random.IntN(5) == 0 {
					err = errors.New("x")
				}
				r.fail = append(r.fail, err)
			}
			table := newTable(t, r, Options{CacheEntries: 100, BatchSize: 3, BatchWait: time.Duration(random.IntN(2)) * 5 * time.Millisecond})
			var wg sync.WaitGroup
			for g := range 4 {
				own := rand.New(rand.NewPCG(seed, uint64(g))) //nolint:gosec // repeatable
				wg.Go(func() {
					for i := range 20 {
						time.Sleep(time.Duration(own.IntN(20)) * time.Millisecond) //nolint:forbidigo // the bubble's clock
						key := fmt.Sprint(own.IntN(3))
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(own.IntN(40))*time.Millisecond)
						switch own.IntN(4) {
						case 0:
							_ = table.Put(ctx, key, g*100+i)
						case 1:
							_ = table.Delete(ctx, key)
						default:
							_, _, _ = table.Get(ctx, key)
						}
						cancel()
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			for k := range 3 {
				key := fmt.Sprint(k)
				if f, ok := table.cache.Peek(key); ok {
					if v, there := r.data[key]; f.ok != there || f.value != v && there {
						t.Errorf("seed %d: key %s is %v in the cache, %d (%v) in the store", seed, key, f, v, there)
					}
				}
			}
		})
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	r := &remote{}
	for _, o := range []Options{{KeysPerSecond: -1}, {BatchSize: -1}, {Burst: -1}, {CacheEntries: -1}, {BatchWait: -1}, {CacheTTL: -1},
		{Retry: Retry{Attempts: -1}}, {Retry: Retry{First: 2, Most: 1}}} {
		o.Name = "users"
		if _, err := New(r.read, r.write, o); err == nil || !strings.Contains(err.Error(), `table "users"`) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := New[string, int](nil, r.write, Options{}); err == nil {
		t.Error("a table that nobody can read")
	}
}
