package pebble

import (
	"fmt"
	"testing"

	"heddle/storage/engine"
)

func count(t *testing.T, it engine.Iterator) (n int) {
	t.Helper()
	for it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSnapshot: writes, flushes and compactions pass a snapshot by, and the end
// of the engine does not wait for one that was forgotten.
func TestSnapshot(t *testing.T) {
	e, err := Open(engine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	fill := func(value []byte) {
		var batch []engine.Write
		for i := range n {
			batch = append(batch, engine.Write{Key: fmt.Sprintf("k%04d", i), Value: value})
		}
		if err := e.Apply(batch, []byte("m")); err != nil {
			t.Fatal(err)
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	fill([]byte("1"))
	s, forgotten := e.Snapshot(), e.Snapshot()
	fill(nil)
	if err := e.db.Compact(t.Context(), []byte{userByte}, []byte{endByte}, false); err != nil {
		t.Fatal(err)
	}
	if got := count(t, e.Range("", "")); got != 0 {
		t.Errorf("the engine holds %d", got)
	}
	for range 2 {
		if got := count(t, s.Range("", "")); got != n {
			t.Errorf("the snapshot holds %d", got)
		}
	}
	if got := count(t, s.Range("k0010", "k0020")); got != 10 {
		t.Errorf("a range of it holds %d", got)
	}
	open := s.Range("", "")
	if !open.Next() || string(open.Value()) != "1" {
		t.Error("no first entry")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !open.Next() {
		t.Error("an iterator ends with its snapshot")
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if it := s.Range("", ""); it.Next() || it.Err() == nil {
		t.Error("a closed snapshot can be read")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if it := forgotten.Range("", ""); it.Next() || it.Err() == nil {
		t.Error("a snapshot can be read after the end of its engine")
	}
	if err := forgotten.Close(); err != nil {
		t.Error(err)
	}
}
