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
