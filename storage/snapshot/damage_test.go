package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heddle/storage"
)

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
			h.log.Take()
			if got := h.fetch(); got != 1 {
				t.Errorf("restored to %d", got)
			}
			if log := h.log.Take(); warnings(log) != 1 || !strings.Contains(log, tt.says) {
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
			t.Errorf("found by a fetch %v: restored to %d\n%s", fetched, got, h.log.Take())
		}
	}
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
	if log := h.log.Take(); warnings(log) != 1 || !strings.Contains(log, "another one than when its checksum was made") || h.k.away() != nil {
		t.Errorf("%s", log)
	}
	if m, f := w.names(t, manifestsFolder), w.names(t, filesFolder); len(m)+len(f) != 0 {
		t.Errorf("%v, %v", m, f)
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
