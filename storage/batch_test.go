package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"heddle/storage/engine"
	"heddle/task"
)

func TestBatches(t *testing.T) {
	for _, size := range sizes {
		r := newRig(Spec{Name: "s", Engine: engine.Memory, KeySerde: "string", ValueSerde: "long", CacheEntries: size[0], WriteBatch: size[1]})
		r.start(t)
		s := r.store(t, "s")
		check(t, s.Put("a", 1))
		check(t, s.PutAll([]task.Entry{{Key: "b", Value: 2}, {Key: "a"}, {Key: "c", Value: 3}, {Key: "c", Value: 4}}))
		got, err := s.GetAll([]any{"c", "a", "b", "c"})
		check(t, err)
		if want := []any{int64(4), nil, int64(2), int64(4)}; !slices.Equal(got, want) {
			t.Errorf("cache %v: %v, want %v", size, got, want)
		}
		err = s.PutAll([]task.Entry{{Key: "d", Value: 5}, {Key: "b"}, {Key: "e", Value: "no number"}})
		if err == nil || !strings.Contains(err.Error(), "entry 3 of 3") {
			t.Errorf("cache %v: %v", size, err)
		}
		if got := fmt.Sprint(contents(t, s)); got != "map[b:2 c:4]" {
			t.Errorf("cache %v: after a batch that was refused: %v", size, got)
		}
		if _, err := s.GetAll([]any{"b", nil}); err == nil || !strings.Contains(err.Error(), "entry 2 of 2") {
			t.Errorf("cache %v: %v", size, err)
		}
	}
}

// TestTaskSnapshots: a snapshot does not change, whatever the store does, and can
// be read again, by others too.
func TestTaskSnapshots(t *testing.T) {
	for _, size := range sizes {
		r := newRig(Spec{Name: "s", Engine: engine.Memory, KeySerde: "string", ValueSerde: "long", CacheEntries: size[0], WriteBatch: size[1]})
		r.start(t)
		s := r.store(t, "s")
		read := func(snap task.Snapshot) string {
			var out []string
			for e := range snap.Entries() {
				check(t, e.Err)
				out = append(out, fmt.Sprint(e.Key, e.Value))
			}
			return strings.Join(out, " ")
		}
		check(t, s.PutAll([]task.Entry{{Key: "a", Value: 1}, {Key: "b", Value: 2}, {Key: "c", Value: 3}}))
		check(t, r.commit(t, allSteps))
		check(t, s.Put("b", 20))
		all, err := s.Snapshot(nil, nil)
		check(t, err)
		some, err := s.Snapshot("b", "c")
		check(t, err)
		none, err := s.Snapshot(nil, "")
		check(t, err)
		check(t, s.Delete("a"))
		check(t, s.Put("b", 200))
		check(t, s.Put("d", 4))
		check(t, r.commit(t, allSteps))
		done := make(chan string)
		for range 2 {
			go func() { done <- read(all) }()
		}
		for range 2 {
			if got := <-done; got != "a1 b20 c3" {
				t.Errorf("cache %v: %s", size, got)
			}
		}
		if got := read(some); got != "b20" {
			t.Errorf("cache %v: %s", size, got)
		}
		if got := read(none); got != "" {
			t.Errorf("cache %v: %s", size, got)
		}
		for _, snap := range []task.Snapshot{all, some, none} {
			check(t, snap.Close())
		}
		if got := fmt.Sprint(contents(t, s)); got != "map[b:200 c:3 d:4]" {
			t.Errorf("cache %v: %s", size, got)
		}
	}
}
