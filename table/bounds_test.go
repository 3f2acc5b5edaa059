package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A GetAll of many keys does not become as many calls at once as it has batches.
func TestNoMoreCallsAtOnceThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		tb, err := New(func(_ context.Context, keys []int) (map[int]int, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			out := map[int]int{}
			for _, k := range keys {
				out[k] = k
			}
			return out, nil
		}, nil, Options{BatchSize: 2, Calls: 3})
		if err != nil {
			t.Fatal(err)
		}
		keys := make([]int, 40)
		for i := range keys {
			keys[i] = i
		}
		got, err := tb.GetAll(t.Context(), keys...)
		if err != nil || len(got) != 40 {
			t.Errorf("%d values, %v", len(got), err)
		}
		if most.Load() != 3 {
			t.Errorf("%d calls at once, want 3", most.Load())
		}
	})
}

// Nobody is called for callers who have gone.
func TestACallThatNobodyWaitsForIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := 0
		tb, err := New(func(context.Context, []int) (map[int]int, error) { called++; return nil, nil }, nil, Options{BatchWait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := tb.Get(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if called != 0 || tb.Counts().Calls != 0 {
			t.Errorf("it was called %d times, counted %d", called, tb.Counts().Calls)
		}
	})
}

// A Read that sorts its keys disturbs nobody; -race sees it if it does.
func TestAReadMayChangeItsKeys(t *testing.T) {
	tb, err := New(func(_ context.Context, keys []int) (map[int]int, error) {
		slices.Reverse(keys)
		out := map[int]int{}
		for i, k := range keys {
			out[k] = k
			keys[i] = -1
		}
		return out, nil
	}, func(_ context.Context, changes []Change[int, int]) error {
		clear(changes)
		return nil
	}, Options{CacheEntries: 10})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 == 0 {
					cancel()
				}
				got, err := tb.GetAll(ctx, i, i+1, g)
				if err == nil && (got[i] != i || got[i+1] != i+1 || got[g] != g) {
					t.Errorf("%v", got)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	changes := []Change[int, int]{{Key: 2, Value: 7}, {Key: 1, Value: 8}}
	if err := tb.Apply(t.Context(), changes); err != nil || changes[0].Value != 7 {
		t.Errorf("%v, %v", changes, err)
	}
	if v, ok, err := tb.Get(t.Context(), 2); v != 7 || !ok || err != nil {
		t.Errorf("%v %v %v", v, ok, err)
	}
}

func TestKeysThatAreNotEqualToThemselves(t *testing.T) {
	tb, err := New(func(context.Context, []float64) (map[float64]int, error) { return nil, nil },
		func(context.Context, []Change[float64, int]) error { return nil }, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tb.Get(t.Context(), math.NaN()); !errors.Is(err, errNaN) {
		t.Errorf("%v", err)
	}
	if err := tb.Put(t.Context(), math.NaN(), 1); !errors.Is(err, errNaN) {
		t.Errorf("%v", err)
	}
	if _, err := New[int, int](func(context.Context, []int) (map[int]int, error) { return nil, nil }, nil, Options{KeysPerSecond: math.NaN()}); err == nil {
		t.Error("a rate that is no number is taken")
	}
}

// A task that finds what it needs in the cache pays for nothing else.
func TestAHitAllocatesNothing(t *testing.T) {
	tb, err := New(func(_ context.Context, keys []string) (map[string]int, error) { return map[string]int{keys[0]: 1}, nil }, nil, Options{CacheEntries: 10})
	if err != nil {
		t.Fatal(err)
	}
	get := func() {
		if v, ok, err := tb.Get(t.Context(), "a"); v != 1 || !ok || err != nil {
			panic(fmt.Sprint(v, ok, err))
		}
	}
	get()
	if n := testing.AllocsPerRun(100, get); n > 0 {
		t.Errorf("%g allocations, want none", n)
	}
}
