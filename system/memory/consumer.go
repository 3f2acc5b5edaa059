package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"heddle/system"
	"heddle/task"
)

var errClosed = errors.New("closed")

type consumer struct {
	broker *Broker

	mu     sync.Mutex
	wake   chan struct{} // closed and replaced when what may be read changes
	inputs []*input
	closed bool
}

type input struct {
	src    *task.Source
	next   int64
	paused bool
}

func newConsumer(b *Broker) *consumer {
	return &consumer{broker: b, wake: make(chan struct{})}
}

// Assign on a partition that is assigned already moves its position.
func (c *consumer) Assign(src *task.Source, next int64) error {
	if next < 0 && next != system.Oldest && next != system.End {
		return fmt.Errorf("assign %s: %d is no offset", src, next)
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return fmt.Errorf("assign %s: consumer %w", src, errClosed)
	}
	c.broker.mu.Lock()
	p, err := c.broker.find(src.Stream, src.Partition)
	if err == nil {
		switch next {
		case system.Oldest:
			next = p.oldest
		case system.End:
			next = p.end()
		}
	}
	c.broker.mu.Unlock()
	if err != nil {
		return fmt.Errorf("assign: %w", err)
	}
	c.change(func() {
		for _, in := range c.inputs {
			if same(in.src, src) {
				in.src, in.next = src, next
				return
			}
		}
		c.inputs = append(c.inputs, &input{src: src, next: next})
	})
	return nil
}

func (c *consumer) Pause(src ...*task.Source)  { c.setPaused(true, src) }
func (c *consumer) Resume(src ...*task.Source) { c.setPaused(false, src) }

func (c *consumer) setPaused(paused bool, src []*task.Source) {
	c.change(func() {
		for _, in := range c.inputs {
			for _, s := range src {
				if same(in.src, s) {
					in.paused = paused
				}
			}
		}
	})
}

func (c *consumer) Close() error {
	c.change(func() { c.closed = true })
	return nil
}

func (c *consumer) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *consumer) Poll(ctx context.Context) ([]system.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if f := c.broker.currentFaults().Poll; f != nil {
			if err := f(); err != nil {
				return nil, err
			}
		}
		batches, changed, wake, err := c.take()
		if err != nil || len(batches) > 0 {
			return batches, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-wake:
		}
	}
}

// take collects what is there, and the channels that tell of a change.
func (c *consumer) take() (batches []system.Batch, changed, wake chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, nil, fmt.Errorf("poll: consumer %w", errClosed)
	}
	c.broker.mu.Lock()
	defer c.broker.mu.Unlock()
	for _, in := range c.inputs {
		if in.paused {
			continue
		}
		p, err := c.broker.find(in.src.Stream, in.src.Partition)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("poll: %w", err)
		}
		batch, wait, err := p.fetch(in.src, in.next, p.next)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("poll: %w", err)
		}
		if wait {
			continue
		}
		in.next = batch.Next
		batches = append(batches, batch)
	}
	return batches, c.broker.changed, c.wake, nil
}

func same(a, b *task.Source) bool {
	return a == b || a.Stream == b.Stream && a.Partition == b.Partition
}
