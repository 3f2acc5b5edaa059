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
		{"nothing anywhere", nil, ends(0, 0), Policy{}, Plan{0, 0, 0, "", ""}},
		{"nothing anywhere, drop", nil, ends(0, 0), Policy{DropExisting: true}, Plan{0, 0, 0, "", ""}},
		{"nothing left of the changelog", nil, ends(7, 7), Policy{}, Plan{7, 7, 7, "", ""}},
		{"unknown to the checkpoint", nil, ends(2, 10), Policy{}, Plan{2, 10, 10, "9", "restored from all of them"}},
		{"unknown to the checkpoint, drop", nil, ends(2, 10), Policy{DropExisting: true}, Plan{2, 2, 10, "", "they are undone"}},
		{"committed empty", at("", 0), ends(0, 10), Policy{}, Plan{0, 0, 10, "", ""}},
		{"committed empty, still so", at("", 0), ends(0, 0), Policy{}, Plan{0, 0, 0, "", ""}},
		{"committed empty, long ago", at("", 100*time.Hour), ends(0, 10), Policy{}, Plan{0, 0, 10, "", ""}},
		{"at the end", at("9", 0), ends(0, 10), Policy{}, Plan{0, 10, 10, "9", ""}},
		{"before the end", at("5", 0), ends(0, 10), Policy{}, Plan{0, 6, 10, "5", ""}},
		{"the oldest", at("3", 0), ends(3, 10), Policy{}, Plan{3, 4, 10, "3", ""}},
		{"before the oldest", at("2", 0), ends(3, 10), Policy{}, Plan{3, 10, 10, "9", "offset is 2, but the changelog has offsets 3 to 9"}},
		{"beyond the end", at("10", 0), ends(0, 10), Policy{}, Plan{0, 10, 10, "9", "offset is 10, but the changelog has offsets 0 to 9"}},
		{"the topic is new", at("10", 0), ends(0, 0), Policy{}, Plan{0, 0, 0, "", "the changelog is empty"}},
		{"an open transaction at the end", at("5", 0), system.Ends{Oldest: 0, Next: 12, Stable: 10}, Policy{}, Plan{0, 6, 10, "5", ""}},
		{"old, but nothing came later", at("9", 100*time.Hour), ends(0, 10), Policy{}, Plan{0, 10, 10, "9", ""}},
		{"just young enough", at("5", 216*time.Minute), ends(0, 10), Policy{}, Plan{0, 6, 10, "5", ""}},
		{"too old", at("5", 217*time.Minute), ends(0, 10), Policy{}, Plan{0, 10, 10, "9", "the checkpoint is 3h37m0s old"}},
		{"too old for a short lag", at("5", 10*time.Minute), ends(0, 10), Policy{MinCompactionLag: 11 * time.Minute}, Plan{0, 10, 10, "9", "min.compaction.lag.ms is 660000"}},
		{"of unknown age", &Target{Offset: "5"}, ends(0, 10), Policy{}, Plan{0, 10, 10, "9", "of unknown age"}},
		{"to the newest", at("5", 0), ends(0, 10), Policy{ToNewest: true}, Plan{0, 10, 10, "9", ""}},
		{"to the newest, unknown", nil, ends(0, 10), Policy{ToNewest: true, DropExisting: true}, Plan{0, 10, 10, "9", ""}},
	}
	for _, tt := range tests {
		got, err := MakePlan(tt.target, tt.ends, tt.policy, now)
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
		if p, err := MakePlan(at(bad, 0), ends(0, 10), Policy{}, now); err == nil {
			t.Errorf("offset %q: %+v", bad, p)
		}
	}
}
