package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"heddle/storage/engine"
	"heddle/storage/engine/memory"
)

// disk is an engine on disk for tests: it keeps what it is told to keep when a
// test says so, and loses the rest with the process. Its folder holds a file
// that names what it keeps, so that whoever removes the folder removes that,
// too.
type disk struct {
	*memory.Engine
	dir  string
	file string
}

const diskEngine = "disk"

// disks are what the files of disk engines hold.
type disks struct {
	mu    sync.Mutex
	kept  map[string]kept // by what the file says
	count int
	// losing: Close keeps nothing, as if the process were killed.
	losing bool
	// keep says whether an Apply is kept at once; nil: it is not.
	keep func() bool
	// fail is asked before each operation.
	fail func(op string) error
	// applied counts batches, and loads bulks.
	applied, loads int
}

type kept struct {
	entries map[string]string
	mark    []byte
}

var theDisks = &disks{kept: map[string]kept{}}

func init() { //nolint:gochecknoinits // an engine makes itself known
	engine.Register(diskEngine, func(o engine.Options) (engine.Engine, error) { return theDisks.open(o.Dir) })
}

func (d *disks) ask(op string) error {
	d.mu.Lock()
	f := d.fail
	d.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(op)
}

// reset forgets faults and counts.
func (d *disks) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.losing, d.keep, d.fail, d.applied, d.loads = false, nil, nil, 0, 0
}

func (d *disks) open(dir string) (engine.Engine, error) {
	if err := d.ask("open"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "CURRENT")
	e := &disk{Engine: memory.New(), dir: dir}
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.count++
		e.file = fmt.Sprint("file ", d.count)
		return e, os.WriteFile(name, []byte(e.file), 0o600)
	case err != nil:
		return nil, err
	}
	e.file = string(b)
	if !strings.HasPrefix(e.file, "file ") {
		return nil, fmt.Errorf("CURRENT: %w", engine.ErrCorrupt)
	}
	k := d.kept[e.file]
	var all []engine.Write
	for key, v := range k.entries {
		all = append(all, engine.Write{Key: key, Value: append([]byte{}, v...)})
	}
	return e, e.Engine.Apply(all, k.mark)
}

func (e *disk) keep() {
	k := kept{entries: map[string]string{}}
	k.mark, _ = e.Engine.Mark()
	for it := e.Engine.Range("", ""); it.Next(); {
		k.entries[strings.Clone(it.Key())] = string(it.Value())
	}
	theDisks.mu.Lock()
	theDisks.kept[e.file] = k
	theDisks.mu.Unlock()
}

func (e *disk) Get(dst []byte, key string) ([]byte, bool, error) {
	if err := theDisks.ask("get"); err != nil {
		return dst, false, err
	}
	return e.Engine.Get(dst, key)
}

func (e *disk) Apply(batch []engine.Write, mark []byte) error {
	if err := theDisks.ask("apply"); err != nil {
		return err
	}
	if err := e.Engine.Apply(batch, mark); err != nil {
		return err
	}
	theDisks.mu.Lock()
	theDisks.applied++
	keep := theDisks.keep
	theDisks.mu.Unlock()
	if keep != nil && keep() {
		e.keep()
	}
	return nil
}

func (e *disk) Flush() error { e.keep(); return nil }

func (e *disk) Close() error {
	theDisks.mu.Lock()
	losing := theDisks.losing
	theDisks.mu.Unlock()
	if !losing {
		e.keep()
	}
	return e.Engine.Close()
}

func (e *disk) Load() (engine.Load, error) {
	theDisks.mu.Lock()
	theDisks.loads++
	delete(theDisks.kept, e.file) // a crash leaves it without a mark
	theDisks.mu.Unlock()
	return &diskLoad{e: e}, nil
}

type diskLoad struct{ e *disk }

func (l *diskLoad) Add(key, value []byte) error {
	if err := theDisks.ask("add"); err != nil {
		return err
	}
	w := engine.Write{Key: string(key)}
	if value != nil {
		w.Value = append([]byte{}, value...)
	}
	return l.e.Engine.Apply([]engine.Write{w}, nil)
}

func (l *diskLoad) Finish(mark []byte) error {
	if err := l.e.Engine.Apply(nil, mark); err != nil {
		return err
	}
	l.e.keep()
	return nil
}

func (l *diskLoad) Abort() error { return nil }

func (e *disk) Copy(dir string) error {
	e.keep()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	theDisks.mu.Lock()
	defer theDisks.mu.Unlock()
	theDisks.count++
	file := fmt.Sprint("file ", theDisks.count)
	k := theDisks.kept[e.file]
	theDisks.kept[file] = kept{entries: maps.Clone(k.entries), mark: k.mark}
	return os.WriteFile(filepath.Join(dir, "CURRENT"), []byte(file), 0o600)
}

func (e *disk) Size() int64 { return 1 }

var _ engine.OnDisk = (*disk)(nil)
