package container

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// limitMemory makes the collector keep the process within so many MiB, for which
// YARN would kill it, and within less as long as less is needed. GOMEMLIMIT in the
// environment wins; with GOGC in it there are no steps, only the limit.
//
// The collector lets a heap grow to twice of what is in use, and what lies in its way
// (what was fetched at once, a commit) makes a process take much that it needs for a
// moment only. Steps cost little: where one is felt at all, what is in use takes more
// than half of it.
func limitMemory(mib int, getenv func(string) string) {
	most := int64(mib) << 20 / 100 * memoryShare
	switch {
	case getenv("GOMEMLIMIT") != "":
	case getenv("GOGC") != "":
		debug.SetMemoryLimit(most)
	default:
		l := &ladder{most: most}
		debug.SetMemoryLimit(l.limit())
		theLadder.Store(l)
		l.afterCollection()
	}
}

const (
	// memoryShare is the part of the container's memory, in percent, above which
	// the garbage collector works harder; the rest is for what the runtime does not
	// count.
	memoryShare = 90
	// firstStep is what a process keeps to as long as it can; the program itself, which
	// the runtime does not count, comes to it.
	firstStep = 112 << 20
	// The next step is taken when more than stepUp percent of this one are in use
	// after a collection, the one before when less than stepDown are.
	stepUp, stepDown = 70, 25
)

// ladder is the steps by which the process's memory grows, each twice the one before.
type ladder struct {
	most int64
	step int
}

// theLadder is the one that is in force; others let go.
var theLadder atomic.Pointer[ladder]

func (l *ladder) limit() int64 { return min(firstStep<<l.step, l.most) }

// look takes the steps that follow from what is in use; changed tells if there was
// one.
func (l *ladder) look(inUse int64) (changed bool) {
	before := l.limit()
	for l.limit() < l.most && inUse > l.limit()/100*stepUp {
		l.step++
	}
	for l.step > 0 && inUse < l.limit()/100*stepDown {
		l.step--
	}
	return l.limit() != before
}

// afterCollection looks each time that the collector has run: an object that nobody
// holds is found by the next one.
func (l *ladder) afterCollection() {
	type unheld struct{ _ *ladder }
	runtime.AddCleanup(&unheld{}, func(l *ladder) {
		if theLadder.Load() != l {
			return
		}
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if l.look(int64(live[0].Value.Uint64())) {
			debug.SetMemoryLimit(l.limit())
		}
		l.afterCollection()
	}, l)
}
