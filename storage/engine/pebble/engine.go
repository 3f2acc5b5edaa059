package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"heddle/storage/engine"
)

// The database's keys: the mark is one byte, the others are the store's keys
// behind another byte.
const (
	markByte = 0x00
	userByte = 0x01
	endByte  = 0x02
)

var (
	markKey = []byte{markByte}

	errClosed = errors.New("the store is closed")
)

// Engine holds a store in a database of tables on disk.
type Engine struct {
	dir      string
	db       *pebble.DB
	opts     *pebble.Options
	fs       *folder
	fault    *fault
	leave    func()
	readOnly bool
	loading  bool
	closed   bool

	// wake gets a token whenever a flush or a compaction has ended.
	wake chan struct{}
	// unlooked is how many bytes were applied since it was last looked at how
	// much waits for flushes and compactions.
	unlooked int

	key  []byte
	rows *rows // nil: none
	// memtables is how many may wait to be flushed before Apply waits.
	memtables int
	files     int // so many files were made outside of the database

	// Iterators may outlive a call, and live in other goroutines.
	iterators sync.WaitGroup
	open      atomic.Int64
	gone      atomic.Bool
	snapshots snapshots
}

var _ engine.OnDisk = (*Engine)(nil)

func init() { //nolint:gochecknoinits // an engine makes itself known, as a driver does
	engine.Register(engine.Pebble, func(o engine.Options) (engine.Engine, error) {
		e, err := Open(o)
		if err != nil {
			return nil, err
		}
		return e, nil
	})
}

// Open opens the engine in o.Dir, or makes it. Its errors are of the kinds of
// package engine wherever one of them fits.
func Open(o engine.Options) (*Engine, error) { return openIn(o, vfs.Default) }

func openIn(o engine.Options, fsys vfs.FS) (*Engine, error) {
	if o.Dir == "" {
		return nil, errors.New("a store on disk needs a folder")
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p, note, err := configure(o)
	if err != nil {
		return nil, failed("opening", o.Dir, err)
	}
	if err := inspect(fsys, o.Dir); err != nil {
		return nil, failed("opening", o.Dir, err)
	}
	e := &Engine{
		dir:      o.Dir,
		opts:     p,
		fs:       &folder{FS: fsys, readOnly: o.ReadOnly, closing: make(chan struct{})},
		fault:    newFault(o.Dir, log),
		readOnly: o.ReadOnly,
		wake:     make(chan struct{}, 1),
		key:      []byte{userByte},
		rows:     newRows(o.RowBytes),
	}
	e.fault.fence, e.fault.pause = func() { e.fs.fenced.Store(true) }, e.fs.pause
	p.FS = e.fs
	p.Logger = e.fault
	p.EventListener = e.fault.listener(func() {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	})
	e.memtables = memtables
	if o.MemTables > 0 {
		e.memtables = max(o.MemTables-1, 1)
	}
	s, leave := share(o.Share, o.CacheBytes, int64(e.memtables)*int64(p.MemTableSize), o.OpenFiles)
	if o.CacheBytes > 0 && o.CacheBytes != s.bytes {
		log.Warn("stores share a cache of another size than this one asks for",
			"share", o.Share, "bytes", s.bytes, "asked", o.CacheBytes)
	}
	if note != "" && s.first(note) {
		log.Warn(note, "compression", o.Compression)
	}
	p.Cache, p.FileCache = s.blocks, s.files
	p.EnsureDefaults()
	e.leave = leave

	release := func() {
		close(e.fs.closing)
		leave()
	}
	begun := open(o.Dir, p)
	if !begun.wait(e.fault) {
		begun.abandon(release)
		return nil, failed("opening", o.Dir, e.fault.get())
	}
	e.db, err = begun.db, begun.err
	if err == nil {
		err = e.fault.get()
	}
	if err == nil && !o.ReadOnly {
		err = e.fs.RemoveAll(filepath.Join(o.Dir, loadFolder))
	}
	if err != nil {
		if e.db != nil {
			_ = e.db.Close()
		}
		release()
		if kind := kindOfOpen(err); kind != nil {
			err = fmt.Errorf("%w: %w", kind, err)
		}
		return nil, failed("opening", o.Dir, err)
	}
	return e, nil
}

// Get is engine.Engine's.
func (e *Engine) Get(dst []byte, key string) ([]byte, bool, error) {
	if e.closed {
		return dst, false, e.fail("reading", errClosed)
	}
	if v, ok := e.rows.get(key); ok {
		return append(dst, v...), true, nil
	}
	e.key = append(e.key[:1], key...)
	v, closer, err := e.db.Get(e.key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return dst, false, nil
		}
		return dst, false, e.fail("reading", err)
	}
	dst = append(dst, v...)
	e.rows.put(key, v)
	if err := closer.Close(); err != nil {
		return dst, false, e.fail("reading", err)
	}
	return dst, true, nil
}

// Mark is engine.Engine's.
func (e *Engine) Mark() ([]byte, error) {
	if e.closed {
		return nil, e.fail("reading the mark", errClosed)
	}
	v, closer, err := e.db.Get(markKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, e.fail("reading the mark", err)
	}
	mark := slices.Clone(v)
	if err := closer.Close(); err != nil {
		return nil, e.fail("reading the mark", err)
	}
	if mark == nil {
		mark = []byte{}
	}
	return mark, nil
}

// writable tells why nothing can be written.
func (e *Engine) writable(op string) error {
	switch {
	case e.closed:
		return e.fail(op, errClosed)
	case e.readOnly:
		return e.fail(op, fmt.Errorf("%w: it was opened for reading only", engine.ErrReadOnly))
	case e.loading:
		return e.fail(op, errors.New("it is being loaded"))
	}
	return e.fault.get()
}

// Flush is engine.OnDisk's.
func (e *Engine) Flush() error {
	if err := e.writable("writing"); err != nil {
		return err
	}
	return e.flush()
}

func (e *Engine) flush() error {
	done, err := e.db.AsyncFlush()
	if err != nil {
		return e.fail("writing", err)
	}
	select {
	case <-done:
		return nil
	case <-e.fault.hit:
		return e.fault.err
	}
}

// Size is engine.OnDisk's.
func (e *Engine) Size() int64 { return sizeOf(e.fs.FS, e.dir) }

// Copy is engine.OnDisk's.
func (e *Engine) Copy(dir string) error {
	if e.closed {
		return e.fail("copying", errClosed)
	}
	if !e.readOnly {
		if err := e.writable("copying"); err != nil {
			return err
		}
		if err := e.flush(); err != nil {
			return err
		}
	}
	if err := e.db.Checkpoint(dir); err != nil {
		return e.fail("copying to "+dir, err)
	}
	return nil
}

// closeWait is how long Close waits for iterators that other goroutines hold.
const closeWait = 10 * time.Second

// Close is engine.Engine's. What was applied is flushed first, unless something
// has failed before. Iterators end at their next step; Close waits for those
// of other goroutines to be closed.
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	var err error
	if !e.readOnly && !e.loading {
		if err = e.fault.get(); err == nil {
			err = e.flush()
		}
	}
	e.closed = true
	e.gone.Store(true)
	e.snapshots.release()
	done := make(chan struct{})
	go func() {
		e.iterators.Wait()
		close(done)
	}()
	wait := time.NewTimer(closeWait)
	defer wait.Stop()
	select {
	case <-done:
		return errors.Join(err, e.shut())
	case <-wait.C:
		go func() {
			<-done
			_ = e.shut()
		}()
		return errors.Join(err, e.fail("closing", fmt.Errorf("%d iterators are open; it is closed with the last of them", e.open.Load())))
	}
}

func (e *Engine) shut() error {
	close(e.fs.closing)
	err := e.db.Close()
	e.leave()
	if e.fault.get() != nil {
		return nil //nolint:nilerr // complaints about what the failure left half done say nothing new
	}
	return e.fail("closing", err)
}

func (e *Engine) fail(op string, err error) error { return failed(op, e.dir, err) }
