package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

var _ engine.Concurrent = (*Engine)(nil)

// Reader is engine.Concurrent's: the database is read without locks while it is
// written to. No reader may be in a call when the engine is closed.
func (e *Engine) Reader() engine.Reader { return &beside{e: e, key: []byte{userByte}} }

type beside struct {
	e   *Engine
	key []byte
}

func (r *beside) Get(dst []byte, key string) ([]byte, bool, error) {
	if r.e.gone.Load() {
		return dst, false, r.e.fail("reading", errClosed)
	}
	r.key = append(r.key[:1], key...)
	v, closer, err := r.e.db.Get(r.key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return dst, false, nil
		}
		return dst, false, r.e.fail("reading", err)
	}
	dst = append(dst, v...)
	if err := closer.Close(); err != nil {
		return dst, false, r.e.fail("reading", err)
	}
	return dst, true, nil
}

func (r *beside) Range(from, to string) engine.Iterator {
	if r.e.gone.Load() {
		return &iterator{err: r.e.fail("reading", errClosed)}
	}
	return r.e.Range(from, to)
}

func (r *beside) Snapshot() engine.Snapshot {
	if r.e.gone.Load() {
		return &snapshot{e: r.e}
	}
	return r.e.Snapshot()
}
