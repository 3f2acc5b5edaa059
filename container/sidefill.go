package container

import (
	"fmt"
	"slices"

	"heddle/container/events"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// openShared fills the stores that all tasks of the container read.
func (c *Container) openShared() error {
	for _, spec := range c.side.specs {
		if !spec.Shared {
			continue
		}
		inputs, err := c.allPartitions(spec)
		if err != nil {
			return err
		}
		side, err := c.openSide(spec, "container "+c.opts.Model.ID, 1)
		if err != nil {
			return err
		}
		c.side.mu.Lock()
		c.side.shared = append(c.side.shared, side)
		c.side.mu.Unlock()
		if err := c.fillSide(side, spec, "", inputs, c.side.restores.note); err != nil {
			return err
		}
	}
	return nil
}

// allPartitions are those of all side inputs of a store.
func (c *Container) allPartitions(spec storage.Spec) ([]jobmodel.Input, error) {
	var out []jobmodel.Input
	for _, id := range spec.SideInputs {
		ends, err := c.changelogEnds(c.begun, id)
		if err != nil {
			return nil, fmt.Errorf("side input %s of store %q: %w", id, spec.Name, err)
		}
		for p := range ends {
			out = append(out, jobmodel.Input{System: id.System, Stream: id.Stream, Partition: int32(p)})
		}
	}
	return out, nil
}

// openSides fills the task's own stores, and lends it all of its.
func (c *Container) openSides(t *instance) error {
	var own []*storage.Side
	for _, spec := range c.side.specs {
		if spec.Shared {
			continue
		}
		var inputs []jobmodel.Input
		for _, in := range c.side.inputs[t.name] {
			if slices.Contains(spec.SideInputs, system.StreamID(in.StreamID())) {
				inputs = append(inputs, in)
			}
		}
		if len(inputs) == 0 {
			t.log.Warn("the task has no partition of the store's side inputs, so that the store stays empty", "store", spec.Name)
		}
		side, err := c.openSide(spec, t.name, len(c.opts.Model.Tasks))
		if err != nil {
			return err
		}
		own = append(slices.Clone(own), side)
		t.sides.Store(&own)
		if err := c.fillSide(side, spec, t.name, inputs, t.restores.note); err != nil {
			return err
		}
		if err := t.stores.Lend(side); err != nil {
			return err
		}
	}
	for _, side := range c.side.shared {
		if err := t.stores.Lend(side); err != nil {
			return err
		}
	}
	return nil
}

// openSide opens one store. name is the task's, or that of who shares it.
func (c *Container) openSide(spec storage.Spec, name string, tasks int) (*storage.Side, error) {
	side, err := storage.OpenSide(spec, c.opts.SideInputs[spec.SideProcessor], c.settings.dropDeserialization, storage.Options{
		TaskName: name, Serdes: c.storeSerde, Logger: c.log.With("task", name), Ends: c.changelogEnds, Now: c.now, Tasks: tasks, Folders: c.disk.logged,
	})
	if err != nil {
		return nil, err
	}
	c.side.mu.Lock()
	c.side.all = append(c.side.all, side)
	c.side.mu.Unlock()
	return side, nil
}

// fillSide fills one store, of a task or ("") of all.
func (c *Container) fillSide(side *storage.Side, spec storage.Spec, task string, inputs []jobmodel.Input, progress func(storage.Progress)) error {
	began := c.now()
	sources, err := c.sideSources(inputs)
	if err != nil {
		return err
	}
	for _, src := range sources {
		p := partitionOf(src)
		c.lags.add(p, func() int64 { return behind(side.Place(p)) })
	}
	var messages int64
	// What one filling holds in memory is bounded as a restore's is.
	if err := c.disk.inTurn(c.begun, func() error {
		return side.Fill(c.begun, sources, c.changelogSystems, func(p storage.Progress) {
			messages = p.Records
			progress(p)
		})
	}); err != nil {
		return err
	}
	e := events.Filled{Container: c.opts.Model.ID, Task: task, Store: spec.Name, Messages: messages, Took: c.now().Sub(began)}
	for _, in := range spec.SideInputs {
		e.Streams = append(e.Streams, in.String())
	}
	c.events.Event(e)
	c.side.mu.Lock()
	defer c.side.mu.Unlock()
	for _, src := range sources {
		p := partitionOf(src)
		c.side.readers[p] = append(c.side.readers[p], side)
	}
	return nil
}

func (c *Container) sideSources(inputs []jobmodel.Input) ([]*task.Source, error) {
	var sources []*task.Source
	for _, in := range inputs {
		src, err := c.sideSource(in)
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
	}
	return sources, nil
}

// sideSource gives the source of a partition, the same to all stores.
func (c *Container) sideSource(in jobmodel.Input) (*task.Source, error) {
	p := system.Partition{System: in.System, Stream: in.Stream, Partition: in.Partition}
	c.side.mu.Lock()
	defer c.side.mu.Unlock()
	if src := c.side.sources[p]; src != nil {
		return src, nil
	}
	src, _, err := c.resolved.input(in)
	if err == nil {
		c.side.sources[p] = src
	}
	return src, err
}
