package storage

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"heddle/system"
)

var marks = []Mark{
	{Between: true},
	{Beside: true},
	{Offset: NoOffset},
	{Offset: 0, At: now},
	{Topic: system.TopicID{1, 15: 9}, Offset: 5, At: now},
	{Topic: system.TopicID{7}, Offset: 3, Checkpoint: "1763899200000-1", At: now},
	{Offset: math.MaxInt64 - 1, Checkpoint: "1763899200000-123456", At: now},
	{Offset: 77, Checkpoint: strings.Repeat("x", maxCheckpointID), At: time.UnixMilli(-5).UTC()},
}

func TestMarks(t *testing.T) {
	for _, m := range marks {
		b := AppendMark([]byte{}, m)
		got, err := ParseMark(b)
		if err != nil || got != m {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
		if !m.Between && !m.Beside && m.Checkpoint == "" {
			for n := range b {
				if got, err := ParseMark(b[:n]); err == nil {
					t.Errorf("%x, cut off after %d bytes, is %+v", b, n, got)
				}
			}
		}
	}
	if n := len(AppendMark(nil, marks[6])); n > 40 {
		t.Errorf("a mark takes %d bytes", n)
	}
	for _, bad := range [][]byte{nil, {2, 0, 1, 0}, {1, 2, 1, 0}, {1, 1, 0}, {1, 0, 0xff}, append([]byte{1, 0, 0, 0}, make([]byte, 256)...)} {
		if m, err := ParseMark(bad); err == nil {
			t.Errorf("%x is %+v", bad, m)
		}
	}
}

// TestMarksOfBeforeTopicIDs are read, and marks without an id are still written
// so, for a Heddle of then to read.
func TestMarksOfBeforeTopicIDs(t *testing.T) {
	old := []byte{1, 0, 0x4e, 0x80, 0x80, 0x8a, 0xbf, 0x9e, 0x67, '1', '-', '2'}
	want := Mark{Offset: 77, Checkpoint: "1-2", At: time.UnixMilli(1773619200000).UTC()}
	if got, err := ParseMark(old); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v, which is %x", got, err, want, AppendMark(nil, want))
	}
	if got := AppendMark(nil, want); !bytes.Equal(got, old) {
		t.Errorf("%x, want %x", got, old)
	}
}

func FuzzMark(f *testing.F) {
	for _, m := range marks {
		f.Add(AppendMark(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMark(b)
		if err != nil {
			return
		}
		again, err := ParseMark(AppendMark(nil, m))
		if err != nil || again != m {
			t.Fatalf("%x is %+v, and that is %+v, %v", b, m, again, err)
		}
		if bytes.Equal(b, nil) {
			t.Fatal("nothing is a mark")
		}
	})
}
