package container

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"heddle/checkpoint"
	"heddle/storage"
	"heddle/system"
)

// Step is a point between the steps of a commit, or in front of one. Tests stop
// a container there.
type Step string

// The steps of a commit, in their order.
const (
	// StepBegun: nothing has been done.
	StepBegun Step = "commit begun"
	// StepStoresFlushed: what the stores cached is with the producer.
	StepStoresFlushed Step = "stores flushed"
	// StepSent: outputs and changelogs are acknowledged.
	StepSent Step = "outputs and changelogs acknowledged"
	// StepPositioned: the changelog positions are known.
	StepPositioned Step = "changelog positions known"
	// StepCheckpointSent, with exactly-once only: the checkpoint is acknowledged,
	// and the transaction that it is part of is not ended.
	StepCheckpointSent Step = "checkpoint acknowledged"
	// StepCheckpointed: the checkpoint is safe; with exactly-once the transaction
	// is committed.
	StepCheckpointed Step = "checkpoint written"
	// StepApplied: the stores' engines hold the committed state.
	StepApplied Step = "committed state applied"
)

// StepWindowed is no step of a commit: the task's Window has returned, and
// nothing of what it did is committed.
const StepWindowed Step = "window over"

// Steps are those at-least-once, in their order; TransactionSteps those
// exactly-once.
var (
	Steps            = []Step{StepBegun, StepStoresFlushed, StepSent, StepPositioned, StepCheckpointed, StepApplied}
	TransactionSteps = []Step{StepBegun, StepStoresFlushed, StepSent, StepPositioned, StepCheckpointSent, StepCheckpointed, StepApplied}
)

// commit makes what the task has done so far safe. The order is the design's,
// and every exchange of two lines of it loses something: a checkpoint before
// the acknowledgements passes inputs whose outputs may never arrive; positions
// before the acknowledgements undo, at the next restore, writes whose inputs
// are passed (Samza's lost update); a flush of the producer before that of the
// stores leaves their cached writes unsent.
//
// With exactly-once outputs, changelogs and checkpoint are one transaction,
// which ends between the checkpoint's acknowledgement and the stores' engines.
func (t *instance) commit() (err error) {
	began := t.now()
	ctx, cancel := context.WithTimeout(t.hard, t.settings.commitTimeout)
	defer cancel()
	defer func() {
		if err == nil {
			return
		}
		if errors.Is(err, context.DeadlineExceeded) && t.hard.Err() == nil {
			err = fmt.Errorf("%w (not done after %v: task.commit.timeout.ms)", err, t.settings.commitTimeout)
		}
		err = fmt.Errorf("commit of task %q: %w", t.name, err)
	}()

	if err := t.step(StepBegun); err != nil {
		return err
	}
	if t.mayCommit != nil {
		if err := t.mayCommit(ctx); err != nil {
			return err
		}
	}
	if err := t.stores.Flush(); err != nil {
		return fmt.Errorf("flush the stores: %w", err)
	}
	if err := t.step(StepStoresFlushed); err != nil {
		return err
	}
	if err := t.flushOutputs(ctx); err != nil {
		return err
	}
	if _, err := t.changelogs.flush(ctx); err != nil {
		return fmt.Errorf("changelogs: %w", err)
	}
	if err := t.step(StepSent); err != nil {
		return err
	}
	c := checkpoint.Checkpoint{ID: checkpoint.NewID(began), Inputs: t.inputOffsets(), Topics: t.topics}
	if t.settings.transactionalCheckpoint {
		c.Changelogs = t.changelogPositions()
	}
	if err := t.step(StepPositioned); err != nil {
		return err
	}
	if err := t.seal(ctx, c); err != nil {
		return err
	}
	if err := t.step(StepCheckpointed); err != nil {
		return err
	}
	// Not before: what an engine on disk holds must never be ahead of the
	// checkpoint.
	if err := t.stores.Committed(t.hard, storage.Commit{Checkpoint: c.ID, Began: began}); err != nil {
		return fmt.Errorf("make it the state of the stores: %w", err)
	}
	if err := t.step(StepApplied); err != nil {
		return err
	}
	t.committed(began, c)
	return nil
}

// flushOutputs waits for the acknowledgements of what the task sent. With
// task.drop.producer.errors what a system refused is given up instead;
// changelogs never are.
func (t *instance) flushOutputs(ctx context.Context) error {
	for {
		sys, err := t.out.flush(ctx)
		switch {
		case err == nil:
			return nil
		case !t.settings.dropProducer || ctx.Err() != nil:
			return fmt.Errorf("outputs: %w", err)
		}
		if err := t.dropUnsent(sys, err); err != nil {
			return err
		}
	}
}

// dropUnsent gives up what the system's outbox holds.
func (t *instance) dropUnsent(sys string, cause error) error {
	t.counts.sendFailed.Add(1)
	t.dropped("producer", cause)
	if err := t.out.reopen(sys); err != nil {
		return fmt.Errorf("after a failure to send (%w), which is passed over: %w", cause, err)
	}
	return nil
}

func (t *instance) step(s Step) error {
	if t.failpoint == nil {
		return nil
	}
	return t.failpoint(t.name, s)
}

// inputOffsets are the last processed offsets of the task's inputs; an input
// of which none is known is left out, as Samza does.
func (t *instance) inputOffsets() map[system.Partition]string {
	m := make(map[system.Partition]string, len(t.lanes))
	for _, l := range t.lanes {
		if l.known {
			m[partitionOf(l.source)] = strconv.FormatInt(l.last, 10)
		}
	}
	return m
}

// idleCommit says whether a commit that only the clock asks for can be left
// out: nothing was done since the last one, and that is not so old that the
// checkpoint would lose its worth for a restore (Samza restores to the newest
// changelog offset when the checkpoint is older than 0.9 times
// min.compaction.lag.ms).
func idleCommit(worked bool, sinceLast time.Duration) bool {
	return !worked && sinceLast < idleCommitAge
}

const idleCommitAge = time.Minute
