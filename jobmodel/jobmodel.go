package jobmodel

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"heddle/config"
)

// JobModel is the whole assignment (Samza: JobModel).
type JobModel struct {
	// Config is what the containers run with. Secrets do not belong in it.
	Config config.Config
	// Containers by container (processor) id, "0" to "n-1".
	Containers map[string]Container
}

// Container is the share of one container (Samza: ContainerModel).
type Container struct {
	ID string
	// Tasks by task name.
	Tasks map[string]Task
}

// Task is one task (Samza: TaskModel). Only active tasks are modelled: Samza's
// standby tasks are not.
type Task struct {
	// Name is "Partition 0", or an SSP's text form with the SSP grouper.
	Name string
	// Inputs are sorted by system, stream and partition.
	Inputs []Input
	// ChangelogPartition is the partition of every changelog that this task's
	// stores write to.
	ChangelogPartition int32
}

// Input is one input partition of a task (Samza: SystemStreamPartition).
type Input struct {
	System    string
	Stream    string
	Partition int32
}

// String is Samza's text form, "SystemStreamPartition [kafka, clicks, 0]".
func (i Input) String() string {
	return fmt.Sprintf("SystemStreamPartition [%s, %s, %d]", i.System, i.Stream, i.Partition)
}

// StreamID is the stream that the partition belongs to.
func (i Input) StreamID() Stream { return Stream{i.System, i.Stream} }

// Stream names an input stream (Samza: SystemStream).
type Stream struct {
	System, Stream string
}

// String is "system.stream", as in task.inputs.
func (s Stream) String() string { return s.System + "." + s.Stream }

// ContainerIDs gives the ids of the containers in order: numbers by their
// value, then all others as strings.
func (m JobModel) ContainerIDs() []string {
	return slices.SortedFunc(maps.Keys(m.Containers), CompareIDs)
}

// TaskCount is the number of tasks in all containers.
func (m JobModel) TaskCount() int {
	n := 0
	for _, c := range m.Containers {
		n += len(c.Tasks)
	}
	return n
}

// ChangelogPartitions is the number of partitions that a changelog needs: the
// highest that a task has, plus one (Samza: maxChangeLogStreamPartitions); 0
// without tasks.
func (m JobModel) ChangelogPartitions() int32 {
	var n int32
	for _, c := range m.Containers {
		for _, t := range c.Tasks {
			n = max(n, t.ChangelogPartition+1)
		}
	}
	return n
}

// TaskNames gives the container's task names in order.
func (c Container) TaskNames() []string { return slices.Sorted(maps.Keys(c.Tasks)) }

// CompareIDs orders container ids: numbers by their value, before all others,
// which are ordered as strings.
func CompareIDs(a, b string) int {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	switch {
	case errX == nil && errY == nil && x != y:
		return x - y
	case errX == nil && errY != nil:
		return -1
	case errX != nil && errY == nil:
		return 1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// CompareInputs orders input partitions by system, stream and partition.
func CompareInputs(a, b Input) int {
	switch {
	case a.System != b.System:
		if a.System < b.System {
			return -1
		}
		return 1
	case a.Stream != b.Stream:
		if a.Stream < b.Stream {
			return -1
		}
		return 1
	}
	return int(a.Partition) - int(b.Partition)
}
