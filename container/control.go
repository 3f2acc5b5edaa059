package container

import (
	"fmt"
	"time"

	"heddle/container/events"
)

// Stop begins the graceful end and returns at once. It may be called at any
// time, also before Run and more than once; why is for people.
func (c *Container) Stop(why string) { c.stop(why) }

func (c *Container) stop(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping != "" {
		return
	}
	c.stopping = why
	c.stopBy = time.Now().Add(c.settings.shutdown)
	c.limit = time.AfterFunc(c.settings.shutdown, func() {
		c.fail(fmt.Errorf("container %s: not stopped after %v (task.shutdown.ms); what its tasks did since their last commits will be repeated", c.opts.Model.ID, c.settings.shutdown))
	})
	c.log.Info("stopping", "why", why)
	c.events.Event(events.Stopping{Container: c.opts.Model.ID, Why: why})
	if c.endBegun != nil {
		c.endBegun()
	}
	if c.live {
		for _, t := range c.tasks {
			t.sig.raise(signalStop)
		}
	}
}

// endLimit takes back the limit of the end, which is over.
func (c *Container) endLimit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit != nil {
		c.limit.Stop()
	}
}

func (c *Container) isStopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping != ""
}

// SetPaused holds the tasks or lets them go on. While they are held they
// process nothing and their windows wait; commits go on.
func (c *Container) SetPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
	if c.live {
		c.signalPaused()
	}
}

// signalPaused needs c.mu.
func (c *Container) signalPaused() {
	for _, t := range c.tasks {
		if c.paused {
			t.sig.raise(signalPause)
		} else {
			t.sig.lower(signalPause)
		}
	}
}

// CommitAll asks every task for a commit.
func (c *Container) CommitAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		return
	}
	for _, t := range c.tasks {
		t.askCommit()
	}
}

func (c *Container) commitAll() { c.CommitAll() }

func (c *Container) vote() {
	if int(c.votes.Add(1)) == len(c.tasks) {
		c.stop("all tasks asked for it")
	}
}

func (c *Container) caughtUp() {
	if int(c.caught.Add(1)) == len(c.tasks) {
		c.stop("every input is read to the end that it had at the start")
	}
}

// failed is the container's failure so far; nil if there is none.
func (c *Container) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// fail ends everything at once; the first failure is the container's.
func (c *Container) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.failure = err
		c.log.Error("failed", "error", err)
	}
	if c.endHard == nil {
		return // Run has not begun
	}
	c.endHard(err)
	if c.live {
		for _, t := range c.tasks {
			t.sig.raise(signalAbort)
		}
	}
}
