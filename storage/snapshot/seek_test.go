package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seek does what waits; it tells how many that were.
func (h *holder) seek() (n int) {
	for {
		select {
		case s := <-h.k.seeks:
			h.k.seek(s)
			n++
		default:
			return n
		}
	}
}

// TestNewestOfAnotherProcess: a process with its state on the disk needs no
// snapshot, and still tells when the newest complete one was taken.
func TestNewestOfAnotherProcess(t *testing.T) {
	w := newWorld(t)
	before := w.start(t)
	before.commit(10, 20_000)
	before.snapshot()
	_, older := w.newestManifest(t)
	before.commit(20, 20_000)
	before.snapshot()
	_, newer := w.newestManifest(t)
	if !newer.Taken.After(older.Taken) || older.Mark.Offset != 10 || newer.Mark.Offset != 20 {
		t.Fatalf("%v, %v", older, newer)
	}
	w.asked()

	h := w.start(t)
	if at := h.k.Newest(whose); !at.IsZero() || len(w.asked()) != 0 {
		t.Errorf("at once it says %v", at)
	}
	for range 3 {
		h.k.Newest(whose)
	}
	if n := h.seek(); n != 1 || !h.k.Newest(whose).Equal(newer.Taken) {
		t.Errorf("after %d looks: %v, want %v", n, h.k.Newest(whose), newer.Taken)
	}
	if n := h.seek(); n != 0 {
		t.Errorf("what is known was looked for %d times more", n)
	}
	// A file of the newest is gone, and one that nobody can read is newer: neither
	// is complete.
	theirs := map[string]bool{}
	for _, f := range older.files() {
		theirs[f.Sum] = true
	}
	gone := 0
	for _, f := range newer.files() {
		if !theirs[f.Sum] {
			check(t, os.Remove(w.folder(filesFolder, f.Sum)))
			gone++
		}
	}
	check(t, os.WriteFile(filepath.Join(w.folder(manifestsFolder), manifestName(99, "x")), []byte("{"), 0o600))
	other := w.start(t)
	other.k.Newest(whose)
	other.seek()
	if at := other.k.Newest(whose); gone == 0 || !at.Equal(older.Taken) {
		t.Errorf("without %d files: %v, want %v", gone, at, older.Taken)
	}
	// Nor is that of a store which is laid out otherwise.
	another := whose
	another.ValueSerde = "serde.JSON"
	other.k.Newest(another)
	other.seek()
	if at := other.k.Newest(another); !at.IsZero() {
		t.Errorf("of another layout: %v", at)
	}
	if log := other.log.Take(); warnings(log) != 0 {
		t.Error(log)
	}
	// Its own come as they are due.
	h.commit(30, 100)
	h.snapshot()
	if at := h.k.Newest(whose); !at.After(newer.Taken) {
		t.Errorf("after one of its own: %v", at)
	}
}

// TestNewestWhileNothingAnswers: the file system is asked again, and not at once.
func TestNewestWhileNothingAnswers(t *testing.T) {
	w := newWorld(t)
	before := w.start(t)
	before.commit(10, 100)
	before.snapshot()
	_, m := w.newestManifest(t)
	h := w.start(t)
	w.before = func(string, string) error { return errors.New("nothing answers") }
	h.k.Newest(whose)
	if n := h.seek(); n != 1 {
		t.Fatalf("%d looks", n)
	}
	if log := h.log.Take(); !strings.Contains(log, "nothing answers") || warnings(log) != 0 {
		t.Error(log)
	}
	h.k.Newest(whose)
	if n := h.seek(); n != 0 {
		t.Errorf("it is asked again at once")
	}
	w.before = nil
	w.pass(firstBackoff)
	h.k.Newest(whose)
	if n := h.seek(); n != 1 || !h.k.Newest(whose).Equal(m.Taken) {
		t.Errorf("%d looks, %v, want %v", n, h.k.Newest(whose), m.Taken)
	}
}
