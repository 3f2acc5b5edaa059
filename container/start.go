package container

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// start brings the container to the point where its tasks may be called, in
// Samza's order: checkpoints and starting positions, which are written down where
// they have to be, producers, stores, the commit at the start, Init, consumers.
// Before all of that it takes over the tasks' transactions, with exactly-once, or
// ends those of a run before.
func (c *Container) start() error {
	if len(c.opts.Model.Tasks) == 0 {
		return fmt.Errorf("container %s has no tasks; lower job.container.count", c.opts.Model.ID)
	}
	if err := c.buildTasks(); err != nil {
		return err
	}
	if err := c.findChangelogs(); err != nil {
		return err
	}
	if err := c.takeOver(); err != nil {
		return err
	}
	inputs, err := c.positions()
	if err != nil {
		return err
	}
	c.announce(inputs)
	c.assignLanes(inputs)
	if err := c.sealStarts(); err != nil {
		return err
	}
	c.mu.Lock()
	c.published = c.tasks
	c.mu.Unlock()
	if err := c.findState(); err != nil {
		return err
	}
	if err := c.openShared(); err != nil {
		return err
	}
	if err := c.openSnapshots(); err != nil {
		return err
	}
	if err := c.each(c.parallel, c.open); err != nil {
		return err
	}
	c.cleanState()
	if err := c.consume(inputs); err != nil {
		return err
	}
	return c.follow()
}

// How many tasks restore and initialise at a time.
const startParallel = 16

// each calls f for every task, a number of them at a time, until one fails or
// the container is told to end.
func (c *Container) each(limit int, f func(*instance) error) error {
	var (
		wg   sync.WaitGroup
		next atomic.Int32
		mu   sync.Mutex
		errs error
	)
	for range min(limit, len(c.tasks)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				mu.Lock()
				stop := errs != nil
				mu.Unlock()
				if i >= len(c.tasks) || stop {
					return
				}
				err := c.begun.Err()
				if err == nil {
					err = f(c.tasks[i])
				}
				if err != nil {
					mu.Lock()
					if errs == nil {
						errs = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errs
}

// open readies one task: its stores, the commit at the start, Init.
func (c *Container) open(t *instance) error {
	if err := c.openStores(t); err != nil {
		return err
	}
	t.measureStores()
	t.lastCommit = c.now()
	if t.sealAtStart() {
		if err := t.commit(); err != nil {
			return fmt.Errorf("at the start: %w", err)
		}
	}
	t.opened = true
	if err := t.initialize(); err != nil {
		return err
	}
	t.ready = true
	return nil
}
