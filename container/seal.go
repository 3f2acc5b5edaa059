package container

import (
	"cmp"
	"context"
	"fmt"
	"maps"

	"heddle/checkpoint"
	"heddle/system"
)

// sealStarts writes down where the tasks begin whose inputs another start would
// begin elsewhere (position.unsealed). It comes before the stores are restored:
// that may take long, and a container that is stopped or killed meanwhile would
// pass over what came in until its next start.
func (c *Container) sealStarts() error {
	return c.each(c.parallel, func(t *instance) error {
		if !t.unsealed || t.checkpoints == nil {
			return nil
		}
		if err := t.sealStart(); err != nil {
			return fmt.Errorf("task %q: write down where its inputs begin: %w", t.name, err)
		}
		return nil
	})
}

// sealStart writes a checkpoint of the last one's state: of the stores nothing is
// known yet.
func (t *instance) sealStart() error {
	ctx, cancel := context.WithTimeout(t.hard, t.settings.commitTimeout)
	defer cancel()
	last, _ := t.checkpoints.Last(t.name)
	c := checkpoint.Checkpoint{
		// Its age is that of the state.
		ID:     cmp.Or(last.ID, checkpoint.NewID(t.now())),
		Inputs: t.inputOffsets(), Topics: map[system.StreamID]system.TopicID{},
	}
	if t.settings.transactionalCheckpoint {
		c.Changelogs = last.Changelogs
	}
	maps.Copy(c.Topics, last.Topics)
	maps.Copy(c.Topics, t.topics)
	return t.seal(ctx, c)
}

// sealAtStart says whether the task commits before its first message: after a
// transactional restore (Samza: TaskInstance.init), so that what was undone is
// not undone again.
func (t *instance) sealAtStart() bool {
	return t.checkpoints != nil && t.settings.transactionalRestore && len(t.logged) > 0
}

// seal makes a checkpoint safe: at once, or with all that the task wrote since
// its last commit.
func (t *instance) seal(ctx context.Context, c checkpoint.Checkpoint) error {
	switch {
	case t.tx != nil:
		return t.sealTransaction(ctx, c)
	case t.checkpoints != nil:
		if err := t.checkpoints.Write(ctx, t.name, c); err != nil {
			return fmt.Errorf("write the checkpoint: %w", err)
		}
	}
	return nil
}
