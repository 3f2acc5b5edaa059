package storage

import (
	"fmt"
	"strconv"
	"time"

	"heddle/system"
)

// Target is what a checkpoint says about one store.
type Target struct {
	// Offset is the changelog offset of the last record that is part of the
	// committed state; "" if the committed state is empty, which is what Samza's
	// null in a checkpoint says.
	Offset string
	// Committed is the time of the checkpoint; the zero time if unknown.
	Committed time.Time
}

// Policy decides how far a store is restored.
type Policy struct {
	// ToNewest restores to the changelog's end, whatever the checkpoint says
	// (Samza: task.transactional.state.restore.enabled=false).
	ToNewest bool
	// DropExisting undoes the whole changelog if the checkpoint does not know
	// the store, instead of restoring it whole (Samza:
	// task.transactional.state.retain.existing.state=false).
	DropExisting bool
	// MinCompactionLag is the topic's min.compaction.lag.ms: after that time a
	// record of the committed state may be gone because a later one has its
	// key. 0 stands for DefaultMinCompactionLag.
	MinCompactionLag time.Duration
}

// Plan says what a restore reads: the records in [From, To) become the store,
// those in [To, End) are undone.
type Plan struct {
	From, To, End int64
	// Offset is the position of the restored state, as a checkpoint has it.
	Offset string
	// Warning says what is not as it should be; "" if all is well.
	Warning string
}

// Undoes tells if the plan undoes anything.
func (p Plan) Undoes() bool { return p.To < p.End }

// MakePlan decides how a store is restored. t is what the task's checkpoint
// says of it, nil if there is no checkpoint or it does not know the store; ends
// are those of the changelog's partition. The rules are Samza's
// (TransactionalStateTaskRestoreManager) but for two points: an empty committed
// state is told from an unknown one, and undone; and a store in memory is as
// careful about compaction as one on disk.
func MakePlan(t *Target, ends system.Ends, p Policy, now time.Time) (Plan, error) {
	whole := Plan{From: ends.Oldest, To: ends.Stable, End: ends.Stable}
	empty := ends.Stable <= ends.Oldest
	if !empty {
		whole.Offset = offsetText(ends.Stable - 1)
	}
	switch {
	case p.ToNewest:
		return whole, nil
	case t == nil && empty:
		return whole, nil
	case t == nil && p.DropExisting:
		return Plan{From: ends.Oldest, To: ends.Oldest, End: ends.Stable, Warning: fmt.Sprintf(
			"the checkpoint knows nothing of this store, but its changelog holds records up to offset %d; they are undone, as task.transactional.state.retain.existing.state is false",
			ends.Stable-1)}, nil
	case t == nil:
		whole.Warning = fmt.Sprintf(
			"the checkpoint knows nothing of this store, but its changelog holds records up to offset %d; the store is restored from all of them, and inputs that they count may be processed again (task.transactional.state.retain.existing.state)",
			ends.Stable-1)
		return whole, nil
	case t.Offset == "":
		return Plan{From: ends.Oldest, To: ends.Oldest, End: ends.Stable}, nil
	}
	offset, err := strconv.ParseInt(t.Offset, 10, 64)
	if err != nil || offset < 0 {
		return Plan{}, fmt.Errorf("the checkpoint's changelog offset %q is no offset", t.Offset)
	}
	if offset < ends.Oldest || offset >= ends.Stable {
		has := "is empty"
		if !empty {
			has = fmt.Sprintf("has offsets %d to %d", ends.Oldest, ends.Stable-1)
		}
		whole.Warning = fmt.Sprintf(
			"the checkpoint's changelog offset is %d, but the changelog %s (was the topic made anew, or its records dropped by age?); the store is restored from all that is there",
			offset, has)
		return whole, nil
	}
	lag := p.MinCompactionLag
	if lag == 0 {
		lag = DefaultMinCompactionLag
	}
	// A tenth is left for the time that restoring takes.
	if offset+1 < ends.Stable && now.Sub(t.Committed) > lag/10*9 {
		age := "of unknown age"
		if !t.Committed.IsZero() {
			age = now.Sub(t.Committed).Round(time.Second).String() + " old"
		}
		whole.Warning = fmt.Sprintf(
			"the checkpoint is %s; records before its changelog offset %d may have been compacted away because of the %d after it (min.compaction.lag.ms is %d), so the store is restored to the changelog's end, and inputs that these count are processed again",
			age, offset, ends.Stable-1-offset, lag.Milliseconds())
		return whole, nil
	}
	return Plan{From: ends.Oldest, To: offset + 1, End: ends.Stable, Offset: t.Offset}, nil
}

func offsetText(offset int64) string { return strconv.FormatInt(offset, 10) }
