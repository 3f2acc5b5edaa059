package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/storage/engine"
)

// TestDamagedFolders: what is wrong with a folder is an error of a kind that
// says what to do, in one line, whether it shows when the folder is opened or
// when it is read.
func TestDamagedFolders(t *testing.T) {
	each := func(pattern string, do func(string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(found) == 0 {
				t.Fatalf("no %s (%v)", pattern, err)
			}
			for _, f := range found {
				if err := do(f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	halve := func(f string) error {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		return os.WriteFile(f, b[:len(b)/2], 0o600)
	}
	flip := func(f string) error {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		for i := 0; i < len(b); i += 64 {
			b[i] ^= 0x10
		}
		return os.WriteFile(f, b, 0o600)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, string)
		kind  error
	}{
		{"no manifest", each("MANIFEST-*", os.Remove), engine.ErrCorrupt},
		{"no marker", each("marker.manifest.*", os.Remove), engine.ErrForeign},
		{"no table", each("*.sst", os.Remove), engine.ErrCorrupt},
		{"a table cut off", each("*.sst", halve), engine.ErrCorrupt},
		{"a flipped table", each("*.sst", flip), engine.ErrCorrupt},
		{"a flipped manifest", each("MANIFEST-*", flip), engine.ErrCorrupt},
		{"an empty options file", each("OPTIONS-*", func(f string) error { return os.Truncate(f, 0) }), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			e, err := Open(engine.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			var batch []engine.Write
			for i := range 5000 {
				batch = append(batch, engine.Write{Key: fmt.Sprintf("key %05d", i), Value: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 20)})
			}
			if err := errors.Join(e.Apply(batch, []byte("mark")), e.Flush(), e.Close()); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			err = readAll(dir)
			if !errors.Is(err, tt.kind) {
				t.Fatalf("%v, want %v", err, tt.kind)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir)) {
				t.Errorf("not one line with the folder: %q", err)
			}
		})
	}
}

// readAll opens a folder and reads all of it.
func readAll(dir string) error {
	e, err := Open(engine.Options{Dir: dir})
	if err != nil {
		return err
	}
	it := e.Range("", "")
	n := 0
	for it.Next() {
		n++
	}
	err = it.Err()
	// It is closed without what the failure left half done.
	if _, e := it.Close(), e.Close(); err == nil && e != nil {
		return e
	}
	if err == nil && n != 5000 {
		return fmt.Errorf("%d entries were read", n)
	}
	return err
}

// TestRemovedFolder: a folder that somebody removes under a running store is
// damage, which the next start heals.
func TestRemovedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	e, err := Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(e.Apply([]engine.Write{{Key: "k", Value: []byte("v")}}, []byte("mark")), e.Flush(), e.Close())
	if !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), "somebody has removed some") || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}

// TestFolderIsTheUsersOwn: nobody else can look into a store's folder, nor into
// one that it is copied to.
func TestFolderIsTheUsersOwn(t *testing.T) {
	base := t.TempDir()
	dir, to := filepath.Join(base, "state"), filepath.Join(base, "copy")
	e, err := Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Apply([]engine.Write{{Key: "k", Value: []byte("v")}}, []byte("mark")), e.Flush(), e.Copy(to), e.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, to} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %v", d, info.Mode())
		}
	}
}
