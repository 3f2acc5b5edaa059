package container

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestNextDue(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, tt := range []struct{ due, now, want float64 }{
		{10, 10, 11},   // in time
		{10, 10.2, 11}, // a little late keeps the rate
		{10, 11, 12},   // one is missed just so
		{10, 14.5, 15}, // several are missed and not made up for
		{10, 9.9, 11},  // early
	} {
		if got := nextDue(at(tt.due), at(tt.now), time.Second); !got.Equal(at(tt.want)) {
			t.Errorf("due %v, now %v: %v, want %v", tt.due, tt.now, got, at(tt.want))
		}
	}
}

func TestEveryKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		stop := every(500*time.Millisecond, time.Second, func() { at = append(at, time.Since(start)) })
		pass(3 * time.Second)
		stop()
		pass(5 * time.Second)
		if got, want := fmt.Sprint(at), "[500ms 1.5s 2.5s]"; got != want {
			t.Errorf("called at %v, want %v", got, want)
		}
	})
}

func TestStaggered(t *testing.T) {
	for n, want := range map[int]string{1: "[60s]", 2: "[30s 60s]", 4: "[15s 30s 45s 60s]", 8: "[15s 15s 30s 30s 45s 45s 60s 60s]"} {
		var got []string
		for i := range n {
			got = append(got, fmt.Sprintf("%.0fs", staggered(time.Minute, i, n).Seconds()))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%d tasks: %v, want %v", n, got, want)
		}
	}
}
