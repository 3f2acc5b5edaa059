package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"heddle/system"
)

// await waits for the tasks: without limit while they run, and until the limit
// of the stop (task.shutdown.ms) once they were told to end.
func (c *Container) await(running *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-c.begun.Done():
	}
	select {
	case <-done:
		return
	case <-c.hard.Done(): // at the latest by the limit of the stop
	}
	// Told to end at once: a task that does not look at its Context is left
	// behind with its goroutine. Closing the producers wakes those that wait for
	// room to send.
	select {
	case <-done:
	case <-time.After(hardWait):
		_ = c.closeProducers() // only to wake them; the stop has failed already
		c.wakeTransactions()
		select {
		case <-done:
		case <-time.After(hardWait):
			c.log.Warn("tasks are still busy and are left behind")
		}
	}
}

// hardWait is what tasks get to return from a call when all ends at once.
const hardWait = 500 * time.Millisecond

// cause is why the container ended; nil if in order.
func (c *Container) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failure != nil:
		return c.failure
	case c.hard.Err() != nil:
		return fmt.Errorf("container %s: ended at once, without a commit: %w", c.opts.Model.ID, context.Cause(c.hard))
	}
	return nil
}

// shut is the last part of the end, good or bad: Close of every task, stores,
// producers, consumers.
func (c *Container) shut(err error) error {
	c.scans.close()
	errs := []error{c.side.stopFollowing(), c.endTransactions(err != nil)}
	left := false
	for _, t := range c.tasks {
		if t.busy.Load() {
			left = true
			continue // left behind in a call; nothing of it may be touched
		}
		if t.opened {
			errs = append(errs, t.shut())
		}
		if t.stores != nil {
			// No failure of the job: what was committed is in the changelogs.
			if err := t.stores.Close(); err != nil {
				c.log.Warn("local state is not kept whole; nothing that was committed is lost, and the next start restores it", "error", err)
			}
		}
		if err == nil {
			errs = append(errs, t.out.close(), t.changelogs.close())
		}
	}
	if !left {
		errs = append(errs, c.side.close())
	}
	errs = append(errs, c.closeProducers())
	c.closeSnapshots()
	for _, name := range sortedKeys(c.consumers) {
		errs = append(errs, c.consumers[name].Close())
	}
	if err != nil {
		// What fails in the wake of a failure is not why.
		if also := errors.Join(errs...); also != nil {
			c.log.Warn("while ending", "error", also)
		}
		return err
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("container %s: end: %w", c.opts.Model.ID, err)
	}
	return nil
}

func (c *Container) closeProducers() error {
	c.mu.Lock()
	producers := c.producers
	c.producers = map[string]system.Producer{}
	c.mu.Unlock()
	var errs []error
	for _, name := range sortedKeys(producers) {
		errs = append(errs, producers[name].Close())
	}
	return errors.Join(errs...)
}

// finishStarted ends in order the tasks that were ready when the container was
// told to end before all were: their Init may have sent something.
func (c *Container) finishStarted() error {
	for _, t := range c.tasks {
		if !t.ready {
			continue
		}
		if err := t.finish(); err != nil {
			return err
		}
	}
	return nil
}
