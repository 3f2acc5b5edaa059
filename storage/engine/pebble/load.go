package pebble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"heddle/storage/engine"
)

const (
	// arenaBytes bounds what a load holds in memory of records that are not yet
	// sorted; what sorts them takes 36 bytes for each again.
	arenaBytes = 16 << 20
	// arenaRecords bounds their number: of small ones the index is what takes the memory.
	arenaRecords = 256 << 10
	// runsMerged is how many sorted runs are merged into a larger one at once. It
	// bounds the memory of a merge and the number of open files.
	runsMerged = 64

	// loadFolder is where a load keeps its files, below the engine's folder. What
	// a crash leaves there is removed when the engine is opened.
	loadFolder = "load"
)

// load sorts the writes in pieces that fit into memory, writes each piece to a
// file, a run, and merges all runs into tables at the end. So every entry is
// compressed, indexed and checked once, in its final place, and the engine
// has nothing left to compact.
type load struct {
	e     *Engine
	dir   string
	piece *piece
	runs  []run // in the order of their writes
	bare  bool  // nothing is below: deletions need not be kept
	err   error
	done  bool

	arena   int // limits; tests make them small
	records int
	fanIn   int
}

// Load is engine.OnDisk's. Until Finish the engine holds, on disk too, what it
// held before.
func (e *Engine) Load() (engine.Load, error) {
	return e.startLoad(arenaBytes, arenaRecords, runsMerged)
}

func (e *Engine) startLoad(arena, records, fanIn int) (*load, error) {
	if err := e.writable("loading"); err != nil {
		return nil, err
	}
	if err := e.flush(); err != nil {
		return nil, err
	}
	l := &load{e: e, dir: filepath.Join(e.dir, loadFolder), piece: takePiece(arena), arena: arena, records: records, fanIn: fanIn}
	it := e.Range("", "")
	l.bare = !it.Next()
	if err := it.Close(); err != nil {
		return nil, err
	}
	if err := e.fs.RemoveAll(l.dir); err != nil {
		return nil, e.fail("loading", err)
	}
	if err := e.fs.MkdirAll(l.dir, 0o755); err != nil {
		return nil, e.fail("loading", err)
	}
	e.loading = true
	e.rows.clear()
	return l, nil
}

var errLoadDone = errors.New("the load has ended")

// Add is engine.Load's.
func (l *load) Add(key, value []byte) error {
	if l.err != nil {
		return l.err
	}
	if l.done {
		return l.fail(errLoadDone)
	}
	if l.piece.full(len(key)+len(value), l.arena, l.records) {
		if err := l.spill(); err != nil {
			return err
		}
	}
	if err := l.piece.add(key, value); err != nil {
		return l.fail(err)
	}
	return nil
}

// spill writes the records in memory to a run.
func (l *load) spill() error {
	src := l.piece.sorted()
	r, err := writeRun(l.e.fs, l.runPath(), src, 0)
	if err != nil {
		return l.fail(err)
	}
	l.piece.reset()
	l.runs = append(l.runs, r)
	return l.fail(l.shrink())
}

// shrink merges the newest runs of one rank into one of the next when there
// are too many of them. They follow each other, so that the order in which
// writes win stays that of the runs.
func (l *load) shrink() error {
	for {
		n := len(l.runs)
		if n < l.fanIn || l.runs[n-l.fanIn].rank != l.runs[n-1].rank {
			return nil
		}
		last := l.runs[n-l.fanIn:]
		m, err := openRuns(l.e.fs, last, nil)
		if err != nil {
			return err
		}
		merged, err := writeRun(l.e.fs, l.runPath(), m, last[0].rank+1)
		if err = errors.Join(err, m.close()); err != nil {
			return err
		}
		for _, r := range last {
			if err := l.e.fs.Remove(r.path); err != nil {
				return err
			}
		}
		l.runs = append(l.runs[:n-l.fanIn], merged)
	}
}

func (l *load) runPath() string {
	l.e.files++
	return filepath.Join(l.dir, fmt.Sprintf("%06d.run", l.e.files))
}

// Finish is engine.Load's. The tables become part of the engine all at once,
// together with the mark.
func (l *load) Finish(mark []byte) error {
	if l.err != nil {
		return l.err
	}
	if l.done {
		return l.fail(errLoadDone)
	}
	m, err := openRuns(l.e.fs, l.runs, l.piece.sorted())
	if err != nil {
		return l.fail(err)
	}
	t := newTables(l.e, l.dir, !l.bare)
	err = t.fill(m, mark)
	err = errors.Join(err, m.close())
	l.release()
	paths, closeErr := t.close()
	if err = errors.Join(err, closeErr); err != nil {
		return l.fail(err)
	}
	if len(paths) > 0 {
		if err := l.e.db.Ingest(context.Background(), paths); err != nil {
			return l.fail(err)
		}
	}
	if err := l.e.fault.get(); err != nil {
		return l.fail(err)
	}
	if err := l.e.fs.RemoveAll(l.dir); err != nil {
		return l.fail(err)
	}
	l.done = true
	l.e.loading = false
	return nil
}

// Abort is engine.Load's.
func (l *load) Abort() error {
	if l.done {
		return nil
	}
	l.done = true
	l.release()
	l.runs = nil
	l.e.loading = false
	if err := l.e.fs.RemoveAll(l.dir); err != nil {
		return l.e.fail("giving up loading", err)
	}
	return nil
}

// release gives up the memory of the piece, and with it what was not yet written.
func (l *load) release() {
	givePiece(l.piece)
	l.piece = &piece{}
}

// fail keeps the first error, which all later calls return.
func (l *load) fail(err error) error {
	if err == nil {
		return nil
	}
	err = l.e.fail("loading", err)
	if l.err == nil {
		l.err = err
	}
	return err
}
