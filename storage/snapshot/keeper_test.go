package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heddle/storage"
	"heddle/storage/engine"
)

// TestOnlyNewFilesAreUploaded: what no snapshot before had goes up, the manifest
// last; and what comes back is the state.
func TestOnlyNewFilesAreUploaded(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(10, 20_000)
	h.snapshot()
	first := w.asked()
	_, m := w.newestManifest(t)
	if len(m.files()) == 0 || m.Mark.Offset != 10 || m.Mark.Checkpoint != "c" || m.Identity != whose {
		t.Fatalf("%+v", m)
	}
	puts := func(ops []string) (n int, bytes int64) {
		last := ""
		for _, op := range ops {
			if name, ok := strings.CutPrefix(op, "put "); ok && !strings.HasPrefix(op, "put done") {
				last = name
				if info, err := os.Stat(w.folder(filesFolder, name)); err == nil {
					n, bytes = n+1, bytes+info.Size()
				}
			}
		}
		if !strings.HasSuffix(last, manifestSuffix) {
			t.Errorf("the manifest is not written last: %v", ops)
		}
		return n, bytes
	}
	n, bytes := puts(first)
	if n != len(m.files()) || bytes < 20_000*64 {
		t.Errorf("%d files of %d bytes uploaded, %d wanted", n, bytes, len(m.files()))
	}
	// A few more keys: a new small file, and the large ones stay.
	check(t, h.e.Apply([]engine.Write{{Key: "more", Value: []byte(sumOf(nil) + sumOf([]byte("x")))}},
		storage.AppendMark(nil, storage.Mark{Offset: 11, At: w.clock()})))
	h.snapshot()
	if n, more := puts(w.asked()); n > 1 || more > bytes/10 {
		t.Errorf("the second snapshot uploaded %d files of %d bytes", n, more)
	}
	if log := h.log.take(); warnings(log) != 0 || strings.Count(log, "snapshot taken") != 2 {
		t.Error(log)
	}
	// Nothing changed: nothing is written, until it would be too old.
	h.snapshot()
	if ops := w.asked(); len(ops) != 0 {
		t.Errorf("of the same state: %v", ops)
	}
	w.pass(refreshAfter)
	h.snapshot()
	if n, _ := puts(w.asked()); n > 1 || len(w.names(t, manifestsFolder)) != 2 {
		t.Errorf("refreshed with %d files, %v", n, w.names(t, manifestsFolder))
	}
	if got := w.start(t).fetchRaw(t); got != 20_001 {
		t.Errorf("%d keys came back", got)
	}
}

// fetchRaw restores and counts the keys.
func (h *holder) fetchRaw(t *testing.T) (n int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x")
	found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: dir})
	if err != nil || !found {
		t.Fatal(found, err)
	}
	h.reopen(dir)
	it := h.e.Range("", "")
	for it.Next() {
		n++
	}
	check(t, it.Close())
	return n
}

// TestCopiesAreLinks: a copy takes neither room nor time.
func TestCopiesAreLinks(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(10, 20_000)
	check(t, h.k.Take(t.Context(), whose, h.e))
	w.pass(2 * interval)
	check(t, h.k.Take(t.Context(), whose, h.e))
	j := <-h.k.jobs
	tables := 0
	entries, err := os.ReadDir(j.dir)
	check(t, err)
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".sst" {
			continue
		}
		tables++
		copied, err := e.Info()
		check(t, err)
		own, err := os.Stat(filepath.Join(h.dir, "state", e.Name()))
		if err != nil || !os.SameFile(copied, own) {
			t.Errorf("%s is no link: %v", e.Name(), err)
		}
	}
	if tables == 0 {
		t.Errorf("%v", entries)
	}
	// While it is on its way the store is left alone.
	w.pass(10 * interval)
	check(t, h.k.Take(t.Context(), whose, h.e))
	if len(h.k.jobs) != 0 {
		t.Error("a second copy while the first waits")
	}
	h.k.run(j)
	if _, err := os.Stat(j.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy stays: %v", err)
	}
}

// TestRetention: the newest snapshots stay whole, and nothing else stays.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	for i := range 6 {
		h.commit(int64(i), 3000)
		h.snapshot()
		w.pass(30 * time.Minute)
	}
	if got := w.names(t, manifestsFolder); len(got) != DefaultRetain {
		t.Errorf("manifests: %v", got)
	}
	// Files of the last hour stay, for an upload of another process may be about
	// to name them.
	young := len(w.names(t, filesFolder))
	stray := strings.Repeat("ab", 32)
	check(t, os.WriteFile(w.folder(filesFolder, stray), []byte("stray"), 0o600))
	half := "." + stray + ".X.part"
	check(t, os.WriteFile(w.folder(filesFolder, half), []byte("half"), 0o600))
	theirs := "README"
	check(t, os.WriteFile(w.folder(filesFolder, theirs), nil, 0o600))
	for _, name := range []string{stray, half, theirs} {
		w.times[w.folder(filesFolder, name)] = w.clock()
	}
	h.commit(6, 3000)
	h.snapshot()
	if got := w.names(t, filesFolder); !slices.Contains(got, stray) || !slices.Contains(got, half) || young < 3 {
		t.Errorf("%d files before, now %v", young, got)
	}
	w.pass(2 * grace)
	h.commit(7, 3000)
	h.snapshot()
	needed := map[string]bool{theirs: true}
	for _, name := range w.names(t, manifestsFolder) {
		m, err := readManifest(t.Context(), worldFS{w: w}, w.folder(manifestsFolder, name))
		check(t, err)
		for _, f := range m.files() {
			needed[f.Sum] = true
		}
	}
	for _, name := range w.names(t, filesFolder) {
		if !needed[name] {
			t.Errorf("%s is left", name)
		}
		delete(needed, name)
	}
	if len(needed) != 0 {
		t.Errorf("gone: %v", needed)
	}
	if got := w.start(t).fetch(); got != 7 {
		t.Errorf("restored to %d", got)
	}
}

// TestTheClockOfTheFileSystemCounts: a machine whose clock is ahead removes
// nothing that is young.
func TestTheClockOfTheFileSystemCounts(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(0, 1000)
	h.snapshot()
	stray := strings.Repeat("cd", 32)
	check(t, os.WriteFile(w.folder(filesFolder, stray), []byte("of an upload under way"), 0o600))
	w.times[w.folder(filesFolder, stray)] = w.clock()
	h.k.o.Now = func() time.Time { return w.clock().Add(100 * time.Hour) }
	h.commit(1, 1000)
	check(t, h.k.Take(t.Context(), whose, h.e))
	if h.upload() != 1 || !slices.Contains(w.names(t, filesFolder), stray) {
		t.Errorf("it is gone: %v", w.names(t, filesFolder))
	}
}

// TestDamage spoils what lies there in every way: with one warning an older
// snapshot is used, or none; nothing of it reaches the store; and the next
// snapshot is whole.
func TestDamage(t *testing.T) {
	largest := func(w *world, m Manifest) string {
		f := slices.MaxFunc(m.files(), func(a, b File) int { return int(a.Size - b.Size) })
		return w.folder(filesFolder, f.Sum)
	}
	change := func(t *testing.T, name string, f func([]byte) []byte) {
		b, err := os.ReadFile(name)
		check(t, err)
		check(t, os.WriteFile(name, f(b), 0o600))
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, w *world, manifest string, m Manifest)
		says  string
	}{
		{"a file is cut off", func(t *testing.T, w *world, _ string, m Manifest) { change(t, largest(w, m), half) }, "bytes, not"},
		{"a file is longer", func(t *testing.T, w *world, _ string, m Manifest) {
			change(t, largest(w, m), func(b []byte) []byte { return append(b, 0) })
		}, "more than the"},
		{"a bit is another", func(t *testing.T, w *world, _ string, m Manifest) { change(t, largest(w, m), flip) }, "checksum"},
		{"a file is gone", func(t *testing.T, w *world, _ string, m Manifest) { check(t, os.Remove(largest(w, m))) }, "no such file"},
		{"the manifest is cut off", func(t *testing.T, _ *world, name string, _ Manifest) { change(t, name, half) }, "cut off"},
		{"the manifest is empty", func(t *testing.T, _ *world, name string, _ Manifest) {
			change(t, name, func([]byte) []byte { return nil })
		}, "cut off"},
		{"a letter of the manifest is another", func(t *testing.T, _ *world, name string, _ Manifest) {
			change(t, name, func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"changelog.offset":2`, `"changelog.offset":3`, 1))
			})
		}, "checksum"},
		{"of a later version", func(t *testing.T, _ *world, name string, _ Manifest) {
			change(t, name, func(b []byte) []byte { return []byte(strings.Replace(string(b), `"format":1`, `"format":2`, 1)) })
		}, "another version"},
		{"of another serde", func(t *testing.T, _ *world, name string, m Manifest) {
			m.Identity.ValueSerde = "serde.JSON"
			b, err := encodeManifest(m)
			check(t, err)
			check(t, os.WriteFile(name, b, 0o600))
		}, "serde.JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			h := w.start(t)
			h.commit(1, 2000)
			h.snapshot()
			h.commit(2, 3000)
			h.snapshot()
			name, m := w.newestManifest(t)
			tt.spoil(t, w, name, m)
			h.log.take()
			if got := h.fetch(); got != 1 {
				t.Errorf("restored to %d", got)
			}
			if log := h.log.take(); warnings(log) != 1 || !strings.Contains(log, tt.says) {
				t.Errorf("%s", log)
			}
			// The older one, too.
			for _, n := range w.names(t, manifestsFolder) {
				if name := w.folder(manifestsFolder, n); !strings.HasPrefix(n, "0000000000000002") {
					m, err := readManifest(t.Context(), worldFS{w: w}, name)
					check(t, err)
					tt.spoil(t, w, name, m)
				}
			}
			if tt.name != "a letter of the manifest is another" {
				// Whoever finds the damage does not name these files again.
				if got := h.fetch(); got != -2 {
					t.Errorf("restored to %d", got)
				}
			}
			h.reopen(filepath.Join(h.dir, "state"))
			h.commit(3, 3000)
			h.snapshot()
			if got := w.start(t).fetch(); got != 3 {
				t.Errorf("restored to %d afterwards", got)
			}
		})
	}
}

// TestDamagedFilesAreUploadedAgain, where the store still has them.
func TestDamagedFilesAreUploadedAgain(t *testing.T) {
	for _, fetched := range []bool{false, true} {
		w := newWorld(t)
		h := w.start(t)
		h.commit(1, 3000)
		h.snapshot()
		_, m := w.newestManifest(t)
		file := w.folder(filesFolder, m.files()[0].Sum)
		b, err := os.ReadFile(file)
		check(t, err)
		if b[100] ^= 1; !fetched {
			b = b[:1000] // which a listing shows
		}
		check(t, os.WriteFile(file, b, 0o600))
		if fetched {
			dir := filepath.Join(t.TempDir(), "x")
			if found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: dir}); found || err != nil {
				t.Fatal(found, err)
			}
		}
		check(t, h.e.Apply(nil, storage.AppendMark(nil, storage.Mark{Offset: 1, At: w.clock()})))
		w.pass(2 * refreshAfter)
		h.snapshot()
		if got := w.start(t).fetch(); got != 1 {
			t.Errorf("found by a fetch %v: restored to %d\n%s", fetched, got, h.log.take())
		}
	}
}

// TestFailureAtEveryStep fails each operation of an upload in turn, before it
// and after it, and never loses what was there.
func TestFailureAtEveryStep(t *testing.T) {
	away := errors.New("the NameNode is away")
	for n := 1; ; n++ {
		w := newWorld(t)
		h := w.start(t)
		for i := range 4 { // so that the engine has given up some files
			h.commit(int64(i), 2000)
			h.snapshot()
		}
		h.commit(4, 3000)
		w.pass(2 * grace)
		asked, failed := 0, ""
		w.before = func(op, name string) error {
			if asked++; asked == n {
				failed = op
				return fmt.Errorf("%s %s: %w", op, filepath.Base(name), away)
			}
			return nil
		}
		check(t, h.k.Take(t.Context(), whose, h.e))
		if h.upload() != 1 {
			t.Fatal("nothing was due")
		}
		w.before = nil
		log := h.log.take()
		if failed == "" {
			if n < 11 {
				t.Errorf("an upload with what it removes has only %d steps", n)
			}
			break
		}
		if warnings(log) != 1 && failed != "open" {
			t.Errorf("step %d, %s:\n%s", n, failed, log)
		}
		if got := w.start(t).fetch(); got != 3 && got != 4 {
			t.Errorf("step %d, %s: restored to %d", n, failed, got)
		}
		h.commit(5, 3000)
		w.pass(maxBackoff)
		h.snapshot()
		if got := w.start(t).fetch(); got != 5 {
			t.Errorf("step %d, %s: restored to %d afterwards\n%s", n, failed, got, h.log.take())
		}
	}
}

// TestFileSystemAway: one warning for each try, fewer and fewer tries, no task
// waits, and it goes on by itself.
func TestFileSystemAway(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	w.before = func(string, string) error { return errors.New("connection refused") }
	other := whose
	other.Task = "Partition 1"
	for i := range 120 {
		h.commit(int64(i), 10)
		check(t, h.k.Take(t.Context(), whose, h.e))
		check(t, h.k.Take(t.Context(), other, h.e))
		h.upload()
		w.pass(30 * time.Second)
	}
	log := h.log.take()
	if n := warnings(log); n != w.opens || n < 5 || n > 15 {
		t.Errorf("%d warnings, %d tries in an hour:\n%s", n, w.opens, log)
	}
	before := w.opens
	dir := filepath.Join(t.TempDir(), "x")
	h.commit(120, 10)
	w.pass(maxBackoff)
	for range 3 {
		if found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: dir}); found || err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v, %v", found, err)
		}
	}
	if w.opens != before+1 {
		t.Errorf("each restore waits for it: %d", w.opens-before)
	}
	w.before = nil
	w.pass(maxBackoff)
	h.snapshot()
	if log = h.log.take(); !strings.Contains(log, "can be written again") || !strings.Contains(log, "snapshot taken") {
		t.Error(log)
	}
}

// TestUselessSnapshotsArePassedOver without a warning, and nothing of them is
// downloaded.
func TestUselessSnapshotsArePassedOver(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	for i := range 2 {
		h.commit(int64(i), 3000)
		h.snapshot()
	}
	h.log.take()
	for _, newest := range []int64{1, 0, -1} {
		w.asked()
		var got []int64
		found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: filepath.Join(t.TempDir(), "x"), Useless: func(m storage.Mark, _ int64) string {
			if got = append(got, m.Offset); m.Offset > newest {
				return "the checkpoint was set back"
			}
			return ""
		}})
		if err != nil || found != (newest >= 0) || got[0] != 1 || len(got) != min(2, int(2-newest)) {
			t.Errorf("%d: found %v after %v, %v", newest, found, got, err)
		}
		if ops := w.asked(); newest < 0 && len(ops) != 3 {
			t.Errorf("%v", ops) // the folder, two manifests
		}
	}
	if log := h.log.take(); warnings(log) != 0 {
		t.Error(log)
	}
}

// TestProgress counts every byte once.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(0, 20_000)
	h.snapshot()
	_, m := w.newestManifest(t)
	failed := false
	w.before = func(op, name string) error {
		if op == "open" && !failed && isSum(filepath.Base(name)) {
			failed = true
			return errors.New("a DataNode went away")
		}
		return nil
	}
	var most, total int64
	h.k.slots = make(chan struct{}, 1)
	found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: filepath.Join(t.TempDir(), "x"), Progress: func(d, n int64) { most, total = max(most, d), n }})
	if err != nil || !found || most != m.bytes() || total != m.bytes() {
		t.Errorf("%v, %v: %d of %d, want %d", found, err, most, total, m.bytes())
	}
	if !h.k.Newest(whose).Equal(m.Taken) {
		t.Errorf("the newest is of %v", h.k.Newest(whose))
	}
}

// TestFullDisk: what this machine fails with is not blamed on the file system.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(0, 1000)
	h.snapshot()
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	if found, err := h.k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: filepath.Join(file, "x")}); found || !errors.Is(err, errLocal) {
		t.Errorf("%v, %v", found, err)
	}
	if err := h.k.away(); err != nil {
		t.Error(err)
	}
}

// TestTwoWriters: the newer one is not kept from its work by one that was
// there before it, and they take turns as long as both are there.
func TestTwoWriters(t *testing.T) {
	w := newWorld(t)
	old, replacement := w.start(t), w.start(t)
	old.commit(1, 1000)
	old.snapshot()
	replacement.commit(2, 1000)
	replacement.snapshot() // it did not write before: it just goes on
	old.commit(3, 1000)
	old.snapshot()
	if log := old.log.take(); warnings(log) != 1 || !strings.Contains(log, "another process took the last one") {
		t.Error(log)
	}
	if got := w.start(t).fetch(); got != 2 {
		t.Errorf("restored to %d", got)
	}
	replacement.commit(4, 1000)
	replacement.snapshot()
	if got := w.start(t).fetch(); got != 4 || warnings(replacement.log.take()) != 0 {
		t.Errorf("restored to %d", got)
	}
}

// TestCloseWhileUploading ends at once, leaves nothing on this machine, and no
// half of a snapshot there.
func TestCloseWhileUploading(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(1, 20_000)
	dir := t.TempDir()
	o := w.options(h.log, dir)
	o.BytesPerSecond = 1_000_000 // it takes seconds, as does the reading before it
	k := New(o)
	check(t, k.Take(t.Context(), whose, h.e))
	w.pass(2 * interval)
	began := make(chan struct{})
	w.before = func(op, _ string) error {
		if op == "put" {
			close(began)
		}
		return nil
	}
	check(t, k.Take(t.Context(), whose, h.e))
	<-began
	at := time.Now()
	check(t, k.Close())
	if took := time.Since(at); took > closeAfter/2 {
		t.Errorf("closed after %v", took)
	}
	w.before = nil
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if m, f := w.names(t, manifestsFolder), w.names(t, filesFolder); len(m)+len(f) != 0 {
		t.Errorf("%v, %v", m, f)
	}
	if log := h.log.take(); warnings(log) != 0 {
		t.Error(log)
	}
	check(t, k.Take(t.Context(), whose, h.e)) // nothing happens any more
	if _, err := k.Fetch(t.Context(), storage.Wanted{ID: whose, Dir: filepath.Join(dir, "x")}); err == nil {
		t.Error("a closed keeper fetches")
	}
}

// TestNoTaskWaitsForAnUpload that hangs.
func TestNoTaskWaitsForAnUpload(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(1, 100)
	k := New(w.options(h.log, t.TempDir()))
	hang, hangs := make(chan struct{}), make(chan struct{})
	w.before = func(op, _ string) error {
		if op == "put" {
			close(hangs)
			<-hang
		}
		return nil
	}
	check(t, k.Take(t.Context(), whose, h.e))
	w.pass(2 * interval)
	check(t, k.Take(t.Context(), whose, h.e))
	<-hangs
	for i := range 100 {
		other := whose
		other.Task = fmt.Sprint("Partition ", i)
		check(t, k.Take(t.Context(), other, h.e))
		check(t, k.Take(t.Context(), whose, h.e))
	}
	close(hang)
	check(t, k.Close())
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			perSecond int64
			seconds   int
		}{{0, 0}, {100_000, 10}, {1_000_000, 1}} {
			began := time.Now()
			counted := 0
			r := &throttled{ctx: t.Context(), r: strings.NewReader(strings.Repeat("x", 1_000_000)), limit: newLimit(tt.perSecond), read: func(n int) { counted += n }}
			buf := make([]byte, 64<<10)
			for {
				if _, err := r.Read(buf); err != nil {
					break
				}
			}
			took := time.Since(began)
			if counted != 1_000_000 || took < time.Duration(tt.seconds)*time.Second*8/10 || took > time.Duration(tt.seconds)*time.Second*11/10 {
				t.Errorf("%d bytes at %d/s took %v", counted, tt.perSecond, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := &throttled{ctx: ctx, r: strings.NewReader(strings.Repeat("x", 1<<20)), limit: newLimit(1), read: func(int) {}}
		began := time.Now()
		for {
			if _, err := r.Read(make([]byte, 1<<10)); err != nil {
				break
			}
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// TestChecksumsAreThrottled: what a snapshot reads of the store before it uploads
// is bounded, too, and read once only.
func TestChecksumsAreThrottled(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "000001.sst"), make([]byte, 800_000), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "000002.sst"), make([]byte, 200_000), 0o600))
	synctest.Test(t, func(t *testing.T) {
		s := &series{}
		limit := newLimit(100_000)
		for _, want := range []time.Duration{10 * time.Second, 0} {
			began := time.Now()
			found, err := s.contents(t.Context(), dir, limit)
			if took := time.Since(began); err != nil || len(found) != 2 || took < want*8/10 || took > want*11/10 {
				t.Errorf("%d files after %v, %v; want %v", len(found), took, err, want)
			}
		}
	})
}

// TestRottenDisk: a file whose content changes between its checksum and its
// upload never lies there under the wrong name.
func TestRottenDisk(t *testing.T) {
	w := newWorld(t)
	h := w.start(t)
	h.commit(1, 3000)
	check(t, h.k.Take(t.Context(), whose, h.e))
	w.pass(2 * interval)
	check(t, h.k.Take(t.Context(), whose, h.e))
	j := <-h.k.jobs
	w.before = func(op, name string) error {
		if op == "put" && isSum(filepath.Base(name)) {
			tables, err := filepath.Glob(filepath.Join(j.dir, "*.sst"))
			check(t, err)
			for _, name := range tables {
				f, err := os.OpenFile(name, os.O_WRONLY, 0)
				check(t, err)
				_, err = f.WriteAt([]byte("rot"), 500)
				check(t, errors.Join(err, f.Close()))
			}
		}
		return nil
	}
	h.k.run(j)
	if log := h.log.take(); warnings(log) != 1 || !strings.Contains(log, "another one than when its checksum was made") || h.k.away() != nil {
		t.Errorf("%s", log)
	}
	if m, f := w.names(t, manifestsFolder), w.names(t, filesFolder); len(m)+len(f) != 0 {
		t.Errorf("%v, %v", m, f)
	}
}
