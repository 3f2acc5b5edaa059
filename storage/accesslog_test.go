package storage

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"heddle/task"
)

// TestAccessFormat holds the bytes to those of Samza 1.8.0's AccessLogMessage:
// the file's lines are what its serialize() gave for these entries.
func TestAccessFormat(t *testing.T) {
	b, err := os.ReadFile("testdata/accesslog-samza-1.8.0.hex")
	check(t, err)
	lines := strings.Fields(string(b))
	entries := []access{
		{op: accessRead},
		{op: accessWrite, keys: [][]byte{[]byte("user-1")}},
		{op: accessDelete, keys: [][]byte{{0, 1, 255}, nil, {}, make([]byte, 300)}},
	}
	if len(lines) != len(entries) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, e := range entries {
		e.took, e.at = 123456789012+int64(i), 1700000000000+int64(i)
		if got := hex.EncodeToString(appendAccess(nil, e)); got != lines[i] {
			t.Errorf("entry %d:\n%s\nwant\n%s", i, got, lines[i])
		}
	}
}

// TestAccessLog: which calls are logged, with which keys, where, and that the
// sample is the one asked for.
func TestAccessLog(t *testing.T) {
	spec := loggedSpec("counts")
	spec.AccessLogRatio = 50
	r := newRig(spec)
	check(t, r.broker.Create(r.other("counts-changelog-access-log")))
	clock := now
	next := 0
	r.options = func(o *Options) {
		o.Now = func() time.Time { clock = clock.Add(time.Millisecond); return clock }
		o.Chance = func(n int) int {
			if n != 100 {
				t.Errorf("chance of %d", n)
			}
			return next
		}
	}
	r.start(t)
	s := r.store(t, "counts")
	all := func() {
		check(t, s.Put("a", 1))
		check(t, s.PutAll([]task.Entry{{Key: "b", Value: 2}, {Key: "c"}}))
		_, err := s.Get("a")
		check(t, err)
		var v int
		_, err = s.GetInto("b", &v)
		check(t, err)
		_, err = s.GetAll([]any{"a", "z"})
		check(t, err)
		for e := range s.Range("a", nil) {
			check(t, e.Err)
			break
		}
		for e := range s.Prefix("b") {
			check(t, e.Err)
		}
		for range s.All() { //nolint:revive // it is only to be called
		}
		snap, err := s.Snapshot(nil, "b")
		check(t, err)
		check(t, snap.Close())
		check(t, s.Delete("a"))
		if err := s.Put("a", "no number"); err == nil {
			t.Error("no error")
		}
	}
	next = 50
	all()
	check(t, r.commit(t, allSteps))
	if got := r.broker.Records("counts-changelog-access-log", changelogPartition); len(got) != 0 {
		t.Fatalf("%d entries outside of the sample", len(got))
	}
	next = 49
	all()
	check(t, r.commit(t, allSteps))
	var got []string
	for _, rec := range r.broker.Records("counts-changelog-access-log", changelogPartition) {
		v := rec.Value[len(accessHead):]
		op, took, at := binary.BigEndian.Uint32(v), binary.BigEndian.Uint64(v[4:]), binary.BigEndian.Uint64(v[12:])
		if binary.BigEndian.Uint64(rec.Key) != at || rec.Timestamp != int64(at) || took < 1e6 {
			t.Errorf("key %x, at %d, took %d", rec.Key, at, took)
		}
		keys := string(v[20+len(accessKeys):])
		n := binary.BigEndian.Uint32([]byte(keys))
		got = append(got, fmt.Sprintf("%d:%d:%d", op, n, strings.Count(keys[10:], "p")-strings.Count(keys, firstBytes)))
	}
	want := "2:1:0 2:2:0 1:1:0 1:1:0 1:2:0 4:2:1 4:2:1 5:2:1 3:1:0" // operation, keys, nulls
	if s := strings.Join(got, " "); s != want {
		t.Errorf("entries %s, want %s", s, want)
	}
	if got := r.set.Positions()["counts"].Offset; got == "" {
		t.Error("no position")
	}
	r.end(t)
}
