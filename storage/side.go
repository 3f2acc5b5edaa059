package storage

import (
	"fmt"
	"slices"
	"sync/atomic"

	"heddle/system"
	"heddle/task"
)

// Side is a store that is filled from side inputs instead of by a task (Samza:
// TaskSideInputStorageManager, TaskSideInputHandler). It has no changelog: its
// side inputs are where it comes from. Entries and the place in the side inputs
// are applied together, with a mark, so that what is found on disk is always what
// the messages up to its mark make.
//
// One goroutine fills it, by Fill and then Take; tasks read it through the Set
// that it is lent to, at the same time and without locks.
type Side struct {
	o       Options
	st      *opened
	process task.SideInput // nil: a message is the entry
	// undecoded tells that messages which cannot be decoded are passed over.
	undecoded bool
	places    map[system.Partition]*place
	// shown is what others see of places.
	shown atomic.Pointer[[]shownPlace]
	// passed counts messages that made no entry: without a key, or undecoded.
	passed int64
	// unkept counts messages whose entries a killed process would lose.
	unkept int
}

// place is where the store is in one partition.
type place struct {
	source *task.Source
	sidePlace
	// position and end are for others: next, and where the partition ended last.
	position, end atomic.Int64
}

type shownPlace struct {
	partition system.Partition
	at        *place
}

// SideProgress is how far a store is in one partition of its side inputs.
type SideProgress struct {
	Partition system.Partition
	// Next is the first offset that is not in the store, End where the partition
	// ended when it was last asked.
	Next, End int64
}

// FromSide tells if the store is filled from side inputs.
func (s Spec) FromSide() bool { return len(s.SideInputs) > 0 }

// kept tells if what lies on disk is used again by the next start.
func (s Spec) kept() bool { return s.Logged() || s.FromSide() }

// sideIdentity stands in place of the changelog: where the entries are from, and
// what made them.
func sideIdentity(s Spec) string {
	id := "side inputs"
	for _, in := range s.SideInputs {
		id += " " + in.String()
	}
	if s.SideProcessor != "" {
		id += " by " + s.SideProcessor
	}
	return id
}

// OpenSide makes the store, with what is found of it on disk. o.TaskName is the
// task's, or names the container for a shared one.
func OpenSide(spec Spec, process task.SideInput, undecoded bool, o Options) (*Side, error) {
	o = o.defaults()
	// Reads go past a cache, which would have to hear of each change.
	spec.CacheEntries, spec.WriteBatch = 0, 0
	o.NeedCommit, o.Metrics, o.Snapshots = nil, nil, nil
	st, err := open(spec, o, nil)
	if err != nil {
		return nil, fmt.Errorf("open store %q of %s: %w", spec.Name, o.TaskName, err)
	}
	st.pending.soft, st.pending.hard = 0, 0
	return &Side{o: o, st: st, process: process, undecoded: undecoded, places: map[system.Partition]*place{}}, nil
}

// Name is the store's.
func (s *Side) Name() string { return s.st.spec.Name }

// Next is the offset from which a partition is to be read after Fill.
func (s *Side) Next(p system.Partition) (next int64, ok bool) {
	at, ok := s.places[p]
	if !ok {
		return 0, false
	}
	return at.next, true
}

// Places tells how far the store is, by partition; nothing before Fill has looked
// at what there is. Any goroutine calls it, also while Fill runs.
func (s *Side) Places() []SideProgress {
	shown := s.shown.Load()
	if shown == nil {
		return nil
	}
	out := make([]SideProgress, 0, len(*shown))
	for _, p := range *shown {
		out = append(out, SideProgress{p.partition, p.at.position.Load(), p.at.end.Load()})
	}
	return out
}

// Place is SideProgress of one partition; -1, -1 before Fill has looked at what
// there is. Any goroutine calls it, also while Fill runs.
func (s *Side) Place(p system.Partition) (next, end int64) {
	if shown := s.shown.Load(); shown != nil {
		// They are sorted.
		if i, ok := slices.BinarySearchFunc(*shown, p, func(a shownPlace, p system.Partition) int { return cmpPartitions(a.partition, p) }); ok {
			at := (*shown)[i].at
			return at.position.Load(), at.end.Load()
		}
	}
	return -1, -1
}

// Close gives up the store. Nobody may read it any more. What it holds on disk
// is used by the next start.
func (s *Side) Close() error {
	if err := s.st.close(); err != nil {
		return fmt.Errorf("close store %q of %s: %w", s.Name(), s.o.TaskName, err)
	}
	return nil
}
