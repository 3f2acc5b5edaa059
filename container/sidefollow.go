package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"heddle/config"
	"heddle/system"
)

// follow keeps the stores up to date until stopFollowing.
func (c *Container) follow() error {
	bySystem := map[string][]system.Partition{}
	for p := range c.side.readers {
		bySystem[p.System] = append(bySystem[p.System], p)
	}
	ctx, stop := context.WithCancel(c.hard)
	c.side.stop = stop
	for _, name := range sortedKeys(bySystem) {
		sys, err := c.opts.System(name)
		if err != nil {
			return err
		}
		consumer, err := committedConsumer(sys)
		if err != nil {
			return fmt.Errorf("system %q: consumer of side inputs: %w", name, err)
		}
		c.side.consumers = append(c.side.consumers, consumer)
		for _, p := range bySystem[name] {
			from := int64(-1)
			for _, side := range c.side.readers[p] {
				if next, ok := side.Next(p); ok && (from < 0 || next < from) {
					from = next
				}
			}
			if err := consumer.Assign(c.side.sources[p], from); err != nil {
				return fmt.Errorf("container %s: side input: %w", c.opts.Model.ID, err)
			}
		}
		c.side.following.Go(func() {
			if err := c.side.run(ctx, consumer); err != nil {
				c.fail(c.side.blame(name, err))
			}
		})
	}
	return nil
}

// committedConsumer reads as Fill does: what a transaction aborts was never in the
// stream, so that a store does not depend on when it was filled.
func committedConsumer(sys system.System) (system.Consumer, error) {
	if c, ok := sys.(system.CommittedReader); ok {
		return c.CommittedConsumer()
	}
	return sys.Consumer()
}

// run hands what is fetched to the stores. It fetches no faster than they take.
func (s *sides) run(ctx context.Context, consumer system.Consumer) error {
	for {
		batches, err := consumer.Poll(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if err != nil {
			return fmt.Errorf("fetch side inputs: %w", err)
		}
		for _, b := range batches {
			p := partitionOf(b.Source)
			for _, side := range s.readers[p] {
				if err := side.Take(b); err != nil {
					return err
				}
			}
		}
	}
}

// blame adds to an error which stores a system's side inputs fill, by their keys.
func (s *sides) blame(name string, err error) error {
	var keys []string
	for _, spec := range s.specs {
		if slices.ContainsFunc(spec.SideInputs, func(in system.StreamID) bool { return in.System == name }) {
			keys = append(keys, config.StoreSideInputs.Name(spec.Name))
		}
	}
	err = fmt.Errorf("%s: %w", strings.Join(keys, ", "), err)
	switch {
	case errors.Is(err, system.ErrRemade):
		return fmt.Errorf("%w; the next start fills the stores anew, from the new one's beginning", err)
	case errors.Is(err, system.ErrNoStream):
		return fmt.Errorf("%w; was it deleted? Make it anew, with as many partitions as it had, and start the job again: it is read from its beginning then", err)
	}
	return err
}

// stopFollowing ends the reading of side inputs. What was taken is applied.
func (s *sides) stopFollowing() error {
	if s.stop != nil {
		s.stop()
	}
	s.following.Wait()
	var errs []error
	for _, consumer := range s.consumers {
		errs = append(errs, consumer.Close())
	}
	s.consumers = nil
	return errors.Join(errs...)
}
