package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
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
	if log := h.log.Take(); warnings(log) != 0 || strings.Count(log, "snapshot taken") != 2 {
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
		log := h.log.Take()
		if failed == "" {
			// How many files there are is the engine's to decide.
			if n < 8 {
				t.Errorf("an upload with what it removes has only %d steps", n-1)
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
			t.Errorf("step %d, %s: restored to %d afterwards\n%s", n, failed, got, h.log.Take())
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
	log := h.log.Take()
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
	if log = h.log.Take(); !strings.Contains(log, "can be written again") || !strings.Contains(log, "snapshot taken") {
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
	h.log.Take()
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
	if log := h.log.Take(); warnings(log) != 0 {
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
	if log := old.log.Take(); warnings(log) != 1 || !strings.Contains(log, "another process took the last one") {
		t.Error(log)
	}
	if got := w.start(t).fetch(); got != 2 {
		t.Errorf("restored to %d", got)
	}
	replacement.commit(4, 1000)
	replacement.snapshot()
	if got := w.start(t).fetch(); got != 4 || warnings(replacement.log.Take()) != 0 {
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
	if log := h.log.Take(); warnings(log) != 0 {
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
	var first sync.Once // goes on to the next file once it is let go
	w.before = func(op, _ string) error {
		if op == "put" {
			first.Do(func() { close(hangs) })
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
