package container

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"heddle/config"
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

// close gives up the stores; nobody may read them any more.
func (s *sides) close() error {
	var errs []error
	for _, side := range s.all {
		errs = append(errs, side.Close())
	}
	s.all = nil
	return errors.Join(errs...)
}
