package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/storage/engine"
)

// keeper keeps one snapshot in a folder.
type keeper struct {
	dir     string
	takes   int
	fetches int
	fail    error
	// mark is that of the snapshot, for what is asked of it; bytes its size.
	mark  Mark
	bytes int64
	why   string
}

func (k *keeper) Take(_ context.Context, id Identity, e engine.OnDisk) error {
	if id.Store != "counts" || id.Task != "Partition 1" || id.JobName != "counts" || id.Changelog != "kafka.counts-changelog" {
		return fmt.Errorf("identity %+v", id)
	}
	k.takes++
	if err := os.RemoveAll(k.dir); err != nil {
		return err
	}
	b, err := e.Mark()
	if err == nil {
		k.mark, err = ParseMark(b)
	}
	if err != nil {
		return err
	}
	return e.Copy(k.dir)
}

func (k *keeper) Newest(Identity) time.Time { return time.Time{} }

func (k *keeper) Fetch(_ context.Context, w Wanted) (bool, error) {
	k.fetches++
	dir := w.Dir
	if k.fail != nil {
		// Half of it came.
		return false, errors.Join(k.fail, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	}
	if _, err := os.Stat(k.dir); err != nil {
		return false, nil //nolint:nilerr // there is none
	}
	if k.why = w.Useless(k.mark, k.bytes); k.why != "" {
		return false, nil
	}
	return true, os.CopyFS(dir, os.DirFS(k.dir))
}

func TestSnapshots(t *testing.T) {
	k := &keeper{dir: filepath.Join(t.TempDir(), "snapshot")}
	r := filled(t, 10)
	r.options = func(o *Options) { o.Snapshots = k }
	r.end(t)
	r.start(t)
	check(t, r.store(t, "counts").Put("k1", 100))
	check(t, r.commit(t, allSteps))
	if k.takes != 1 || k.fetches != 0 {
		t.Errorf("%d taken, %d fetched", k.takes, k.fetches)
	}
	k.dir += "-not" // what follows is not in it
	check(t, r.store(t, "counts").Put("k2", 200))
	check(t, r.commit(t, allSteps))
	k.dir = strings.TrimSuffix(k.dir, "-not")
	want := contents(t, r.store(t, "counts"))
	r.crash(t)
	for _, tt := range []struct {
		name    string
		spoil   func()
		records int64
		warns   int
	}{
		{"a snapshot", func() {}, 1, 0},
		{"of which half comes", func() { k.fail = errors.New("a block is missing") }, 12, 1},
		{"that is damaged", func() { k.fail = nil; check(t, os.WriteFile(filepath.Join(k.dir, "CURRENT"), []byte("#"), 0o600)) }, 12, 1},
		{"that is not there", func() { check(t, os.RemoveAll(k.dir)) }, 12, 0},
	} {
		tt.spoil()
		r.base = t.TempDir() // another host
		k.fetches = 0
		p, log := r.restart(t)
		if p.Records != tt.records || k.fetches != 1 || warnings(log) != tt.warns {
			t.Errorf("%s: fetched %d, %+v\n%s", tt.name, k.fetches, p, log)
		}
		if got := contents(t, r.store(t, "counts")); !maps.Equal(got, want) {
			t.Errorf("%s: restored %v", tt.name, got)
		}
		r.end(t)
	}
}

// TestFarBehind: local state that is of use is kept, unless a snapshot is much
// nearer to the checkpoint and not too large; whatever becomes of that one, the
// state is right.
func TestFarBehind(t *testing.T) {
	for _, tt := range []struct {
		name    string
		gap     int64
		bytes   int64
		spoil   func(t *testing.T, k *keeper)
		source  Source
		records int64
		fetches int
		warns   int
		log     string
	}{
		{"a small tail", 1000, 0, nil, FromLocalState, 6, 0, 0, ""},
		{"far behind", 2_000_000, 0, nil, FromSnapshot, 1, 1, 0, "a snapshot is nearer"},
		{"far behind a large one", 2_000_000, 1 << 40, nil, FromLocalState, 6, 1, 0, ""},
		{"far behind one that does not come", 2_000_000, 0, func(_ *testing.T, k *keeper) { k.fail = errors.New("a block is missing") }, FromLocalState, 6, 1, 1, "no snapshot can be used"},
		{"far behind a damaged one", 2_000_000, 0, func(t *testing.T, k *keeper) {
			check(t, os.WriteFile(filepath.Join(k.dir, "CURRENT"), []byte("#"), 0o600))
		}, FromChangelog, 16, 1, 1, "the snapshot is damaged"},
		{"far behind one that was set back", 2_000_000, 0, func(_ *testing.T, k *keeper) { k.mark.Offset += 100_000_000 }, FromLocalState, 6, 1, 0, ""},
	} {
		r := filled(t, 10)
		r.end(t)
		here := r.base
		check(t, r.broker.Skip("counts-changelog", changelogPartition, tt.gap))
		// Another host goes on, and takes a snapshot before its last commit.
		k := &keeper{dir: filepath.Join(t.TempDir(), "snapshot"), bytes: tt.bytes}
		r.options = func(o *Options) { o.Snapshots = k }
		r.base = t.TempDir()
		r.start(t)
		s := r.store(t, "counts")
		for i := range 5 {
			check(t, s.Put(fmt.Sprint("k", i), 100))
		}
		check(t, r.commit(t, allSteps))
		k.dir += "-not"
		mark := k.mark
		check(t, s.Put("k9", 900))
		check(t, r.commit(t, allSteps))
		k.dir, k.mark = strings.TrimSuffix(k.dir, "-not"), mark
		want := contents(t, s)
		r.end(t)
		if tt.spoil != nil {
			tt.spoil(t, k)
		}
		r.base, k.fetches = here, 0
		p, log := r.restart(t)
		if p.Source != tt.source || p.Records != tt.records || k.fetches != tt.fetches || warnings(log) != tt.warns || !strings.Contains(log, tt.log) {
			t.Errorf("%s: %d fetched (%s), %+v\n%s", tt.name, k.fetches, k.why, p, log)
		}
		if got := contents(t, r.store(t, "counts")); !maps.Equal(got, want) {
			t.Errorf("%s: restored %v, want %v", tt.name, got, want)
		}
		r.end(t)
	}
}
