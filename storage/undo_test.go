package storage

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// What is kept in mind of what came after a checkpoint is bounded by its size, not
// by the number of keys, which may be large.
func TestChangedIsBounded(t *testing.T) {
	for name, size := range map[string]int{"short keys": 16, "long keys": 64 << 10} {
		c := changed{keys: map[string]struct{}{}}
		key := bytes.Repeat([]byte("k"), size)
		most := maxChanged / (size + changedOverhead)
		for i := range most {
			binary.BigEndian.PutUint64(key, uint64(i))
			for range 2 { // a key counts once
				if !c.note(key, true) {
					t.Fatalf("%s: %d are too many", name, i)
				}
			}
		}
		binary.BigEndian.PutUint64(key, uint64(most))
		if c.note(key, true) {
			t.Errorf("%s: %d are not too many", name, most+1)
		}
		for i := range most + 1 {
			binary.BigEndian.PutUint64(key, uint64(i))
			for range 2 {
				c.note(key, false)
			}
		}
		if c.bytes != 0 || len(c.keys) != 0 {
			t.Errorf("%s: %d bytes of %d keys are left", name, c.bytes, len(c.keys))
		}
	}
}
