package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestSpilledStateIsNotUsed writes more between two commits than may be
// pending.
func TestSpilledStateIsNotUsed(t *testing.T) {
	r := filled(t, 10)
	r.end(t)
	asked := 0
	r.options = func(o *Options) { o.testBuffer, o.NeedCommit = 1000, func() { asked++ } }
	r.start(t)
	theDisks.keep = func() bool { return true }
	s := r.store(t, "counts")
	for i := range 10 {
		check(t, s.Put(fmt.Sprint("k", i), 100))
	}
	if asked != 1 || r.set.stores[0].pending.spills != 0 {
		t.Errorf("asked %d times, spilled %d", asked, r.set.stores[0].pending.spills)
	}
	for i := range 1000 {
		check(t, s.Put(fmt.Sprint("more", i), i))
	}
	if asked != 1 || r.set.stores[0].pending.spills == 0 || r.set.stores[0].pending.bytes > 5000 {
		t.Errorf("asked %d times, spilled %d, pending %d", asked, r.set.stores[0].pending.spills, r.set.stores[0].pending.bytes)
	}
	if _, err := r.set.View("counts", false); !errors.Is(err, ErrUncommitted) {
		t.Errorf("the committed state: %v", err)
	}
	if got := contents(t, s); len(got) != 1010 || got["k1"] != "100" {
		t.Errorf("%d entries", len(got))
	}
	check(t, r.out.Flush(context.Background()))
	r.crash(t)
	p, log := r.restart(t)
	if p.Records != 10 || warnings(log) != 0 || !strings.Contains(log, "between two commits") {
		t.Errorf("%+v\n%s", p, log)
	}
	got := contents(t, r.store(t, "counts"))
	if len(got) != 10 || got["k1"] != "1" {
		t.Errorf("restored %v", got)
	}
	// With a commit it is as good as any.
	asked = 0
	for i := range 1000 {
		check(t, r.store(t, "counts").Put(fmt.Sprint("more", i), i))
	}
	check(t, r.commit(t, allSteps))
	check(t, r.store(t, "counts").Put("one", 1))
	r.crash(t)
	if p, _ = r.restart(t); p.Records != 0 {
		t.Errorf("%+v", p)
	}
	if got := contents(t, r.store(t, "counts")); len(got) != 1010 {
		t.Errorf("%d entries", len(got))
	}
}

func TestSpillWithoutCommitsByTheClock(t *testing.T) {
	r := diskRig(t, loggedSpec("counts"))
	r.specs[0].CacheEntries = 0
	r.options = func(o *Options) {
		o.testBuffer, o.NoCommits, o.NeedCommit = 1000, true, func() { t.Error("a commit was asked for") }
	}
	r.start(t)
	for i := range 100 {
		check(t, r.store(t, "counts").Put(fmt.Sprint("k", i), i))
		if n := r.set.stores[0].pending.bytes; n > 1200 {
			t.Fatalf("%d bytes are pending", n)
		}
	}
	if got := contents(t, r.store(t, "counts")); len(got) != 100 {
		t.Errorf("%d entries", len(got))
	}
}
