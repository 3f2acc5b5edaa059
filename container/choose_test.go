package container

import (
	"strconv"
	"testing"
)

func TestRankOf(t *testing.T) {
	for _, tt := range []struct {
		bootstrap bool
		priority  int
		want      rank
	}{
		{false, -1, rank{false, 0}},
		{false, 0, rank{false, 0}},
		{false, 7, rank{false, 7}},
		{true, -1, rank{true, highest}},
		{true, 3, rank{true, 3}},
	} {
		if got := rankOf(tt.bootstrap, tt.priority); got != tt.want {
			t.Errorf("%v, %d: %v, want %v", tt.bootstrap, tt.priority, got, tt.want)
		}
	}
}

func TestChoose(t *testing.T) {
	plain, low, high := rank{priority: 0}, rank{priority: 1}, rank{priority: 9}
	first, firstLow := rank{true, highest}, rank{true, 0}
	for _, tt := range []struct {
		name          string
		ring          []rank
		bootstrapping bool
		want          int
	}{
		{"nothing there", nil, false, -1},
		{"nothing there, bootstrapping", nil, true, -1},
		{"one", []rank{plain}, false, 0},
		{"turns", []rank{plain, plain, plain}, false, 0},
		{"the higher", []rank{plain, low, high, plain}, false, 2},
		{"the first of the higher", []rank{low, high, high}, false, 1},
		{"nothing but others while bootstrapping", []rank{plain, high}, true, -1},
		{"bootstrapping", []rank{plain, first}, true, 1},
		{"bootstrap comes before a higher priority", []rank{high, firstLow}, true, 1},
		{"the higher of two that bootstrap", []rank{firstLow, first}, true, 1},
		{"afterwards it stands above all", []rank{high, first}, false, 1},
		{"unless it sets a priority", []rank{high, firstLow}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ring []*lane
			for _, r := range tt.ring {
				ring = append(ring, &lane{rank: r})
			}
			if got := choose(ring, tt.bootstrapping); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// TestTurns: lanes of one rank take turns, whatever their number; a higher one
// goes on until it has nothing more.
func TestTurns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lanes []rank // each with 3 parcels
		want  string
	}{
		{"without ranks", []rank{{}, {}}, "010101"},
		{"a higher one", []rank{{}, {priority: 1}, {priority: 1}}, "121212000"},
		{"three tiers", []rank{{priority: 1}, {priority: 2}, {}}, "111000222"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			task := &instance{}
			names := map[*lane]string{}
			for i, r := range tt.lanes {
				l := &lane{rank: r, active: true, parcels: make([]parcel, 3)}
				names[l] = strconv.Itoa(i)
				task.lanes = append(task.lanes, l)
				task.ring = append(task.ring, l)
			}
			task.order = orderOf(task.lanes)
			got := ""
			for i := task.chosen(); i >= 0; i = task.chosen() {
				l := task.ring[i]
				got += names[l]
				l.parcels = l.parcels[1:]
				task.turn(i)
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestOrderOf(t *testing.T) {
	lanes := func(ranks ...rank) (out []*lane) {
		for _, r := range ranks {
			out = append(out, &lane{rank: r})
		}
		return out
	}
	for _, tt := range []struct {
		lanes []*lane
		want  order
	}{
		{nil, inTurns},
		{lanes(rank{}, rank{}), inTurns},
		{lanes(rank{priority: 5}, rank{priority: 5}), inTurns},
		{lanes(rank{}, rank{priority: 5}), ranked},
		{lanes(rank{true, 0}, rank{false, 0}), ranked},
	} {
		if got := orderOf(tt.lanes); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.lanes, got, tt.want)
		}
	}
}
