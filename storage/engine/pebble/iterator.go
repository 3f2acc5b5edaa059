package pebble

import (
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// Range is engine.Engine's. The iterator works on the tables and memtables as
// they are now; it takes memory for one block of each level.
func (e *Engine) Range(from, to string) engine.Iterator {
	if e.closed {
		return &iterator{err: e.fail("reading", errClosed)}
	}
	return e.iterate(e.db, from, to)
}

func (e *Engine) iterate(r pebble.Reader, from, to string) engine.Iterator {
	bounds := make([]byte, 0, len(from)+len(to)+2)
	bounds = append(append(bounds, userByte), from...)
	n := len(bounds)
	if to == "" {
		bounds = append(bounds, endByte)
	} else {
		bounds = append(append(bounds, userByte), to...)
	}
	if to != "" && from >= to {
		return &iterator{}
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: bounds[:n:n], UpperBound: bounds[n:]})
	if err != nil {
		return &iterator{err: e.fail("reading", err)}
	}
	e.iterators.Add(1)
	e.open.Add(1)
	return &iterator{e: e, it: it}
}

type iterator struct {
	e       *Engine
	it      *pebble.Iterator // nil: at the end
	started bool
	err     error
}

// Next is engine.Iterator's.
func (i *iterator) Next() bool {
	if i.it == nil {
		return false
	}
	if i.e.gone.Load() {
		i.err = i.e.fail("reading", errClosed)
		i.release()
		return false
	}
	ok := false
	if i.started {
		ok = i.it.Next()
	} else {
		i.started = true
		ok = i.it.First()
	}
	if !ok {
		i.release()
	}
	return ok
}

// release ends the iteration. What it held on to, of memory and of files, is
// given up at the end of the range already.
func (i *iterator) release() {
	if i.it == nil {
		return
	}
	err := i.it.Close()
	if err != nil && i.err == nil {
		i.err = i.e.fail("reading", err)
	}
	i.it = nil
	i.e.open.Add(-1)
	i.e.iterators.Done()
}

// Key is engine.Iterator's.
func (i *iterator) Key() string {
	if i.it == nil {
		return ""
	}
	k := i.it.Key()[1:]
	return unsafe.String(unsafe.SliceData(k), len(k))
}

// Value is engine.Iterator's.
func (i *iterator) Value() []byte {
	if i.it == nil {
		return nil
	}
	v, err := i.it.ValueAndErr()
	if err != nil {
		i.err = i.e.fail("reading", err)
		return nil
	}
	return v
}

// Err is engine.Iterator's.
func (i *iterator) Err() error { return i.err }

// Close is engine.Iterator's.
func (i *iterator) Close() error {
	i.release()
	return i.err
}
