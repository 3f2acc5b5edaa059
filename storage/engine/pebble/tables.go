package pebble

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tables writes records in the order of their keys to tables that the database
// can take over. Each is synced while the next one is built.
type tables struct {
	e         *Engine
	dir       string
	deletions bool // whether deletions are to be kept

	options sstable.WriterOptions
	w       *sstable.Writer
	bytes   int
	paths   []string
	synced  chan error // of the table before
}

const writeBuffer = 256 << 10

func newTables(e *Engine, dir string, deletions bool) *tables {
	level := 0
	if !deletions {
		level = len(e.opts.Levels) - 1
	}
	format := e.db.FormatMajorVersion().MaxTableFormat()
	o := e.opts.MakeWriterOptions(level, format)
	return &tables{e: e, dir: dir, deletions: deletions, options: o}
}

// fill writes the mark, unless it is nil, and all of src.
func (t *tables) fill(src source, mark []byte) error {
	if mark != nil {
		if err := t.set(markKey, mark); err != nil {
			return err
		}
	}
	for {
		key, value, ok, err := src.next()
		if err != nil || !ok {
			return err
		}
		if value == nil && !t.deletions {
			continue
		}
		if err := t.set(key, value); err != nil {
			return err
		}
	}
}

func (t *tables) set(key, value []byte) error {
	if t.w != nil && t.bytes > tableBytes {
		if err := t.end(); err != nil {
			return err
		}
	}
	if t.w == nil {
		if err := t.begin(); err != nil {
			return err
		}
	}
	t.bytes += len(key) + len(value)
	if value == nil {
		return t.w.Delete(key)
	}
	return t.w.Set(key, value)
}

func (t *tables) begin() error {
	t.e.files++
	path := filepath.Join(t.dir, fmt.Sprintf("%06d.table", t.e.files))
	f, err := t.e.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: 4 << 20})
	t.paths = append(t.paths, path)
	t.w = sstable.NewWriter(&tableFile{f: f, t: t, buf: make([]byte, 0, writeBuffer)}, t.options)
	t.bytes = 0
	return nil
}

// end completes the table that is being written.
func (t *tables) end() error {
	w := t.w
	t.w = nil
	return w.Close()
}

// close completes the last table; then all of them are on disk.
func (t *tables) close() ([]string, error) {
	var err error
	if t.w != nil {
		err = t.end()
	}
	return t.paths, errors.Join(err, t.wait())
}

// wait returns when the table before is on disk.
func (t *tables) wait() error {
	if t.synced == nil {
		return nil
	}
	err := <-t.synced
	t.synced = nil
	return err
}

// tableFile is objstorage.Writable: where a table is written to.
type tableFile struct {
	f   vfs.File
	t   *tables
	buf []byte
}

// Write is objstorage.Writable's.
func (w *tableFile) Write(p []byte) error {
	if len(w.buf)+len(p) > cap(w.buf) {
		if err := w.flush(); err != nil {
			return err
		}
		if len(p) >= cap(w.buf) {
			_, err := w.f.Write(p)
			return err
		}
	}
	w.buf = append(w.buf, p...)
	return nil
}

func (w *tableFile) flush() error {
	_, err := w.f.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Finish is objstorage.Writable's. It leaves syncing to another goroutine; the
// errors of that one come with the next table, or with close.
func (w *tableFile) Finish() error {
	err := w.flush()
	err = errors.Join(err, w.t.wait())
	if err != nil {
		return errors.Join(err, w.f.Close())
	}
	synced := make(chan error, 1)
	w.t.synced = synced
	go func() { synced <- errors.Join(w.f.Sync(), w.f.Close()) }()
	return nil
}

// Abort is objstorage.Writable's.
func (w *tableFile) Abort() { _ = w.f.Close() }
