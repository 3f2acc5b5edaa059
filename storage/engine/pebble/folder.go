package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"heddle/storage/engine"
)

// folder is the file system of one engine. Once it is fenced, nothing on disk
// changes through it anymore.
type folder struct {
	vfs.FS
	readOnly bool
	fenced   atomic.Bool
	closing  chan struct{} // closed when the engine is being closed
}

var errFenced = errors.New("nothing is written after an error that left open what is on disk")

// pauseFenced is how long a refused write waits: the database repeats a flush
// that failed at once and for ever, and would take a whole core.
const pauseFenced = 100 * time.Millisecond

func (f *folder) allow() error {
	if !f.fenced.Load() {
		return nil
	}
	f.pause()
	return errFenced
}

// pause takes its time, unless the engine is being closed.
func (f *folder) pause() {
	pause := time.NewTimer(pauseFenced)
	defer pause.Stop()
	select {
	case <-f.closing:
	case <-pause.C:
	}
}

// Create is vfs.FS's.
func (f *folder) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.allow(); err != nil {
		return nil, err
	}
	return f.FS.Create(name, category)
}

// Link is vfs.FS's.
func (f *folder) Link(from, to string) error {
	if err := f.allow(); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

// MkdirAll is vfs.FS's. What is in a store is for nobody but its user, wherever
// the folder lies.
func (f *folder) MkdirAll(dir string, perm os.FileMode) error {
	return f.FS.MkdirAll(dir, perm&^0o077)
}

// OpenReadWrite is vfs.FS's.
func (f *folder) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := f.allow(); err != nil {
		return nil, err
	}
	return f.FS.OpenReadWrite(name, category, o...)
}

// Remove is vfs.FS's.
func (f *folder) Remove(name string) error {
	if f.fenced.Load() {
		return errFenced
	}
	return f.FS.Remove(name)
}

// RemoveAll is vfs.FS's.
func (f *folder) RemoveAll(name string) error {
	if f.fenced.Load() {
		return errFenced
	}
	return f.FS.RemoveAll(name)
}

// Rename is vfs.FS's.
func (f *folder) Rename(from, to string) error {
	if err := f.allow(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// ReuseForWrite is vfs.FS's.
func (f *folder) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.allow(); err != nil {
		return nil, err
	}
	return f.FS.ReuseForWrite(from, to, category)
}

// Lock is vfs.FS's. What is opened for reading only is not given a lock file:
// it may lie where nothing can be written.
func (f *folder) Lock(name string) (io.Closer, error) {
	if f.readOnly {
		if _, err := f.FS.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return io.NopCloser(nil), nil
		}
	}
	l, err := f.FS.Lock(name)
	switch {
	case err == nil:
		return l, nil
	case f.readOnly && !isLocked(err) && errors.Is(kindOf(err), engine.ErrReadOnly):
		return io.NopCloser(nil), nil
	case isLocked(err):
		return nil, fmt.Errorf("%w: %w", engine.ErrLocked, err)
	}
	return nil, err
}

// Unwrap is vfs.FS's.
func (f *folder) Unwrap() vfs.FS { return f.FS }

// inspect looks at what lies in dir before the database does, which removes
// files by their names. It refuses a folder that holds files of a database of
// another kind.
func inspect(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var ours, data bool
	var first string
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "marker.manifest."):
			ours = true
		case name == "CURRENT" || name == "IDENTITY":
			return fmt.Errorf("%w: %s belongs to RocksDB or LevelDB", engine.ErrForeign, name)
		case isTable(name):
			if data = true; first == "" {
				first = name
			}
		}
	}
	if data && !ours {
		return fmt.Errorf("%w: there is %s, but no manifest of this engine", engine.ErrForeign, first)
	}
	return nil
}

// isTable tells whether a file of that name may hold entries.
func isTable(name string) bool {
	switch filepath.Ext(name) {
	case ".sst", ".ldb", ".blob":
		return true
	}
	return false
}

// sizeOf is the sum of the sizes of the files in dir.
func sizeOf(fsys vfs.FS, dir string) int64 {
	names, err := fsys.List(dir)
	if err != nil {
		return 0
	}
	var sum int64
	for _, name := range names {
		if st, err := fsys.Stat(fsys.PathJoin(dir, name)); err == nil && st.Mode()&os.ModeType == 0 {
			sum += st.Size()
		}
	}
	return sum
}
