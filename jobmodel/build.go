package jobmodel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"heddle/config"
)

// Grouper says how input partitions become tasks
// (job.systemstreampartition.grouper.factory).
type Grouper string

// The groupers, named as config names them.
const (
	// ByPartition makes one task, "Partition n", of partition n of every input
	// (Samza: GroupByPartition, its default).
	ByPartition Grouper = "partition"
	// BySSP makes one task of each partition of each input, named by its text
	// form (Samza: GroupBySystemStreamPartition).
	BySSP Grouper = "ssp"
	// AllToSingle makes one task "Task-<container>" for each container, that
	// has every partition (Samza: AllSspToSingleTaskGrouper). It takes no
	// broadcast inputs.
	AllToSingle Grouper = "single"
)

// BuildInput is everything that the assignment follows from.
type BuildInput struct {
	// Config goes into the model as it is; nothing is read from it.
	Config config.Config
	// Streams are the inputs (task.inputs) with the number of their partitions.
	Streams map[Stream]int32
	// Broadcast are the partitions that every task reads
	// (task.broadcast.inputs). One that is in Streams too is not grouped.
	Broadcast []Input
	// Grouper is ByPartition unless set.
	Grouper Grouper
	// Containers is job.container.count; 0 counts as 1.
	Containers int
	// HostAffinity keeps tasks where they were, as far as the number of
	// containers allows (job.host-affinity.enabled). Without it tasks are dealt
	// anew, as Samza does.
	HostAffinity bool
	// KeepTasks keeps the tasks of a job with state when an input's partitions
	// have grown by a multiple (Samza: SSPGrouperProxy, SEP-5). It is to be set
	// for a job with stores unless
	// job.systemstreampartition.input.expansion.enabled is false.
	KeepTasks bool
	// Previous is what the last start of the job had.
	Previous Previous
}

// Previous is an assignment as the coordinator stream holds it.
type Previous struct {
	// Containers is the container id of each active task
	// (set-task-container-assignment).
	Containers map[string]string
	// Inputs are the tasks of each input partition
	// (set-task-partition-assignment).
	Inputs map[Input][]string
	// Changelog is the changelog partition of each task, also of tasks that are
	// no more (set-changelog).
	Changelog map[string]int32
}

// Assignment is what the next start has to know, to be written to the
// coordinator stream.
type Assignment struct {
	// Containers, Inputs and Changelog are as in Previous. Changelog also holds
	// the tasks that Previous had and the model has no more: their partitions
	// are never given to others.
	Containers map[string]string
	Inputs     map[Input][]string
	Changelog  map[string]int32
	// TasksChanged says that the number of tasks is another than before. Then
	// keys may have moved between tasks (and on the first start, from none).
	TasksChanged bool
	// Dealt says that tasks were dealt to containers anew, although HostAffinity
	// was asked for; the reason is in it.
	Dealt string
}

// Errors of Build, wrapped with what is to be done.
var (
	// ErrNoTasks: no input has a partition.
	ErrNoTasks = errors.New("the job has no tasks")
	// ErrTooManyContainers: more containers than tasks.
	ErrTooManyContainers = errors.New("more containers than tasks")
	// ErrInputChanged: partitions of an input changed in a way in which a job
	// with state cannot go on.
	ErrInputChanged = errors.New("the partitions of an input changed")
)

// Build makes the tasks of the input partitions, numbers their changelog
// partitions and deals them out to containers. The result depends on nothing
// but in.
func Build(in BuildInput) (JobModel, Assignment, error) {
	count := cmp.Or(in.Containers, 1)
	if count < 0 {
		return JobModel{}, Assignment{}, fmt.Errorf("job.container.count is %d: must be at least 1", count)
	}
	groups, err := group(in, count)
	if err != nil {
		return JobModel{}, Assignment{}, err
	}
	if in.KeepTasks {
		if groups, err = keepTasks(groups, in.Previous.Inputs, in.Broadcast); err != nil {
			return JobModel{}, Assignment{}, err
		}
	}
	// Samza sorts task names by UTF-16 units, Go by bytes: the same but for
	// characters beyond the BMP, which no stream's name can hold.
	names := slices.Sorted(maps.Keys(groups))
	switch {
	case len(names) == 0 && len(in.Broadcast) > 0:
		return JobModel{}, Assignment{}, fmt.Errorf("%w: tasks come from the partitions of task.inputs that are not broadcast, and there are none; name an input without broadcast", ErrNoTasks)
	case len(names) == 0:
		return JobModel{}, Assignment{}, fmt.Errorf("%w: none of the streams in task.inputs has a partition", ErrNoTasks)
	case len(names) < count:
		return JobModel{}, Assignment{}, fmt.Errorf("%w: job.container.count is %d, but there are only %d tasks (%s); set job.container.count to %d or less, or give the inputs more partitions",
			ErrTooManyContainers, count, len(names), some(names), len(names))
	}

	changelog, err := numberChangelogs(names, in.Previous.Changelog)
	if err != nil {
		return JobModel{}, Assignment{}, err
	}
	dealt, why := deal(names, count), ""
	if in.HostAffinity {
		dealt, why = balance(names, count, in.Previous.Containers)
	}

	m := JobModel{Config: in.Config, Containers: make(map[string]Container, count)}
	a := Assignment{
		Containers:   make(map[string]string, len(names)),
		Inputs:       make(map[Input][]string),
		Changelog:    maps.Clone(in.Previous.Changelog),
		TasksChanged: len(names) != len(in.Previous.Containers),
		Dealt:        why,
	}
	if a.Changelog == nil {
		a.Changelog = make(map[string]int32, len(names))
	}
	for i, tasks := range dealt {
		c := Container{ID: containerID(i), Tasks: make(map[string]Task, len(tasks))}
		for _, name := range tasks {
			inputs := groups[name]
			slices.SortFunc(inputs, CompareInputs)
			c.Tasks[name] = Task{Name: name, Inputs: inputs, ChangelogPartition: changelog[name]}
			a.Containers[name] = c.ID
			a.Changelog[name] = changelog[name]
		}
		m.Containers[c.ID] = c
	}
	for _, name := range names {
		for _, i := range groups[name] {
			a.Inputs[i] = append(a.Inputs[i], name)
		}
	}
	return m, a, nil
}

// numberChangelogs gives each task its changelog partition: the one it had, or
// the next after the highest ever given, in order of names.
func numberChangelogs(names []string, previous map[string]int32) (map[string]int32, error) {
	highest := int32(-1)
	owner := make(map[int32]string, len(previous))
	for _, name := range slices.Sorted(maps.Keys(previous)) {
		p := previous[name]
		if p < 0 {
			return nil, fmt.Errorf("the coordinator stream gives task %q the changelog partition %d; correct its set-changelog message", name, p)
		}
		if other, ok := owner[p]; ok {
			return nil, fmt.Errorf("the coordinator stream gives the tasks %q and %q the same changelog partition %d, they would overwrite each other's state; correct its set-changelog messages", other, name, p)
		}
		owner[p] = name
		highest = max(highest, p)
	}
	m := make(map[string]int32, len(names))
	for _, name := range names {
		if p, ok := previous[name]; ok {
			m[name] = p
			continue
		}
		highest++
		m[name] = highest
	}
	return m, nil
}

// some lists a few names of many.
func some(names []string) string {
	const show = 3
	s := ""
	for i, n := range names {
		if i == show {
			return s + ", ..."
		}
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}
