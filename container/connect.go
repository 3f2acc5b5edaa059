package container

import (
	"fmt"
	"slices"

	"heddle/config"
	"heddle/system"
)

// consume makes the consumers and tells them where to begin.
func (c *Container) consume(inputs []input) error {
	for _, in := range inputs {
		consumer, err := c.consumer(in.source.System)
		if err != nil {
			return err
		}
		if err := consumer.Assign(in.source, in.position.offset); err != nil {
			return fmt.Errorf("container %s: %w", c.opts.Model.ID, err)
		}
	}
	for _, f := range c.fetchers {
		f.pauseHeld()
	}
	return nil
}

func (c *Container) consumer(name string) (system.Consumer, error) {
	if consumer, ok := c.consumers[name]; ok {
		return consumer, nil
	}
	s, err := c.opts.System(name)
	if err != nil {
		return nil, err
	}
	consumer, err := s.Consumer()
	if err != nil {
		return nil, fmt.Errorf("system %q: consumer: %w", name, err)
	}
	c.consumers[name] = consumer
	c.fetchers[name].consumer = consumer
	return consumer, nil
}

// outbox opens an outbox of a task on a system.
func (c *Container) outbox(t *instance, name, sys string) (system.Outbox, error) {
	if !slices.Contains(config.Systems(c.opts.Config), sys) {
		return nil, fmt.Errorf("the system %q is not configured (systems.%s.*); there are %v", sys, sys, config.Systems(c.opts.Config))
	}
	if c.exactly != nil {
		s, err := c.opts.System(sys)
		if err != nil {
			return nil, err
		}
		return c.exactly.box(c.hard, t, s)
	}
	p, err := c.producer(sys)
	if err != nil {
		return nil, err
	}
	return p.Outbox(name)
}

func (c *Container) producer(sys string) (system.Producer, error) {
	s, err := c.opts.System(sys)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.producers[sys]; ok {
		return p, nil
	}
	p, err := s.Producer()
	if err != nil {
		return nil, fmt.Errorf("system %q: producer: %w", sys, err)
	}
	c.producers[sys] = p
	return p, nil
}
