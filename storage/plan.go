package storage

import (
	"fmt"
	"strconv"
	"time"

	"heddle/system"
)

// Target is what a checkpoint says about one store.
type Target struct {
	// Topic is the id of the changelog that Offset is of; zero if unknown.
	Topic system.TopicID
	// Offset is the changelog offset of the last record that is part of the
	// committed state; "" if the committed state is empty, which is what Samza's
	// null in a checkpoint says.
	Offset string
	// Committed is the time of the checkpoint; the zero time if unknown.
	Committed time.Time
}

// remade tells that the topic is another one than the checkpoint's. Then the
// checkpoint's offset says nothing, even where the new topic has it.
func (t *Target) remade(ends system.Ends) bool { return t != nil && t.Topic.Other(ends.Topic) }

// Policy decides how far a store is restored.
type Policy struct {
	// ToNewest restores to the changelog's end, whatever the checkpoint says
	// (Samza: task.transactional.state.restore.enabled=false).
	ToNewest bool
	// DropExisting undoes the whole changelog if the checkpoint does not know
	// the store, instead of restoring it whole (Samza:
	// task.transactional.state.retain.existing.state=false).
	DropExisting bool
	// Unrecorded: checkpoints hold no changelog offsets (Samza:
	// task.transactional.state.checkpoint.enabled=false), so one that does not know
	// the store is none to be warned of. Exactly-once nothing is missed by that: the
	// changelog's end is what was committed.
	Unrecorded bool
	// DeleteRetention is the topic's delete.retention.ms: after that time a
	// deletion may be gone, and local state from before it would keep the key for
	// good. 0 stands for DefaultDeleteRetention.
	DeleteRetention time.Duration
	// ExactlyOnce: what lies behind the target was aborted with its transaction
	// and is not seen by who reads committed records only. The target holds
	// however old it is.
	ExactlyOnce bool
	// ByAge: the topic is never compacted; it drops the records that have
	// ended, those of a store with a TTL, which is no longer than the topic's
	// retention.ms. So records that are missing at the topic's beginning have
	// nothing to say, and no other one is missing.
	ByAge bool
	// MinCompactionLag is the topic's min.compaction.lag.ms: after that time a
	// record of the committed state may be gone because a later one has its
	// key. 0 stands for DefaultMinCompactionLag.
	MinCompactionLag time.Duration
}

// Plan says what a restore reads: the records in [From, To) become the store,
// those in [To, End) are undone.
type Plan struct {
	From, To, End int64
	// Offset is the position of the restored state: that of its last record, or
	// NoOffset.
	Offset int64
	// Keep tells that the local state is what the records are added to; without
	// it the restore begins with an empty store.
	Keep bool
	// Dropped says why the local state is not kept; "" if it is, or if there is
	// none. Unexpected tells that it should have been of use.
	Dropped    string
	Unexpected bool
	// Warning says what is not as it should be; "" if all is well.
	Warning string
}

// Undoes tells if the plan undoes anything.
func (p Plan) Undoes() bool { return p.To < p.End }

// left is how many offsets the plan reads to come to the committed state.
func (p Plan) left() int64 { return max(p.To-p.From, 0) }

const (
	// worthOffsets is how many offsets a snapshot has to save before it replaces
	// local state: a few seconds' reading.
	worthOffsets = 1_000_000
	// offsetBytes is how many bytes of a snapshot come in the time in which one
	// record is read from a changelog and put in place, about.
	offsetBytes = 200
)

// far tells that so much has come since local state that a snapshot may be
// nearer.
func (p Plan) far() bool { return p.Keep && p.left() >= worthOffsets }

// nearer tells if a snapshot of so many bytes is a better base than local state
// that is kept: there has to be clearly less to read, and no more to download
// than that saves.
func nearer(local, snapshot Plan, bytes int64) bool {
	saved := local.left() - snapshot.left()
	return snapshot.Keep && saved >= worthOffsets && saved > bytes/offsetBytes
}

// MakePlan decides how a store is restored. t is what the task's checkpoint
// says of it, nil if there is no checkpoint or it does not know the store;
// local is the mark of the local state, nil if there is none; ends are those of
// the changelog's partition. The rules are Samza's
// (TransactionalStateTaskRestoreManager) but for two points: an empty committed
// state is told from an unknown one, and undone; and a store in memory is as
// careful about compaction as one on disk.
func MakePlan(t *Target, local *Mark, ends system.Ends, p Policy, now time.Time) (Plan, error) {
	plan, err := fromChangelog(t, ends, p, now)
	if err != nil || local == nil {
		return plan, err
	}
	plan.Dropped, plan.Unexpected = plan.useless(*local, ends, p, now)
	if t.remade(ends) && local.Topic.Other(ends.Topic) {
		plan.Unexpected = false // the plan's warning says it
	}
	if plan.Dropped == "" {
		plan.Keep = true
		plan.From = max(local.Offset+1, ends.Oldest)
	}
	return plan, nil
}

// useless says why local state does not help with the plan; "" if it does.
func (p Plan) useless(m Mark, ends system.Ends, policy Policy, now time.Time) (why string, unexpected bool) {
	retention := policy.DeleteRetention
	if retention == 0 {
		retention = DefaultDeleteRetention
	}
	// A tenth is left for the time that restoring takes.
	old := now.Sub(m.At) > retention/10*9
	switch {
	case m.Between:
		return "the process that wrote it ended between two commits, with more changes than its write buffer holds", false
	case m.Beside:
		return "another process wrote to the changelog beside the one that wrote it", false
	case m.Offset == NoOffset:
		return "", false // it is empty
	case m.Topic.Other(ends.Topic):
		return fmt.Sprintf("the changelog was deleted and made anew since: it is of the topic with the id %s, and the topic's id is %s now", m.Topic, ends.Topic), true
	case policy.ByAge && m.Offset <= p.Offset && m.Offset < ends.Stable:
		// The records between it and the topic's beginning have ended, and so has
		// what they replaced.
		return "", false
	case m.Offset+1 < ends.Oldest || m.Offset >= ends.Stable:
		return fmt.Sprintf("it is of offset %d, which the changelog does not have: it begins at %d and ends before %d (was the topic made anew, or were its records dropped by age?)",
			m.Offset, ends.Oldest, ends.Stable), true
	case m.Offset > p.Offset:
		return fmt.Sprintf("it is of offset %d, but the committed state ends at %d (was the checkpoint set back?)", m.Offset, p.Offset), true
	case m.Offset+1 < p.To && old:
		return fmt.Sprintf("it is %s, and deletions since then may be gone from the changelog (delete.retention.ms is %d)", ageOf(m.At, now), retention.Milliseconds()), false
	}
	return "", false
}

// fromChangelog is the plan without local state.
func fromChangelog(t *Target, ends system.Ends, p Policy, now time.Time) (Plan, error) {
	whole := Plan{From: ends.Oldest, To: ends.Stable, End: ends.Stable, Offset: ends.Stable - 1}
	empty := ends.Stable <= ends.Oldest
	if empty {
		whole.Offset = NoOffset
	}
	switch {
	case p.ToNewest:
		return whole, nil
	case t == nil && empty:
		return whole, nil
	case t == nil && p.DropExisting:
		return Plan{From: ends.Oldest, To: ends.Oldest, End: ends.Stable, Offset: NoOffset, Warning: fmt.Sprintf(
			"the checkpoint knows nothing of this store, but its changelog holds records up to offset %d; they are undone, as task.transactional.state.retain.existing.state is false",
			ends.Stable-1)}, nil
	case t == nil && p.Unrecorded:
		return whole, nil
	case t == nil:
		whole.Warning = fmt.Sprintf(
			"the checkpoint knows nothing of this store, but its changelog holds records up to offset %d; the store is restored from all of them, and inputs that they count may be processed again (task.transactional.state.retain.existing.state)",
			ends.Stable-1)
		return whole, nil
	case t.remade(ends) && empty && t.Offset == "":
		return whole, nil
	case t.remade(ends):
		has := "nothing"
		if !empty {
			has = fmt.Sprintf("offsets %d to %d", ends.Oldest, ends.Stable-1)
		}
		whole.Warning = fmt.Sprintf(
			"the changelog was deleted and made anew since the last commit (the checkpoint is of the topic with the id %s, and the topic's id is %s now); the store is restored from all that the new one holds: %s",
			t.Topic, ends.Topic, has)
		return whole, nil
	case t.Offset == "":
		return Plan{From: ends.Oldest, To: ends.Oldest, End: ends.Stable, Offset: NoOffset}, nil
	}
	offset, err := strconv.ParseInt(t.Offset, 10, 64)
	if err != nil || offset < 0 {
		return Plan{}, fmt.Errorf("the checkpoint's changelog offset %q is no offset", t.Offset)
	}
	if p.ByAge && offset < ends.Oldest {
		// All of the committed state has ended.
		return Plan{From: ends.Oldest, To: ends.Oldest, End: ends.Stable, Offset: offset}, nil
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
	if !p.ExactlyOnce && !p.ByAge && offset+1 < ends.Stable && now.Sub(t.Committed) > lag/10*9 {
		whole.Warning = fmt.Sprintf(
			"the checkpoint is %s; records before its changelog offset %d may have been compacted away because of the %d after it (min.compaction.lag.ms is %d), so the store is restored to the changelog's end, and inputs that these count are processed again",
			ageOf(t.Committed, now), offset, ends.Stable-1-offset, lag.Milliseconds())
		return whole, nil
	}
	return Plan{From: ends.Oldest, To: offset + 1, End: ends.Stable, Offset: offset}, nil
}

// ageOf is how old something is, for people; the zero time is unknown.
func ageOf(at, now time.Time) string {
	if at.IsZero() {
		return "of unknown age"
	}
	return now.Sub(at).Round(time.Second).String() + " old"
}

func offsetText(offset int64) string { return strconv.FormatInt(offset, 10) }
