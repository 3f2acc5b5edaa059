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
