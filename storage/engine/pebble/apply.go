package pebble

import (
	"heddle/storage/engine"

	"github.com/cockroachdb/pebble/v2"
)

// Apply is engine.Engine's. The writes are sorted first: inserting them into
// the memtable in the order of their keys costs a fraction.
func (e *Engine) Apply(batch []engine.Write, mark []byte) error {
	if err := e.writable("writing"); err != nil {
		return err
	}
	if len(batch) == 0 && mark == nil {
		return nil
	}
	bytes := 0
	for i := range batch {
		bytes += len(batch[i].Key) + len(batch[i].Value) + entryOverhead
	}
	if err := e.makeRoom(bytes); err != nil {
		return err
	}
	sync := pebble.NoSync
	if !e.opts.DisableWAL {
		sync = pebble.Sync
	}
	b := e.db.NewBatchWithSize(bytes + len(mark) + batchOverhead)
	if mark != nil {
		if err := b.Set(markKey, mark, nil); err != nil {
			return e.fail("writing", err)
		}
	}
	order := orders.Get().(*order)
	defer orders.Put(order)
	for _, i := range order.of(batch) {
		w := &batch[i]
		if w.Value == nil {
			d := b.DeleteDeferred(1 + len(w.Key))
			d.Key[0] = userByte
			copy(d.Key[1:], w.Key)
			if err := d.Finish(); err != nil {
				return e.fail("writing", err)
			}
			continue
		}
		d := b.SetDeferred(1+len(w.Key), len(w.Value))
		d.Key[0] = userByte
		copy(d.Key[1:], w.Key)
		copy(d.Value, w.Value)
		if err := d.Finish(); err != nil {
			return e.fail("writing", err)
		}
	}
	if err := e.db.Apply(b, sync); err != nil {
		e.rows.clear()
		return e.fail("writing", err)
	}
	if e.rows != nil {
		for i := range batch {
			if w := &batch[i]; w.Value == nil {
				e.rows.remove(w.Key)
			} else {
				e.rows.put(w.Key, w.Value)
			}
		}
	}
	if err := b.Close(); err != nil {
		return e.fail("writing", err)
	}
	return e.fault.get()
}

const (
	// batchOverhead and entryOverhead are about what a batch and an entry of it
	// take besides keys and values.
	batchOverhead = 64
	entryOverhead = 12
)

// makeRoom waits until flushes and compactions have caught up, or have failed.
// The database would wait for ever if they fail, so it is told not to wait.
//
// Memtables are bounded by their bytes, not by their number: the first ones of an
// engine are small, and the database flushes none of them before they take half of
// a whole one together. Beyond two whole ones it always has something to flush.
func (e *Engine) makeRoom(bytes int) error {
	e.unlooked += bytes
	if e.unlooked < int(e.opts.MemTableSize)/2 {
		return nil
	}
	e.unlooked = 0
	for {
		m := e.db.Metrics()
		if m.MemTable.Size <= uint64(e.memtables+1)*e.opts.MemTableSize && m.Levels[0].Sublevels <= l0Sublevels {
			return nil
		}
		select {
		case <-e.wake:
		case <-e.fault.hit:
			return e.fault.err
		}
	}
}
