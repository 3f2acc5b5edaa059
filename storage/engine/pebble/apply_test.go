package pebble

import (
	"fmt"
	"testing"
	"time"

	"heddle/storage/engine"
)

// TestApplyGoesOn writes more than the memtables hold. The first ones of an engine
// are small, and are not flushed before they take half of a whole one together:
// nothing may wait for that.
func TestApplyGoesOn(t *testing.T) {
	for _, tt := range []struct {
		buffer       int64
		value, batch int
	}{
		{64 << 10, 1000, 10},
		{1 << 20, 20, 500},
		{4 << 20, 20, 500},
		{4 << 20, 30_000, 1},
		{4 << 20, 100_000, 30}, // a batch is more than half of a memtable
		{32 << 20, 1000, 500},
		{32 << 20, 100_000, 18},
	} {
		t.Run(fmt.Sprintf("buffer %d, %d values of %d", tt.buffer, tt.batch, tt.value), func(t *testing.T) {
			t.Parallel()
			e, err := Open(engine.Options{Dir: t.TempDir(), WriteBufferBytes: tt.buffer, Share: t.Name()})
			if err != nil {
				t.Fatal(err)
			}
			filled := make(chan error, 1)
			go func() { filled <- fillEngine(e, tt.value, tt.batch, tt.buffer*5/2) }()
			select {
			case err := <-filled:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				m := e.db.Metrics()
				t.Fatalf("it waits, with %d memtables of %d bytes", m.MemTable.Count, m.MemTable.Size)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillEngine applies batches of new entries until there were so many bytes.
func fillEngine(e *Engine, value, batch int, bytes int64) error {
	v := make([]byte, value)
	writes := make([]engine.Write, batch)
	n := 0
	for written := int64(0); written < bytes; written += int64(value * batch) {
		for i := range writes {
			writes[i] = engine.Write{Key: fmt.Sprintf("k%09d", n), Value: v}
			n++
		}
		if err := e.Apply(writes, nil); err != nil {
			return err
		}
	}
	return nil
}
