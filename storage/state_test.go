package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/storage/engine"
	"heddle/system/memory"
)

// restart starts again and tells what the restores did and what the log said.
func (r *rig) restart(t *testing.T) (Progress, string) {
	t.Helper()
	var text bytes.Buffer
	var last Progress
	r.progress = func(p Progress) { last = p }
	if err := r.tryStart(slog.New(slog.NewTextHandler(&text, nil))); err != nil {
		t.Fatalf("start: %v", err)
	}
	return last, text.String()
}

// filled is a rig with n keys in a committed state, each a record.
func filled(t *testing.T, n int) *rig {
	t.Helper()
	spec := loggedSpec("counts")
	spec.CacheEntries = 0
	r := diskRig(t, spec)
	r.start(t)
	s := r.store(t, "counts")
	for i := range n {
		check(t, s.Put(fmt.Sprint("k", i), i))
	}
	check(t, r.commit(t, allSteps))
	return r
}

func (r *rig) folder(t *testing.T, file ...string) string {
	t.Helper()
	dir := filepath.Join(r.base, "heddle-v1", "counts-1", "counts", "Partition_1")
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{dir}, file...)...)
}

func warnings(log string) (n int) { return strings.Count(log, "level=WARN") }

// TestLocalStateIsUsed restarts with what an earlier process left behind: only
// what came after it is read.
func TestLocalStateIsUsed(t *testing.T) {
	r := filled(t, 100)
	theDisks.keep = func() bool { return true }
	check(t, r.store(t, "counts").Put("k1", 1000))
	check(t, r.commit(t, allSteps))
	theDisks.keep = nil
	check(t, r.store(t, "counts").Put("k2", 2000))
	check(t, r.store(t, "counts").Delete("k3"))
	check(t, r.commit(t, allSteps)) // which the disk does not keep
	check(t, r.store(t, "counts").Put("k4", 4000))
	check(t, r.out.Flush(context.Background())) // nor does anybody commit that
	r.crash(t)

	p, log := r.restart(t)
	if p.Records != 2 || p.Undone != 1 || warnings(log) != 0 {
		t.Errorf("%+v\n%s", p, log)
	}
	got := contents(t, r.store(t, "counts"))
	if len(got) != 99 || got["k1"] != "1000" || got["k2"] != "2000" || got["k4"] != "4" {
		t.Errorf("restored %v", got)
	}
	// In order: nothing at all is read, with the checkpoint of a commit.
	check(t, r.commit(t, allSteps))
	r.end(t)
	if p, log = r.restart(t); p.Records != 0 || p.Undone != 0 || warnings(log) != 0 {
		t.Errorf("%+v\n%s", p, log)
	}
	if again := contents(t, r.store(t, "counts")); !maps.Equal(again, got) {
		t.Errorf("restored %v", again)
	}
}

// TestEngineIsNeverAheadOfTheCheckpoint stops before each step of the commit:
// the mark on disk is that of a checkpoint that is safe.
func TestEngineIsNeverAheadOfTheCheckpoint(t *testing.T) {
	for steps := range allSteps + 1 {
		r := filled(t, 3)
		check(t, r.set.stores[0].onDisk().Flush())
		theDisks.keep = func() bool { return true }
		check(t, r.store(t, "counts").Put("k0", 99))
		check(t, r.commit(t, steps))
		b, err := r.set.stores[0].engine.Mark()
		check(t, err)
		m, err := ParseMark(b)
		check(t, err)
		want := int64(2)
		if steps == allSteps {
			want = 3
		}
		if m.Offset != want || m.Between || m.Checkpoint == "" || !m.At.Equal(now) {
			t.Errorf("after %d steps the mark is %+v", steps, m)
		}
		if v, ok, err := r.set.stores[0].engine.Get(nil, "k0"); err != nil || !ok || (v[7] == 99) != (steps == allSteps) {
			t.Errorf("after %d steps the engine has %v", steps, v)
		}
		r.crash(t)
		p, log := r.restart(t)
		wantRecords, wantUndone := int64(0), int64(0)
		switch steps {
		case allSteps - 1:
			wantRecords = 1 // the checkpoint is safe, the engine did not hear of it
		case 0, 1, 2:
			wantUndone = 1
		}
		if p.Records != wantRecords || p.Undone != wantUndone || warnings(log) != 0 {
			t.Errorf("after %d steps: %+v\n%s", steps, p, log)
		}
		r.end(t)
	}
}

// TestUselessLocalState spoils what a process left behind, in every way: it is
// never used, and the store is restored from the changelog.
func TestUselessLocalState(t *testing.T) {
	write := func(file string, content []byte) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) { check(t, os.WriteFile(r.folder(t, file), content, 0o600)) }
	}
	identity := func(change func([]byte) []byte) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) {
			b, err := os.ReadFile(r.folder(t, "IDENTITY"))
			check(t, err)
			write("IDENTITY", change(b))(t, r)
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, *rig)
		says  string // the one warning; "" for none
	}{
		{"empty identity", identity(func([]byte) []byte { return nil }), "nothing tells whose it is"},
		{"truncated identity", identity(func(b []byte) []byte { return b[:len(b)/2] }), "cut off or damaged"},
		{"changed identity", identity(func(b []byte) []byte { return bytes.Replace(b, []byte("Partition 1"), []byte("Partition 7"), 1) }), "its checksum is"},
		{"newer format", identity(func(b []byte) []byte { return bytes.Replace(b, []byte(`"format":1`), []byte(`"format":2`), 1) }), "its format is 2; this version writes 1"},
		{"no identity", func(t *testing.T, r *rig) { check(t, os.Remove(r.folder(t, "IDENTITY"))) }, ""},
		{"another serde", func(_ *testing.T, r *rig) { r.specs[0].ValueSerde = "integer" }, "msg serde"},
		{"another changelog", func(t *testing.T, r *rig) {
			r.specs[0].Changelog.Stream = "other"
			check(t, r.broker.Create(r.other("other")))
			for _, rec := range r.broker.Records("counts-changelog", changelogPartition) {
				_, err := r.broker.Append("other", changelogPartition, rec.Key, rec.Value)
				check(t, err)
			}
		}, "changelog"},
		{"corrupt engine", write("state/CURRENT", []byte("#")), "is damaged"},
		{"corrupt while it is read", func(_ *testing.T, _ *rig) {
			once := false
			theDisks.fail = func(op string) error {
				if op == "apply" && !once {
					once = true
					return fmt.Errorf("table 7: %w", engine.ErrCorrupt)
				}
				return nil
			}
		}, "is damaged"},
		{"found damaged", write("DAMAGED", []byte("table 7\n")), "was found damaged"},
		{"the changelog is younger", func(t *testing.T, r *rig) { check(t, r.broker.Trim("counts-changelog", changelogPartition, 9)) }, ""},
		{"no mark", func(t *testing.T, r *rig) { theDisks.kept = map[string]kept{} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := filled(t, 10)
			r.end(t)
			// Something to read, so that the local state alone is not the answer.
			for i := range 3 {
				_, err := r.broker.Append("counts-changelog", changelogPartition, fmt.Append(nil, "k", i), []byte{0, 0, 0, 0, 0, 0, 0, 77})
				check(t, err)
			}
			r.targets["counts"] = Target{Offset: "12", Committed: now}
			tt.spoil(t, r)
			p, log := r.restart(t)
			want := int64(13)
			if tt.name == "the changelog is younger" {
				want = 3 // it begins just behind the local state, which is kept
			}
			if p.Records != want {
				t.Errorf("%d records were read: %+v\n%s", p.Records, p, log)
			}
			if n := warnings(log); tt.says == "" && n != 0 || tt.says != "" && (n != 1 || !strings.Contains(log, tt.says)) {
				t.Errorf("the log:\n%s", log)
			}
			if r.specs[0].ValueSerde == "integer" {
				return
			}
			got := contents(t, r.store(t, "counts"))
			if len(got) != 10 || got["k0"] != "77" || got["k9"] != "9" {
				t.Errorf("restored %v", got)
			}
			// It is in order again.
			theDisks.fail = nil
			check(t, r.commit(t, allSteps))
			r.end(t)
			if p, log := r.restart(t); p.Records != 0 || warnings(log) != 0 {
				t.Errorf("the next start: %+v\n%s", p, log)
			}
		})
	}
}

// TestChangelogMadeAnew: local state of a topic that was deleted and made anew is
// not used, though the new one has its offset; nor does the checkpoint's count.
func TestChangelogMadeAnew(t *testing.T) {
	for _, tt := range []struct {
		name    string
		forget  func(r *rig) // what an older version did not note
		records int
		warns   string
	}{
		{"all is known", func(*rig) {}, 30, "restore: the changelog was deleted and made anew"},
		{"the checkpoint has no id", func(r *rig) {
			r.targets["counts"] = Target{Offset: "9", Committed: now}
		}, 10, "the local state is not used"},
	} {
		r := filled(t, 10)
		r.end(t)
		tt.forget(r)
		check(t, r.broker.Delete("counts-changelog"))
		check(t, r.broker.Create(r.other("counts-changelog")))
		for i := range 30 {
			_, err := r.broker.Append("counts-changelog", changelogPartition, fmt.Append(nil, "new", i), []byte{0, 0, 0, 0, 0, 0, 0, 5})
			check(t, err)
		}
		p, log := r.restart(t)
		if p.Records != int64(tt.records) || warnings(log) != 1 || !strings.Contains(log, tt.warns) {
			t.Errorf("%s: %+v\n%s", tt.name, p, log)
		}
		got := contents(t, r.store(t, "counts"))
		if len(got) != tt.records || got["new1"] != "5" || got["k1"] != "" {
			t.Errorf("%s: restored %v", tt.name, got)
		}
		// From the next commit on all is as it should be.
		check(t, r.store(t, "counts").Put("more", 1))
		check(t, r.commit(t, allSteps))
		r.end(t)
		if p, log := r.restart(t); p.Records != 0 || p.Undone != 0 || warnings(log) != 0 {
			t.Errorf("%s: the next start: %+v\n%s", tt.name, p, log)
		}
		r.end(t)
	}
}

func TestLockedFolderIsLeftAlone(t *testing.T) {
	r := filled(t, 10)
	other := *r
	p, log := other.restart(t)
	if p.Records != 10 || warnings(log) != 1 || !strings.Contains(log, fmt.Sprint("process=", os.Getpid())) {
		t.Errorf("%+v\n%s", p, log)
	}
	// The first goes on as if nothing had happened.
	if got := contents(t, r.store(t, "counts")); len(got) != 10 {
		t.Errorf("%v", got)
	}
	other.end(t)
	r.end(t)
	if p, log := r.restart(t); p.Records != 0 || warnings(log) != 0 {
		t.Errorf("%+v\n%s", p, log)
	}
}

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

// TestDiskErrors: an error of the disk says what it is about and the way out.
func TestDiskErrors(t *testing.T) {
	for _, tt := range []struct {
		op  string
		err error
		way string
	}{
		{"apply", engine.ErrFull, "make room"},
		{"apply", engine.ErrReadOnly, "can write to"},
		{"get", engine.ErrCorrupt, "restored by the next start"},
		{"open", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, "can write to"},
		{"open", engine.ErrLocked, "end the process"},
	} {
		r := filled(t, 3)
		r.end(t)
		if tt.op != "open" {
			r.start(t)
		}
		theDisks.fail = func(op string) error {
			if op == tt.op {
				return fmt.Errorf("table 7: %w", tt.err)
			}
			return nil
		}
		var err error
		switch tt.op {
		case "open":
			err = r.tryStart(slog.New(slog.DiscardHandler))
		case "get":
			_, err = r.store(t, "counts").Get("k1")
		default:
			check(t, r.store(t, "counts").Put("k1", 5))
			err = r.commit(t, allSteps)
		}
		if err == nil || !errors.Is(err, tt.err) {
			t.Errorf("%s, %v: error %v", tt.op, tt.err, err)
			continue
		}
		for _, want := range []string{`store "counts"`, tt.way, filepath.Join("counts", "Partition_1", "state")} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", tt.op, err, want)
			}
		}
		theDisks.fail = nil
		if tt.op == "open" {
			continue
		}
		// The committed state was not harmed; damaged files are not used again.
		r.end(t)
		p, log := r.restart(t)
		if got := contents(t, r.store(t, "counts")); len(got) != 3 || got["k1"] != "1" && tt.op == "get" || got["k1"] != "5" && tt.op == "apply" {
			t.Errorf("%s: restored %v", tt.op, got)
		}
		if damaged := errors.Is(tt.err, engine.ErrCorrupt); damaged && (p.Records != 3 || warnings(log) != 1) || !damaged && warnings(log) != 0 {
			t.Errorf("%s: %+v\n%s", tt.op, p, log)
		}
	}
}

// TestBulk restores through a load, and after a process that died within one.
func TestBulk(t *testing.T) {
	r := diskRig(t, loggedSpec("counts"))
	n := bulkFrom + 10
	for i := range n {
		value := []byte{0, 0, 0, 0, 0, 0, 0, byte(i)}
		if i%7 == 6 {
			value = nil
		}
		_, err := r.broker.Append("counts-changelog", changelogPartition, fmt.Append(nil, "k", i%1000), value)
		check(t, err)
	}
	r.targets = map[string]Target{"counts": {Offset: fmt.Sprint(n - 1), Committed: now}}
	stop := errors.New("stop")
	theDisks.fail = func(op string) error {
		if op == "add" {
			return stop
		}
		return nil
	}
	if err := r.tryStart(slog.New(slog.DiscardHandler)); !errors.Is(err, stop) {
		t.Fatalf("error %v", err)
	}
	r.crash(t)
	theDisks.fail = nil
	p, log := r.restart(t)
	if p.Records != int64(n) || theDisks.loads != 2 || warnings(log) != 0 {
		t.Errorf("%d loads, %+v\n%s", theDisks.loads, p, log)
	}
	want := contents(t, r.store(t, "counts"))
	r.end(t)
	if p, _ := r.restart(t); p.Records != 0 {
		t.Errorf("%+v", p)
	}
	plain := newRig(loggedSpec("counts"))
	plain.broker, plain.targets = r.broker, r.targets
	plain.start(t)
	if got := contents(t, plain.store(t, "counts")); !maps.Equal(got, want) || len(got) == 0 {
		t.Errorf("the load made %d entries, the simple way %d", len(want), len(got))
	}
}

// TestStoresWithoutChangelogStartEmpty and leave nothing behind.
func TestStoresWithoutChangelogStartEmpty(t *testing.T) {
	spec := unlogged("string", "long", 0, 0)
	r := diskRig(t, spec)
	r.start(t)
	dir := filepath.Join(r.base, "scratch", "heddle-v1", "counts-1", "s", "Partition_1")
	check(t, r.store(t, "s").Put("a", 1))
	check(t, r.commit(t, allSteps))
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	// As a kill leaves it.
	check(t, os.Rename(dir, dir+"kept"))
	r.end(t)
	check(t, os.RemoveAll(dir))
	check(t, os.Rename(dir+"kept", dir))
	r.start(t)
	if got := contents(t, r.store(t, "s")); len(got) != 0 {
		t.Errorf("it starts with %v", got)
	}
	r.end(t)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left behind: %v", err)
	}
}

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

// TestRangesWhileWriting: what a range began with is what it yields, whatever
// is written, committed and spilled under it.
func TestRangesWhileWriting(t *testing.T) {
	r := filled(t, 50)
	r.options = func(o *Options) { o.testBuffer = 1000 }
	r.end(t)
	r.start(t)
	s := r.store(t, "counts")
	for i := range 20 {
		check(t, s.Put(fmt.Sprint("k", i*2), 1000+i)) // pending over the engine's
	}
	check(t, s.Delete("k1"))
	want := contents(t, s)
	got := map[string]string{}
	n := 0
	for e := range s.All() {
		check(t, e.Err)
		got[e.Key.(string)] = fmt.Sprint(e.Value)
		n++
		for i := range 5 {
			check(t, s.Put(fmt.Sprint("k", (n*7+i)%50), -1))
		}
		check(t, s.Delete(fmt.Sprint("k", n)))
		if n%10 == 5 {
			check(t, r.commit(t, allSteps))
		}
	}
	if !maps.Equal(got, want) || r.set.stores[0].pending.spills == 0 {
		t.Errorf("%d of %d entries; spilled %d times", len(got), len(want), r.set.stores[0].pending.spills)
	}
}

// TestEqualChangelogs runs the same on both engines: the changelogs are the
// same, record by record.
func TestEqualChangelogs(t *testing.T) {
	run := func(t *testing.T, r *rig) []memory.Record {
		r.start(t)
		for round := range 12 {
			s := r.store(t, "counts")
			for i := range 20 {
				key := fmt.Sprint("k", (round*7+i*i)%30)
				if (round+i)%5 == 0 {
					check(t, s.Delete(key))
				} else {
					check(t, s.Put(key, round*100+i))
				}
			}
			if err := r.commit(t, round%(allSteps+1)); err != nil {
				t.Fatal(err)
			}
			if round%3 == 2 {
				check(t, r.out.Flush(context.Background()))
				r.crash(t)
				r.start(t)
				check(t, r.commit(t, allSteps))
			}
		}
		return r.broker.Records("counts-changelog", changelogPartition)
	}
	spec := loggedSpec("counts")
	spec.CacheEntries, spec.WriteBatch = 10, 4
	inMemory := run(t, newRig(spec))
	for _, keep := range []func() bool{nil, func() bool { return true }} {
		r := diskRig(t, spec)
		theDisks.keep = keep
		onDisk := run(t, r)
		if len(inMemory) != len(onDisk) || len(inMemory) < 100 {
			t.Fatalf("%d records in memory, %d on disk", len(inMemory), len(onDisk))
		}
		for i := range inMemory {
			a, b := inMemory[i], onDisk[i]
			if a.Offset != b.Offset || !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) || (a.Value == nil) != (b.Value == nil) {
				t.Fatalf("record %d: %+v in memory, %+v on disk", i, a, b)
			}
		}
	}
}
