package storage

import (
	"strings"
	"testing"
	"time"

	"heddle/system"
)

func TestMakePlan(t *testing.T) {
	at := func(offset string, ago time.Duration) *Target {
		return &Target{Offset: offset, Committed: now.Add(-ago)}
	}
	ends := func(oldest, end int64) system.Ends {
		return system.Ends{Oldest: oldest, Next: end, Stable: end}
	}
	tests := []struct {
		name   string
		target *Target
		ends   system.Ends
		policy Policy
		want   Plan // Warning: a part of it
	}{
		{"nothing anywhere", nil, ends(0, 0), Policy{}, Plan{From: 0, To: 0, End: 0, Offset: NoOffset, Warning: ""}},
		{"nothing anywhere, drop", nil, ends(0, 0), Policy{DropExisting: true}, Plan{From: 0, To: 0, End: 0, Offset: NoOffset, Warning: ""}},
		{"nothing left of the changelog", nil, ends(7, 7), Policy{}, Plan{From: 7, To: 7, End: 7, Offset: NoOffset, Warning: ""}},
		{"unknown to the checkpoint", nil, ends(2, 10), Policy{}, Plan{From: 2, To: 10, End: 10, Offset: 9, Warning: "restored from all of them"}},
		{"unknown to the checkpoint, drop", nil, ends(2, 10), Policy{DropExisting: true}, Plan{From: 2, To: 2, End: 10, Offset: NoOffset, Warning: "they are undone"}},
		{"unknown, as none is recorded", nil, ends(2, 10), Policy{Unrecorded: true}, Plan{From: 2, To: 10, End: 10, Offset: 9, Warning: ""}},
		{"unknown, as none is recorded, drop", nil, ends(2, 10), Policy{Unrecorded: true, DropExisting: true}, Plan{From: 2, To: 2, End: 10, Offset: NoOffset, Warning: "they are undone"}},
		{"recorded before", at("5", 0), ends(2, 10), Policy{Unrecorded: true}, Plan{From: 2, To: 6, End: 10, Offset: 5, Warning: ""}},
		{"committed empty", at("", 0), ends(0, 10), Policy{}, Plan{From: 0, To: 0, End: 10, Offset: NoOffset, Warning: ""}},
		{"committed empty, still so", at("", 0), ends(0, 0), Policy{}, Plan{From: 0, To: 0, End: 0, Offset: NoOffset, Warning: ""}},
		{"committed empty, long ago", at("", 100*time.Hour), ends(0, 10), Policy{}, Plan{From: 0, To: 0, End: 10, Offset: NoOffset, Warning: ""}},
		{"at the end", at("9", 0), ends(0, 10), Policy{}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: ""}},
		{"before the end", at("5", 0), ends(0, 10), Policy{}, Plan{From: 0, To: 6, End: 10, Offset: 5, Warning: ""}},
		{"the oldest", at("3", 0), ends(3, 10), Policy{}, Plan{From: 3, To: 4, End: 10, Offset: 3, Warning: ""}},
		{"before the oldest", at("2", 0), ends(3, 10), Policy{}, Plan{From: 3, To: 10, End: 10, Offset: 9, Warning: "offset is 2, but the changelog has offsets 3 to 9"}},
		{"beyond the end", at("10", 0), ends(0, 10), Policy{}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: "offset is 10, but the changelog has offsets 0 to 9"}},
		{"the topic is new", at("10", 0), ends(0, 0), Policy{}, Plan{From: 0, To: 0, End: 0, Offset: NoOffset, Warning: "the changelog is empty"}},
		{"an open transaction at the end", at("5", 0), system.Ends{Oldest: 0, Next: 12, Stable: 10}, Policy{}, Plan{From: 0, To: 6, End: 10, Offset: 5, Warning: ""}},
		{"old, but nothing came later", at("9", 100*time.Hour), ends(0, 10), Policy{}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: ""}},
		{"just young enough", at("5", 216*time.Minute), ends(0, 10), Policy{}, Plan{From: 0, To: 6, End: 10, Offset: 5, Warning: ""}},
		{"too old", at("5", 217*time.Minute), ends(0, 10), Policy{}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: "the checkpoint is 3h37m0s old"}},
		{"too old for a short lag", at("5", 10*time.Minute), ends(0, 10), Policy{MinCompactionLag: 11 * time.Minute}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: "min.compaction.lag.ms is 660000"}},
		{"of unknown age", &Target{Offset: "5"}, ends(0, 10), Policy{}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: "of unknown age"}},
		{"to the newest", at("5", 0), ends(0, 10), Policy{ToNewest: true}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: ""}},
		{"to the newest, unknown", nil, ends(0, 10), Policy{ToNewest: true, DropExisting: true}, Plan{From: 0, To: 10, End: 10, Offset: 9, Warning: ""}},
	}
	for _, tt := range tests {
		got, err := MakePlan(tt.target, nil, tt.ends, tt.policy, now)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		warning := got.Warning
		if (warning == "") != (tt.want.Warning == "") || !strings.Contains(warning, tt.want.Warning) {
			t.Errorf("%s: warning %q, want %q", tt.name, warning, tt.want.Warning)
		}
		got.Warning, tt.want.Warning = "", ""
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	for _, bad := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		if p, err := MakePlan(at(bad, 0), nil, ends(0, 10), Policy{}, now); err == nil {
			t.Errorf("offset %q: %+v", bad, p)
		}
	}
}

// TestMakePlanWithLocalState: what an engine holds is the beginning of the
// restore, if it is a state of this changelog that the target has grown from.
func TestMakePlanWithLocalState(t *testing.T) {
	at := func(offset string) *Target { return &Target{Offset: offset, Committed: now} }
	mark := func(offset int64, ago time.Duration) *Mark { return &Mark{Offset: offset, At: now.Add(-ago)} }
	ends := func(oldest, end int64) system.Ends {
		return system.Ends{Oldest: oldest, Next: end + 5, Stable: end}
	}
	kept := func(from, to, end int64) Plan {
		return Plan{From: from, To: to, End: end, Offset: to - 1, Keep: true}
	}
	tests := []struct {
		name   string
		target *Target
		local  *Mark
		ends   system.Ends
		policy Policy
		want   Plan // Dropped: a part of it
	}{
		{"none", at("9"), nil, ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9}},
		{"behind the target", at("9"), mark(4, 0), ends(0, 12), Policy{}, kept(5, 10, 12)},
		{"at the target", at("9"), mark(9, 0), ends(0, 12), Policy{}, kept(10, 10, 12)},
		{"at the target and the end", at("11"), mark(11, 0), ends(0, 12), Policy{}, kept(12, 12, 12)},
		{"beyond the target", at("9"), mark(10, 0), ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "committed state ends at 9", Unexpected: true}},
		{"beyond an empty target", at(""), mark(0, 0), ends(0, 12), Policy{}, Plan{From: 0, To: 0, End: 12, Offset: NoOffset, Dropped: "committed state ends at -1", Unexpected: true}},
		{"beyond the end", at("11"), mark(12, 0), ends(0, 12), Policy{}, Plan{From: 0, To: 12, End: 12, Offset: 11, Dropped: "does not have", Unexpected: true}},
		{"before the beginning", at("11"), mark(4, 0), ends(6, 12), Policy{}, Plan{From: 6, To: 12, End: 12, Offset: 11, Dropped: "begins at 6 and ends before 12", Unexpected: true}},
		{"just before the beginning", at("11"), mark(5, 0), ends(6, 12), Policy{}, kept(6, 12, 12)},
		{"the topic is new", at("11"), mark(11, 0), ends(0, 0), Policy{}, Plan{Offset: NoOffset, Dropped: "does not have", Unexpected: true, Warning: "the changelog is empty"}},
		{"between commits", at("9"), &Mark{Between: true}, ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "between two commits"}},
		{"beside another process", at("9"), &Mark{Beside: true}, ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "beside the one"}},
		{"empty", at("9"), mark(NoOffset, 0), ends(0, 12), Policy{}, kept(0, 10, 12)},
		{"empty, of an empty target", at(""), mark(NoOffset, 0), ends(0, 12), Policy{}, Plan{From: 0, To: 0, End: 12, Offset: NoOffset, Keep: true}},
		{"empty and old", at("9"), mark(NoOffset, 1000*time.Hour), ends(3, 12), Policy{}, kept(3, 10, 12)},
		{"nearly too old", at("9"), mark(4, 21*time.Hour), ends(0, 12), Policy{}, kept(5, 10, 12)},
		{"too old", at("9"), mark(4, 22*time.Hour), ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "22h0m0s old"}},
		{"too old for a short retention", at("9"), mark(4, time.Hour), ends(0, 12), Policy{DeleteRetention: time.Hour}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "delete.retention.ms is 3600000"}},
		{"of unknown age", at("9"), &Mark{Offset: 4}, ends(0, 12), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: "of unknown age"}},
		{"old, but nothing came later", at("9"), mark(9, 1000*time.Hour), ends(0, 12), Policy{}, kept(10, 10, 12)},
		{"to the newest", at("5"), mark(9, 0), ends(0, 12), Policy{ToNewest: true}, kept(10, 12, 12)},
		{"unknown to the checkpoint", nil, mark(9, 0), ends(0, 12), Policy{}, Plan{From: 10, To: 12, End: 12, Offset: 11, Keep: true, Warning: "restored from all"}},
		{"unknown to the checkpoint, drop", nil, mark(9, 0), ends(0, 12), Policy{DropExisting: true}, Plan{From: 0, To: 0, End: 12, Offset: NoOffset, Dropped: "committed state ends at -1", Unexpected: true, Warning: "they are undone"}},
		// Of a topic that drops records by age.
		{"by age: all of the state has ended", at("4"), mark(4, 0), ends(6, 12), Policy{ByAge: true}, Plan{From: 6, To: 6, End: 12, Offset: 4, Keep: true}},
		{"by age: all of the state has ended, older local state", at("4"), mark(2, 1000*time.Hour), ends(6, 6), Policy{ByAge: true}, Plan{From: 6, To: 6, End: 6, Offset: 4, Keep: true}},
		{"by age: all of the state has ended, newer local state", at("4"), mark(5, 0), ends(6, 12), Policy{ByAge: true}, Plan{From: 6, To: 6, End: 12, Offset: 4, Dropped: "committed state ends at 4", Unexpected: true}},
		{"by age: before the beginning", at("11"), mark(4, 0), ends(6, 12), Policy{ByAge: true}, kept(6, 12, 12)},
		{"by age: old", at("9"), mark(4, 1000*time.Hour), ends(0, 12), Policy{ByAge: true}, kept(5, 10, 12)},
		{"by age: an old checkpoint", &Target{Offset: "9", Committed: now.Add(-1000 * time.Hour)}, mark(9, 0), ends(0, 12), Policy{ByAge: true}, kept(10, 10, 12)},
		{"by age: the topic is new", at("11"), mark(11, 0), ends(0, 0), Policy{ByAge: true}, Plan{Offset: NoOffset, Dropped: "does not have", Unexpected: true, Warning: "the changelog is empty"}},
		{"exactly once, long ago", &Target{Offset: "9", Committed: now.Add(-1000 * time.Hour)}, mark(9, 0), ends(0, 12), Policy{ExactlyOnce: true}, kept(10, 10, 12)},
	}
	for _, tt := range tests {
		got, err := MakePlan(tt.target, tt.local, tt.ends, tt.policy, now)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, text := range [][2]string{{got.Warning, tt.want.Warning}, {got.Dropped, tt.want.Dropped}} {
			if (text[0] == "") != (text[1] == "") || !strings.Contains(text[0], text[1]) {
				t.Errorf("%s: %q, want %q", tt.name, text[0], text[1])
			}
		}
		got.Warning, tt.want.Warning, got.Dropped, tt.want.Dropped = "", "", "", ""
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestMakePlanOfATopicMadeAnew: a topic that was deleted and made anew is told
// by its id, whatever its offsets are.
func TestMakePlanOfATopicMadeAnew(t *testing.T) {
	old, anew, none := system.TopicID{1}, system.TopicID{2}, system.TopicID{}
	at := func(offset string, topic system.TopicID) *Target {
		return &Target{Topic: topic, Offset: offset, Committed: now}
	}
	mark := func(offset int64, topic system.TopicID) *Mark {
		return &Mark{Topic: topic, Offset: offset, At: now}
	}
	ends := func(oldest, end int64, topic system.TopicID) system.Ends {
		return system.Ends{Oldest: oldest, Next: end, Stable: end, Topic: topic}
	}
	whole := Plan{From: 0, To: 12, End: 12, Offset: 11}
	with := func(p Plan, f func(*Plan)) Plan { f(&p); return p }
	const told, dropped = "deleted and made anew since the last commit", "deleted and made anew since: it is of"
	remade := with(whole, func(p *Plan) { p.Warning = told })
	kept := Plan{From: 10, To: 10, End: 12, Offset: 9, Keep: true}
	for _, tt := range []struct {
		name   string
		target *Target
		local  *Mark
		ends   system.Ends
		policy Policy
		want   Plan // Warning and Dropped: parts of them
	}{
		{"the same", at("9", old), mark(9, old), ends(0, 12, old), Policy{}, kept},
		{"a mark without an id", at("9", old), mark(9, none), ends(0, 12, old), Policy{}, kept},
		{"a checkpoint without an id", at("9", none), mark(9, old), ends(0, 12, old), Policy{}, kept},
		{"a broker that gives none", at("9", old), mark(9, old), ends(0, 12, none), Policy{}, kept},
		{"nothing has an id", at("9", none), mark(9, none), ends(0, 12, anew), Policy{}, kept},

		{"made anew", at("9", old), nil, ends(0, 12, anew), Policy{}, remade},
		{"made anew, local state", at("9", old), mark(9, old), ends(0, 12, anew), Policy{}, with(remade, func(p *Plan) { p.Dropped = dropped })},
		{"made anew, local state of before ids", at("9", old), mark(9, none), ends(0, 12, anew), Policy{}, with(remade, func(p *Plan) { p.From, p.Keep = 10, true })},
		{"made anew, local state of the new one", at("9", old), mark(4, anew), ends(0, 12, anew), Policy{}, with(remade, func(p *Plan) { p.From, p.Keep = 5, true })},
		{"made anew, an empty local state", at("9", old), mark(NoOffset, old), ends(0, 12, anew), Policy{}, with(remade, func(p *Plan) { p.Keep = true })},
		{"made anew, and the checkpoint has no id", at("9", none), mark(9, old), ends(0, 12, anew), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: dropped, Unexpected: true}},
		{"made anew, and no checkpoint", nil, mark(9, old), ends(0, 12, anew), Policy{}, with(whole, func(p *Plan) { p.Warning, p.Dropped, p.Unexpected = "knows nothing", dropped, true })},
		{"made anew before the checkpoint", at("9", anew), mark(9, old), ends(0, 12, anew), Policy{}, Plan{From: 0, To: 10, End: 12, Offset: 9, Dropped: dropped, Unexpected: true}},
		{"made anew, shorter", at("20", old), mark(20, old), ends(0, 12, anew), Policy{}, with(remade, func(p *Plan) { p.Dropped = dropped })},
		{"made anew, empty", at("9", old), mark(9, old), ends(0, 0, anew), Policy{}, Plan{Offset: NoOffset, Warning: "new one holds: nothing", Dropped: dropped}},
		{"made anew, empty as before", at("", old), nil, ends(0, 0, anew), Policy{}, Plan{Offset: NoOffset}},
		{"made anew, after an empty state", at("", old), nil, ends(0, 12, anew), Policy{}, remade},
		{"made anew, a store with a TTL", at("9", old), mark(9, old), ends(0, 12, anew), Policy{ByAge: true}, with(remade, func(p *Plan) { p.Dropped = dropped })},
		{"made anew, a store with a TTL whose records have gone", at("9", old), mark(9, old), ends(20, 32, anew), Policy{ByAge: true}, Plan{From: 20, To: 32, End: 32, Offset: 31, Warning: told, Dropped: dropped}},
		{"made anew, exactly once", at("9", old), mark(9, old), ends(0, 12, anew), Policy{ExactlyOnce: true}, with(remade, func(p *Plan) { p.Dropped = dropped })},
		{"made anew, to the newest", at("9", old), mark(9, old), ends(0, 12, anew), Policy{ToNewest: true}, with(whole, func(p *Plan) { p.Dropped = dropped })},
	} {
		got, err := MakePlan(tt.target, tt.local, tt.ends, tt.policy, now)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, text := range [][2]string{{got.Warning, tt.want.Warning}, {got.Dropped, tt.want.Dropped}} {
			if (text[0] == "") != (text[1] == "") || !strings.Contains(text[0], text[1]) {
				t.Errorf("%s: %q, want %q", tt.name, text[0], text[1])
			}
		}
		got.Warning, tt.want.Warning, got.Dropped, tt.want.Dropped = "", "", "", ""
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestNearer: a snapshot replaces local state that is kept only if that saves
// clearly more than it costs.
func TestNearer(t *testing.T) {
	keeps := func(from, to int64) Plan { return Plan{From: from, To: to, Keep: true} }
	const mib = 1 << 20
	for _, tt := range []struct {
		name            string
		local, snapshot Plan
		bytes           int64
		far, nearer     bool
	}{
		{"the tail is small", keeps(999_000, 1_000_000), keeps(1_000_000, 1_000_000), 0, false, false},
		{"just below", keeps(1, 1_000_000), keeps(1_000_000, 1_000_000), 0, false, false},
		{"far behind", keeps(0, 1_000_000), keeps(1_000_000, 1_000_000), mib, true, true},
		{"the snapshot is about as far", keeps(0, 10_000_000), keeps(9_001, 10_000_000), mib, true, false},
		{"the snapshot is behind it", keeps(5_000_000, 10_000_000), keeps(1_000_000, 10_000_000), mib, true, false},
		{"the snapshot is large", keeps(0, 10_000_000), keeps(9_900_000, 10_000_000), 2000 * mib, true, false},
		{"large, and far less to read", keeps(0, 100_000_000), keeps(99_900_000, 100_000_000), 2000 * mib, true, true},
		{"the snapshot does not fit", keeps(0, 10_000_000), Plan{From: 9_900_000, To: 10_000_000}, mib, true, false},
		{"nothing to read", keeps(10, 5), keeps(10, 5), 0, false, false},
	} {
		if tt.local.far() != tt.far || nearer(tt.local, tt.snapshot, tt.bytes) != tt.nearer {
			t.Errorf("%s: far %v, nearer %v", tt.name, tt.local.far(), nearer(tt.local, tt.snapshot, tt.bytes))
		}
	}
}
