package container

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestLadder: steps follow what is in use, and neither tremble nor go beyond the most.
func TestLadder(t *testing.T) {
	const mib = 1 << 20
	l := &ladder{most: 900 * mib}
	for _, tt := range []struct{ inUse, want int64 }{
		{5 * mib, 112 * mib}, {78 * mib, 112 * mib}, {79 * mib, 224 * mib}, {78 * mib, 224 * mib},
		{57 * mib, 224 * mib}, {55 * mib, 112 * mib}, {400 * mib, 896 * mib}, {2000 * mib, 900 * mib},
		{250 * mib, 900 * mib}, {223 * mib, 448 * mib}, {0, 112 * mib},
	} {
		before := l.limit()
		if changed := l.look(tt.inUse); l.limit() != tt.want || changed != (before != tt.want) {
			t.Errorf("%d MiB in use: %d MiB, %v, after %d; want %d", tt.inUse/mib, l.limit()/mib, changed, before/mib, tt.want/mib)
		}
	}
	small := &ladder{most: 50 * mib}
	if small.look(200 * mib); small.limit() != 50*mib {
		t.Errorf("%d MiB of 50", small.limit()/mib)
	}
}

// TestLadderFollows holds the limit of a running process to what it has in use.
func TestLadderFollows(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer func() {
		theLadder.Store(nil)
		debug.SetMemoryLimit(before)
	}()
	none := func(string) string { return "" }
	limitMemory(4000, none) // is replaced at once
	limitMemory(2000, none)
	reach := func(want func(limit int64) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			runtime.GC()
			limit := debug.SetMemoryLimit(-1)
			if want(limit) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the limit stays at %d MiB", limit>>20)
			}
		}
	}
	held := make([]byte, 400<<20)
	reach(func(limit int64) bool { return limit >= 800<<20 && limit <= 1800<<20 })
	runtime.KeepAlive(held)
	reach(func(limit int64) bool { return limit <= 512<<20 })
}
