package container

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"heddle/coordinator"
	"heddle/storage"
	"heddle/task"
)

// Questions about a task's state (coordinator.Question) come in on the link.
// The task's own goroutine does as little as can be: it gives a view of its
// store between two messages. Reading a range, encoding it and waiting for
// whoever reads it happen elsewhere, so a slow reader holds up nobody.

// Ask answers a question about the state of one of the container's tasks. It may
// be called from any goroutine, at any time.
func (c *Container) Ask(ctx context.Context, q coordinator.Question) coordinator.Answer {
	t, no := c.asked(q.Task)
	if t == nil {
		return no
	}
	if q.Op == coordinator.OpGet {
		return c.get(ctx, t, q)
	}
	if q.Op != coordinator.OpRange && q.Op != coordinator.OpCount {
		return failed(coordinator.FailUnknown, "the container knows no question %q; it may be of an older version", q.Op)
	}
	if q.Page == 0 {
		if a := c.openScan(ctx, t, q); a.Failure != "" {
			return a
		}
	}
	s := c.scans.find(q.Scan, c.now())
	if s == nil {
		return gone(q)
	}
	a := c.page(ctx, s, q)
	if !a.More {
		c.scans.remove(q.Scan, s)
	}
	return a
}

func failed(kind, format string, args ...any) coordinator.Answer {
	return coordinator.Answer{Failure: kind, Error: fmt.Sprintf(format, args...)}
}

func gone(q coordinator.Question) coordinator.Answer {
	return failed(coordinator.FailGone, "the place of this range in store %q of task %q is not held any more (after %v without a question, or because others came); ask for the range again from its beginning", q.Store, q.Task, scanIdle)
}

// asked finds the task of a question, if its goroutine can be asked.
func (c *Container) asked(name string) (*instance, coordinator.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state()
	switch state {
	case coordinator.ContainerRunning, coordinator.ContainerPaused:
	default:
		return nil, failed(coordinator.FailNotRunning, "container %s, which runs task %q, is %s", c.opts.Model.ID, name, state)
	}
	for _, t := range c.published {
		if t.name == name {
			return t, coordinator.Answer{}
		}
	}
	return nil, failed(coordinator.FailUnknown, "container %s has no task %q; it has %s", c.opts.Model.ID, name, strings.Join(c.opts.Model.TaskNames(), ", "))
}

// notDone says why a task's goroutine did not do what it was asked.
func (c *Container) notDone(t *instance, err error) coordinator.Answer {
	kind := coordinator.FailBusy
	if errors.Is(err, errStopping) {
		kind = coordinator.FailNotRunning
	}
	return failed(kind, "task %q in container %s: %v", t.name, c.opts.Model.ID, err)
}

// notRead says why a store could not be looked at.
func notRead(err error) coordinator.Answer {
	switch {
	case errors.Is(err, storage.ErrNoStore):
		return failed(coordinator.FailUnknown, "%v", err)
	case errors.Is(err, storage.ErrUncommitted):
		return failed(coordinator.FailBusy, "%v", err)
	}
	return failed(coordinator.FailRead, "%v", err)
}

func (c *Container) get(ctx context.Context, t *instance, q coordinator.Question) coordinator.Answer {
	var (
		view  storage.View
		value []byte
		found bool
		err   error
		at    int64
	)
	if no := t.perform(ctx, c.begun.Done(), func(t *instance) {
		at = t.committedAt.Load()
		if view, err = t.stores.View(q.Store, q.Mode == coordinator.ModeLive); err == nil {
			value, found, err = view.Get(string(q.From))
		}
	}); no != nil {
		return c.notDone(t, no)
	}
	if err != nil {
		return notRead(err)
	}
	a := coordinator.Answer{CommittedAt: at}
	if found {
		if len(value) > maxValue {
			return tooLarge(view.Keys, string(q.From), len(value))
		}
		a.Entries = []coordinator.StateEntry{{Key: storage.AppendShown(nil, view.Keys, q.From), Value: storage.AppendShown(nil, view.Values, value)}}
	}
	return a
}

// maxValue bounds a value that is shown: what JSON makes of it has to fit into
// coordinator.MaxAnswer.
const maxValue = 10 << 20

func tooLarge(keys task.Serde, key string, size int) coordinator.Answer {
	return failed(coordinator.FailRead, "the value of key %.200s has %d bytes, more than is shown (%d); run-job state restore makes a copy that can be read without the job", storage.AppendShown(nil, keys, []byte(key)), size, maxValue)
}

func (c *Container) stopped(q coordinator.Question) coordinator.Answer {
	return failed(coordinator.FailNotRunning, "task %q in container %s: %v", q.Task, c.opts.Model.ID, errStopping)
}
