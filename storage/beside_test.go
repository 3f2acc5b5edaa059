package storage

import (
	"bytes"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// TestZombie: a frozen process goes on beside its replacement, at-least-once, so
// both write to the changelog. What either leaves behind, on its disk or as a
// snapshot, is what the changelog says, or is not used.
func TestZombie(t *testing.T) {
	for _, first := range []string{"zombie", "replacement"} {
		zombie := filled(t, 10)
		theDisks.keep = func() bool { return true }
		snapshots := t.TempDir()
		keep := func(r *rig, name string) *keeper {
			k := &keeper{dir: filepath.Join(snapshots, name)}
			r.options = func(o *Options) { o.Snapshots = k }
			return k
		}
		zombie.end(t)
		of := map[string]*keeper{"zombie": keep(zombie, "zombie")}
		var log bytes.Buffer
		check(t, zombie.tryStart(slog.New(slog.NewTextHandler(&log, nil))))
		check(t, zombie.store(t, "counts").Put("k0", 100))
		check(t, zombie.commit(t, allSteps)) // alone
		replacement := newRig(zombie.specs...)
		replacement.broker, replacement.targets, replacement.base = zombie.broker, zombie.targets, t.TempDir()
		of["replacement"] = keep(replacement, "replacement")
		check(t, replacement.tryStart(slog.New(slog.NewTextHandler(&log, nil))))
		if of["zombie"].takes != 1 || warnings(log.String()) != 0 {
			t.Fatalf("alone: %d snapshots\n%s", of["zombie"].takes, &log)
		}
		// Each writes a key of its own, and one of both.
		both := map[string]*rig{"zombie": zombie, "replacement": replacement}
		names := []string{first, map[string]string{"zombie": "replacement", "replacement": "zombie"}[first]}
		for n := range 3 {
			for i, name := range names {
				s := both[name].store(t, "counts")
				check(t, s.Put(name, 1000*n+i))
				check(t, s.Put("k1", 1000*n+i))
				check(t, both[name].commit(t, allSteps))
			}
		}
		// Who was first was alone once more, so far as anybody could tell.
		if a, b := of[first].takes, of[names[1]].takes; a != map[string]int{"zombie": 2, "replacement": 1}[first] || b != map[string]int{"zombie": 0, "replacement": 1}[first] {
			t.Errorf("%s first: it took %d snapshots, the other %d", first, a, b)
		}
		if n := warnings(log.String()); n != 2 || strings.Count(log.String(), "another process writes") != n {
			t.Errorf("%s first:\n%s", first, &log)
		}
		for _, r := range both {
			r.end(t)
		}
		// The state is what the changelog makes, on either's disk and from either's
		// snapshot.
		whole := newRig(zombie.specs...)
		whole.broker, whole.targets, whole.base = zombie.broker, both[names[1]].targets, t.TempDir()
		whole.start(t)
		want := contents(t, whole.store(t, "counts"))
		whole.end(t)
		if len(want) != 12 {
			t.Fatalf("the changelog makes %v", want)
		}
		for _, name := range names {
			for _, where := range []string{both[name].base, t.TempDir()} {
				r := both[name]
				r.base, r.targets = where, whole.targets
				if _, log := r.restart(t); warnings(log) != 0 {
					t.Errorf("%s first, the %s's:\n%s", first, name, log)
				}
				if got := contents(t, r.store(t, "counts")); !maps.Equal(got, want) {
					t.Errorf("%s first: from what the %s left the state is %v, want %v", first, name, got, want)
				}
				r.end(t)
			}
		}
	}
}
