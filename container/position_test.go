package container

import (
	"errors"
	"testing"

	"heddle/system"
)

func TestStartPosition(t *testing.T) {
	ends := system.Ends{Oldest: 100, Next: 200, Stable: 190}
	base := startQuestion{preloaded: -1, ends: ends, end: 200}
	with := func(f func(*startQuestion)) startQuestion { q := base; f(&q); return q }
	for name, tt := range map[string]struct {
		q    startQuestion
		want position
	}{
		"no checkpoint: upcoming is the default":     {base, position{200, fromUpcoming, 0}},
		"upcoming under read_committed":              {with(func(q *startQuestion) { q.end = 190 }), position{190, fromUpcoming, 0}},
		"no checkpoint: oldest":                      {with(func(q *startQuestion) { q.oldest = true }), position{100, fromOldest, 0}},
		"preloaded before the default":               {with(func(q *startQuestion) { q.preloaded = 150 }), position{150, fromPreload, 0}},
		"preloaded and gone already":                 {with(func(q *startQuestion) { q.preloaded = 50 }), position{100, fromPreload, 0}},
		"preloaded at offset 0":                      {with(func(q *startQuestion) { q.preloaded = 0; q.ends.Oldest = 0 }), position{0, fromPreload, 0}},
		"checkpoint plus one":                        {with(func(q *startQuestion) { q.checkpoint = "119" }), position{120, fromCheckpoint, 0}},
		"checkpoint before preload":                  {with(func(q *startQuestion) { q.checkpoint = "119"; q.preloaded = 150 }), position{120, fromCheckpoint, 0}},
		"checkpoint at the end":                      {with(func(q *startQuestion) { q.checkpoint = "199" }), position{200, fromCheckpoint, 0}},
		"checkpoint just before the oldest":          {with(func(q *startQuestion) { q.checkpoint = "99" }), position{100, fromCheckpoint, 0}},
		"checkpoint of an empty partition":           {with(func(q *startQuestion) { q.checkpoint = "-1"; q.ends = system.Ends{} }), position{0, fromCheckpoint, 0}},
		"reset ignores the checkpoint":               {with(func(q *startQuestion) { q.checkpoint = "119"; q.ignore = true; q.oldest = true }), position{100, fromOldest, 0}},
		"retention was faster":                       {with(func(q *startQuestion) { q.checkpoint = "49" }), position{100, fromReset, 50}},
		"topic made anew":                            {with(func(q *startQuestion) { q.checkpoint = "5000" }), position{100, fromReset, 0}},
		"topic made anew, and long enough":           {with(func(q *startQuestion) { q.checkpoint = "119"; q.remade = true }), position{100, fromRemade, 0}},
		"topic made anew, upcoming is asked":         {with(func(q *startQuestion) { q.checkpoint = "119"; q.remade = true; q.outOfRange = "upcoming" }), position{200, fromRemade, 100}},
		"topic made anew, without a checkpoint":      {with(func(q *startQuestion) { q.remade = true }), position{200, fromUpcoming, 0}},
		"retention was faster, upcoming is asked":    {with(func(q *startQuestion) { q.checkpoint = "49"; q.outOfRange = "upcoming" }), position{200, fromReset, 150}},
		"retention was faster, oldest is asked":      {with(func(q *startQuestion) { q.checkpoint = "49"; q.outOfRange = "oldest" }), position{100, fromReset, 50}},
		"auto.offset.reset counts only out of range": {with(func(q *startQuestion) { q.checkpoint = "119"; q.outOfRange = "none" }), position{120, fromCheckpoint, 0}},
	} {
		got, err := startPosition(tt.q)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, tt.want)
		}
	}
	if _, err := startPosition(with(func(q *startQuestion) { q.checkpoint = "49"; q.outOfRange = "none" })); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("auto.offset.reset=none: %v", err)
	}
	if _, err := startPosition(with(func(q *startQuestion) { q.checkpoint, q.outOfRange, q.remade = "119", "none", true })); !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("auto.offset.reset=none, made anew: %v", err)
	}
	if _, err := startPosition(with(func(q *startQuestion) { q.checkpoint = "x" })); err == nil {
		t.Error("a checkpoint that is no number is accepted")
	}
}
