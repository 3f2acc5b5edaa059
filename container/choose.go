package container

import "math"

// Which of a task's inputs comes next (Samza: its chooser). Everything here is a
// function of its arguments.
//
// Two rules stand over taking turns. While the task bootstraps, only streams
// with samza.bootstrap are read, until each is at the end that it had when the
// container started. And of the partitions that have messages, those of the
// highest samza.priority come first, strictly.

// rank is what the configuration says of one input stream's turn.
type rank struct {
	bootstrap bool
	// priority is samza.priority; highest for a bootstrap stream that sets none,
	// 0 for any other.
	priority int
}

// highest is the priority of bootstrap streams (Samza: Integer.MAX_VALUE).
const highest = math.MaxInt32

// rankOf gives a stream's rank; a priority below 0 is not set.
func rankOf(bootstrap bool, priority int) rank {
	switch {
	case priority >= 0:
		return rank{bootstrap, priority}
	case bootstrap:
		return rank{bootstrap, highest}
	}
	return rank{bootstrap, 0}
}

// order is what a task has to look at when it chooses.
type order uint8

const (
	// taking turns is all: no stream has a rank of its own.
	inTurns order = iota
	// ranked: the ring has to be looked through.
	ranked
)

// orderOf says if ranks matter among a task's inputs. Bootstrap streams alone
// wait for nothing and precede nobody.
func orderOf(lanes []*lane) order {
	for _, l := range lanes {
		if l.rank != lanes[0].rank {
			return ranked
		}
	}
	return inTurns
}

// choose gives the index in the ring of the lane whose turn it is; -1 if there
// is none. The first of several of one priority is taken, so that they take
// turns.
func choose(ring []*lane, bootstrapping bool) int {
	best := -1
	for i, l := range ring {
		if bootstrapping && !l.rank.bootstrap {
			continue
		}
		if best < 0 || l.rank.priority > ring[best].rank.priority {
			best = i
		}
	}
	return best
}
