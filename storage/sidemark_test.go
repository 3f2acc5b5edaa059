package storage

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"heddle/system"
)

func TestSideMark(t *testing.T) {
	for _, places := range [][]sidePlace{
		nil,
		{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}},
		{{system.Partition{System: "kafka", Stream: "a"}, 0, time.Time{}, system.TopicID{}}, {system.Partition{System: "x", Stream: "b", Partition: 1 << 30}, 1 << 60, now, system.TopicID{}}},
		{{system.Partition{System: "kafka", Stream: "a"}, 0, time.Time{}, system.TopicID{1, 15: 9}}, {system.Partition{System: "x", Stream: "b", Partition: 1 << 30}, 1 << 60, now, system.TopicID{}}},
	} {
		b := appendSideMark(nil, places)
		got, err := parseSideMark(b)
		if err != nil || !slices.Equal(got, places) {
			t.Errorf("%v became %v, %v", places, got, err)
		}
		// A Heddle of before ids can read what has none.
		if known := len(places) > 0 && places[0].topic != (system.TopicID{}); known != (b[0] == sideMarkWithTopics) {
			t.Errorf("%v became a mark of version %d", places, b[0])
		}
		for n := range b {
			if _, err := parseSideMark(b[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken for a mark", n, len(b))
			}
		}
		if _, err := ParseMark(b); err == nil {
			t.Error("it is taken for a mark of a changelog")
		}
	}
}

// TestSideMarkOfBeforeTopicIDs: what an older Heddle left on a disk is read.
func TestSideMarkOfBeforeTopicIDs(t *testing.T) {
	old, err := hex.DecodeString("0201056b61666b610161031180f8b784c168")
	check(t, err)
	want := []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}}
	if got, err := parseSideMark(old); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func FuzzSideMark(f *testing.F) {
	f.Add(appendSideMark(nil, []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{}}}))
	f.Add(appendSideMark(nil, []sidePlace{{system.Partition{System: "kafka", Stream: "a", Partition: 3}, 17, now, system.TopicID{4}}}))
	f.Add([]byte{2, 0xff, 0xff, 0x3f})
	f.Fuzz(func(t *testing.T, b []byte) {
		places, err := parseSideMark(b)
		if err != nil {
			return
		}
		again, err := parseSideMark(appendSideMark(nil, places))
		if err != nil || len(again) != len(places) {
			t.Errorf("%x: %v, then %v, %v", b, places, again, err)
		}
	})
}
