package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"heddle/config"
	"heddle/container/events"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// Side inputs fill stores, not tasks: their partitions come with the JobModel, as
// a task's inputs do (Samza: TaskInstance, which leaves them out), and are read by
// a consumer of their own. At the start each store is filled up to the ends; then
// one goroutine keeps all of them up to date while the tasks read them.

// sides are the stores of a container that are filled from side inputs.
type sides struct {
	specs []storage.Spec
	// inputs are the side input partitions of each task.
	inputs map[string][]jobmodel.Input

	mu     sync.Mutex
	shared []*storage.Side
	all    []*storage.Side
	// restores is how far the filling of the shared ones is.
	restores restores

	// readers are the stores that read a partition.
	readers   map[system.Partition][]*storage.Side
	sources   map[system.Partition]*task.Source
	consumers []system.Consumer
	following sync.WaitGroup
	stop      context.CancelFunc
}

// splitSideInputs takes the side inputs out of what the container knows of its
// tasks and of its stores.
func splitSideInputs(o *Options) (*sides, error) {
	s := &sides{
		inputs: map[string][]jobmodel.Input{}, readers: map[system.Partition][]*storage.Side{},
		sources: map[system.Partition]*task.Source{},
	}
	var own []storage.Spec
	streams := map[system.StreamID]bool{}
	for _, spec := range o.Stores {
		if !spec.FromSide() {
			own = append(own, spec)
			continue
		}
		if name := spec.SideProcessor; name != "" && o.SideInputs[name] == nil {
			key := config.StoreSideInputsProcessor.Name(spec.Name)
			return nil, &config.Error{Key: key, Origin: o.Config.Origin(key), Problem: fmt.Sprintf("%q is not registered in the program", name),
				Hint: fmt.Sprintf("give container.Main the option container.WithSideInput(%q, ...), or remove the key: a message's key and value are the entry then", name)}
		}
		s.specs = append(s.specs, spec)
		for _, in := range spec.SideInputs {
			streams[in] = true
		}
	}
	if len(s.specs) == 0 {
		return s, nil
	}
	o.Stores = own
	tasks := make(map[string]jobmodel.Task, len(o.Model.Tasks))
	for name, t := range o.Model.Tasks {
		all := t.Inputs
		t.Inputs = nil
		for _, in := range all {
			if streams[system.StreamID(in.StreamID())] {
				s.inputs[name] = append(s.inputs[name], in)
			} else {
				t.Inputs = append(t.Inputs, in)
			}
		}
		tasks[name] = t
	}
	o.Model.Tasks = tasks
	return s, nil
}

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
		p := system.Partition{System: src.System, Stream: src.Stream, Partition: src.Partition}
		c.side.readers[p] = append(c.side.readers[p], side)
	}
	return nil
}

// report is how far the stores are that all tasks share. Any goroutine calls it.
func (s *sides) report(restoring bool) (positions []coordinator.SideInputReport, filling []coordinator.RestoreReport) {
	s.mu.Lock()
	shared := s.shared
	s.mu.Unlock()
	for _, side := range shared {
		positions = append(positions, sideReport(side)...)
	}
	if restoring {
		filling = s.restores.report()
	}
	return positions, filling
}

func sideReport(side *storage.Side) []coordinator.SideInputReport {
	var out []coordinator.SideInputReport
	for _, p := range side.Places() {
		out = append(out, coordinator.SideInputReport{Store: side.Name(), InputReport: coordinator.InputReport{
			System: p.Partition.System, Stream: p.Partition.Stream, Partition: p.Partition.Partition,
			Next: p.Next, HighWatermark: p.End,
		}})
	}
	return out
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

// storeSerde gives the serde of a store's keys or values.
func (c *Container) storeSerde(name string) (task.Serde, error) {
	return namedSerde(c.opts.Config, name, "serializers.registry."+name+".class")
}

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
			p := system.Partition{System: b.Source.System, Stream: b.Source.Stream, Partition: b.Source.Partition}
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
	if errors.Is(err, system.ErrNoStream) {
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

// close gives up the stores; nobody may read them any more.
func (s *sides) close() error {
	var errs []error
	for _, side := range s.all {
		errs = append(errs, side.Close())
	}
	s.all = nil
	return errors.Join(errs...)
}
