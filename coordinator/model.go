package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
)

// Writes are the messages that a start of the job writes to its coordinator
// stream, in Samza's order.
type Writes struct {
	// Assignments come once the JobModel is made.
	Assignments []Message
	// Changelog comes after the checkpoint and changelog topics were made and
	// checked.
	Changelog []Message
	// ChangelogPartitions is the number of partitions that changelogs have: one
	// more than the highest that a task has or ever had. (Samza counts present
	// tasks only, and does not start a job that has lost some, since its
	// changelogs have more.)
	ChangelogPartitions int32
	// Warning says what in the assignment a person should know; mostly empty.
	Warning string
}

// PlanError is a fault of the job's plan, to be mended by who wrote the
// configuration or made the topics. The contract's exit code is 2.
type PlanError struct{ Err error }

func (e *PlanError) Error() string { return e.Err.Error() }

// Unwrap gives the cause: system.ErrNoStream, jobmodel.ErrTooManyContainers, ...
func (e *PlanError) Unwrap() error { return e.Err }

// ExitCode is 2, the contract's for wrong configuration and missing topics.
func (e *PlanError) ExitCode() int { return 2 }

// BuildModel asks the systems for the partitions of the job's inputs and makes
// the JobModel (Samza: JobModelManager, JobModelCalculator). Prev is the zero
// value on a first start, and for a plan that is only looked at. What the
// configuration or the topics lack is a *PlanError or a *config.Error, other
// errors are the systems'.
func BuildModel(ctx context.Context, cfg config.Config, systems map[string]system.System, prev Previous) (jobmodel.JobModel, Writes, error) {
	in, err := buildInput(ctx, cfg, systems)
	if err != nil {
		return jobmodel.JobModel{}, Writes{}, err
	}
	in.Previous = prev.Previous
	m, a, err := jobmodel.Build(in)
	if err != nil {
		return jobmodel.JobModel{}, Writes{}, &PlanError{err}
	}
	if err := sideInputsReach(cfg, in, m); err != nil {
		return jobmodel.JobModel{}, Writes{}, err
	}
	return m, writes(m, a, prev), nil
}

func buildInput(ctx context.Context, cfg config.Config, systems map[string]system.System) (in jobmodel.BuildInput, err error) {
	in = jobmodel.BuildInput{Config: cfg, Streams: map[jobmodel.Stream]int32{}}
	inputs, err := config.Inputs(cfg)
	if err != nil {
		return in, err
	}
	_, side, err := config.SideInputs(cfg)
	if err != nil {
		return in, err
	}
	for _, s := range side {
		if !slices.Contains(inputs, s) {
			inputs = append(inputs, s)
		}
	}
	if in.Broadcast, err = Broadcast(cfg); err != nil {
		return in, err
	}
	if in.Containers, err = config.ContainerCount(cfg); err != nil {
		return in, err
	}
	if in.HostAffinity, err = config.JobHostAffinity.Get(cfg); err != nil {
		return in, err
	}
	grouper, err := config.Grouper(cfg)
	if err != nil {
		return in, err
	}
	in.Grouper = jobmodel.Grouper(grouper.Name)
	if err := sideInputsGroup(cfg, in, side); err != nil {
		return in, err
	}
	expand, err := config.JobInputExpansion.Get(cfg)
	if err != nil {
		return in, err
	}
	stores, err := config.Stores(cfg)
	if err != nil {
		return in, err
	}
	in.KeepTasks = expand && slices.ContainsFunc(stores, func(s config.StoreConfig) bool {
		return s.Logged() || s.Engine != "memory"
	})

	wanted := map[string][]string{} // streams by system
	for _, s := range inputs {
		wanted[s.System] = append(wanted[s.System], s.Stream)
	}
	for _, b := range in.Broadcast {
		if !slices.Contains(wanted[b.System], b.Stream) {
			wanted[b.System] = append(wanted[b.System], b.Stream)
		}
	}
	counts, err := partitions(ctx, systems, wanted, func(s jobmodel.Stream) string { return namedBy(cfg, stores, s) })
	if err != nil {
		return in, err
	}
	for _, s := range inputs {
		in.Streams[jobmodel.Stream(s)] = counts[jobmodel.Stream(s)]
		sc, err := config.Stream(cfg, s.System, s.Stream)
		if err != nil {
			return in, err
		}
		if !sc.Broadcast {
			continue
		}
		for p := range counts[jobmodel.Stream(s)] {
			if i := (jobmodel.Input{System: s.System, Stream: s.Stream, Partition: p}); !slices.Contains(in.Broadcast, i) {
				in.Broadcast = append(in.Broadcast, i)
			}
		}
	}
	for _, b := range in.Broadcast {
		if n := counts[b.StreamID()]; b.Partition >= n {
			return in, &PlanError{fmt.Errorf("task.broadcast.inputs: %s has no partition %d, it has %d", b.StreamID(), b.Partition, n)}
		}
	}
	return in, nil
}

// namedBy is the key that names an input, with its place: task.inputs, or the one
// of the store that it fills.
func namedBy(cfg config.Config, stores []config.StoreConfig, s jobmodel.Stream) string {
	key := config.TaskInputs.Name()
	if inputs, err := config.Inputs(cfg); err == nil && !slices.Contains(inputs, config.SystemStream(s)) {
		for _, st := range stores {
			if slices.Contains(st.SideInputs, config.SystemStream(s)) {
				key = config.StoreSideInputs.Name(st.Name)
			}
		}
	}
	if o := cfg.Origin(key); o.Source != "" {
		return o.String() + ": " + key
	}
	return key
}

// sideInputsGroup refuses a grouper that would make tasks of their own of a
// store's side inputs.
func sideInputsGroup(cfg config.Config, in jobmodel.BuildInput, side []config.SystemStream) error {
	if in.Grouper != jobmodel.BySSP {
		return nil
	}
	for _, s := range side {
		if slices.ContainsFunc(in.Broadcast, func(b jobmodel.Input) bool { return b.StreamID() == jobmodel.Stream(s) }) {
			continue
		}
		key := config.JobGrouper.Name()
		return &config.Error{Key: key, Origin: cfg.Origin(key),
			Problem: fmt.Sprintf("the grouper makes a task of each partition, so that no task that processes messages would have one of the side input %s", s),
			Hint:    "group by partition, or name the partitions in task.broadcast.inputs, or share the store (heddle.stores.NAME.shared=true)"}
	}
	return nil
}

// partitions asks each system for the partition counts of its streams.
func partitions(ctx context.Context, systems map[string]system.System, wanted map[string][]string, namedBy func(jobmodel.Stream) string) (map[jobmodel.Stream]int32, error) {
	counts := map[jobmodel.Stream]int32{}
	var missing []jobmodel.Stream
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		sys, ok := systems[name]
		if !ok {
			return nil, &PlanError{fmt.Errorf("the inputs %s are in the system %q, which is not defined", strings.Join(wanted[name], ", "), name)}
		}
		admin, err := sys.Admin()
		if err != nil {
			return nil, fmt.Errorf("ask system %q for the partitions of %s: %w", name, strings.Join(wanted[name], ", "), err)
		}
		found, err := admin.Describe(ctx, wanted[name]...)
		if err != nil && !errors.Is(err, system.ErrNoStream) {
			return nil, fmt.Errorf("ask system %q for the partitions of %s: %w", name, strings.Join(wanted[name], ", "), err)
		}
		for _, stream := range wanted[name] {
			s := jobmodel.Stream{System: name, Stream: stream}
			info, ok := found[stream]
			if !ok {
				missing = append(missing, s)
				continue
			}
			counts[s] = info.Partitions
		}
	}
	if len(missing) > 0 {
		names := make([]string, len(missing))
		for i, s := range missing {
			names[i] = s.String()
		}
		return nil, &PlanError{fmt.Errorf("%s: the topic %s does not exist (%w); make it with: bin/run-job.sh topic create --config-path=... %s --partitions=4",
			namedBy(missing[0]), strings.Join(names, ", "), system.ErrNoStream, names[0])}
	}
	return counts, nil
}

var (
	onePartition = regexp.MustCompile(`^\d{1,9}$`)
	rangeOfThem  = regexp.MustCompile(`^\[(\d{1,9})-(\d{1,9})\]$`)
)

// maxBroadcast bounds the partitions of one entry of task.broadcast.inputs.
const maxBroadcast = 100_000

// Broadcast reads task.broadcast.inputs: entries system.stream#3 or
// system.stream#[0-3].
func Broadcast(cfg config.Config) ([]jobmodel.Input, error) {
	entries, err := config.TaskBroadcastInputs.Get(cfg)
	if err != nil {
		return nil, err
	}
	key := config.TaskBroadcastInputs.Name()
	var out []jobmodel.Input
	for _, e := range entries {
		fault := func(problem string) error {
			return &config.Error{Key: key, Origin: cfg.Origin(key), Problem: fmt.Sprintf("%q %s", e, problem),
				Hint: "write system.stream#partition or system.stream#[first-last]"}
		}
		name, parts, ok := strings.Cut(e, "#")
		s, err := config.ParseSystemStream(name)
		if !ok || err != nil {
			return nil, fault("names no partition of a stream")
		}
		first, last := parts, parts
		if m := rangeOfThem.FindStringSubmatch(parts); m != nil {
			first, last = m[1], m[2]
		} else if !onePartition.MatchString(parts) {
			return nil, fault("names no partition of a stream")
		}
		a, _ := strconv.Atoi(first)
		b, _ := strconv.Atoi(last)
		if a > b || b-a >= maxBroadcast {
			return nil, fault("is no range of partitions")
		}
		s = config.Physical(cfg, s.System, s.Stream)
		for p := a; p <= b; p++ {
			if i := (jobmodel.Input{System: s.System, Stream: s.Stream, Partition: int32(p)}); !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// writes gives the messages of an assignment (Samza: JobModelHelper
// .updateTaskAssignments, ChangelogStreamManager.updatePartitionMapping): when
// the number of tasks is another than before, all old tasks and the present
// partitions are deleted first; then everything is written, changed or not.
func writes(m jobmodel.JobModel, a jobmodel.Assignment, prev Previous) Writes {
	var w Writes
	inputs := slices.SortedFunc(maps.Keys(a.Inputs), jobmodel.CompareInputs)
	if a.TasksChanged {
		if n := len(prev.Containers); n > 0 {
			w.Warning = fmt.Sprintf("the job had %d tasks and has %d now: keys may be in other tasks than before", n, len(a.Containers))
		}
		for _, task := range slices.Sorted(maps.Keys(prev.Containers)) {
			w.Assignments = append(w.Assignments, Delete(TypeContainer, task), Delete(TypeMode, task))
		}
		for _, i := range inputs {
			w.Assignments = append(w.Assignments, Delete(TypePartition, jobmodel.InputKey(i)))
		}
	} else if a.Dealt != "" {
		w.Warning = "tasks are dealt out to containers anew: " + a.Dealt
	}
	for _, task := range prev.Standby {
		w.Assignments = append(w.Assignments, Delete(TypeContainer, task), Delete(TypeMode, task))
	}
	for _, id := range m.ContainerIDs() {
		for _, task := range m.Containers[id].TaskNames() {
			w.Assignments = append(w.Assignments, SetContainer(task, id), SetMode(task))
		}
	}
	for _, i := range inputs {
		// Another spelling of the key would not be compacted with ours, and the
		// two would contradict each other.
		for _, key := range prev.InputKeys[i] {
			w.Assignments = append(w.Assignments, Delete(TypePartition, key))
		}
		w.Assignments = append(w.Assignments, SetPartition(i, a.Inputs[i]))
	}
	for _, task := range slices.Sorted(maps.Keys(a.Changelog)) {
		w.Changelog = append(w.Changelog, SetChangelog(task, a.Changelog[task]))
		w.ChangelogPartitions = max(w.ChangelogPartitions, a.Changelog[task]+1)
	}
	return w
}
