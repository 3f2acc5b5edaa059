package jobmodel

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// group makes tasks of partitions: task name to inputs.
func group(in BuildInput, containers int) (map[string][]Input, error) {
	broadcast := make(map[Input]bool, len(in.Broadcast))
	for _, b := range in.Broadcast {
		if b.Partition < 0 {
			return nil, fmt.Errorf("task.broadcast.inputs: %s has no partition %d", b.StreamID(), b.Partition)
		}
		broadcast[b] = true
	}
	var all []Input
	for _, s := range slices.SortedFunc(maps.Keys(in.Streams), func(a, b Stream) int {
		return CompareInputs(Input{a.System, a.Stream, 0}, Input{b.System, b.Stream, 0})
	}) {
		n := in.Streams[s]
		if n < 0 {
			return nil, fmt.Errorf("the input %s has %d partitions", s, n)
		}
		for p := range n {
			if i := (Input{s.System, s.Stream, p}); !broadcast[i] {
				all = append(all, i)
			}
		}
	}

	groups := make(map[string][]Input)
	switch in.Grouper {
	case ByPartition, "":
		for _, i := range all {
			name := "Partition " + strconv.Itoa(int(i.Partition))
			groups[name] = append(groups[name], i)
		}
	case BySSP:
		for _, i := range all {
			groups[i.String()] = []Input{i}
		}
	case AllToSingle:
		if len(broadcast) > 0 {
			return nil, fmt.Errorf("task.broadcast.inputs cannot be used with the grouper %s, whose tasks have every partition already", AllToSingle)
		}
		if len(all) == 0 {
			break
		}
		for c := range containers {
			groups["Task-"+containerID(c)] = slices.Clone(all)
		}
	default:
		return nil, fmt.Errorf("job.systemstreampartition.grouper.factory: no grouper is called %q; there are %s, %s, %s", in.Grouper, ByPartition, BySSP, AllToSingle)
	}
	for name := range groups {
		for b := range broadcast {
			groups[name] = append(groups[name], b)
		}
	}
	return groups, nil
}

// keepTasks moves partitions to the tasks that had their keys before: a
// partition to the task that had it, or, when its stream has grown from k
// partitions to a multiple of k, to the task that had partition p mod k. Tasks
// that are left with nothing but broadcast inputs are gone.
//
// Samza counts a stream's partitions over all tasks' entries, and so counts
// those of broadcast inputs several times; here each counts once.
func keepTasks(groups map[string][]Input, previous map[Input][]string, broadcastList []Input) (map[string][]Input, error) {
	if len(previous) == 0 {
		return groups, nil
	}
	broadcast := make(map[Input]bool, len(broadcastList))
	for _, b := range broadcastList {
		broadcast[b] = true
	}
	before, now := map[Stream]int32{}, map[Stream]int32{}
	owner := make(map[Input]string, len(previous))
	for i, tasks := range previous {
		if broadcast[i] || len(tasks) == 0 {
			continue
		}
		before[i.StreamID()]++
		owner[i] = tasks[0]
	}
	for _, inputs := range groups {
		for _, i := range inputs {
			if !broadcast[i] {
				now[i.StreamID()]++
			}
		}
	}

	kept := make(map[string][]Input, len(groups))
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		for _, i := range groups[name] {
			if broadcast[i] {
				continue
			}
			s := i.StreamID()
			was := i
			if k, n := before[s], now[s]; k > 0 && n != k {
				if n%k != 0 {
					return nil, fmt.Errorf("%w: %s had %d partitions and has %d now, which is no multiple; the keys of a job with state would be in the wrong tasks. Give it a multiple of %d partitions, or start with another job.id, or set job.systemstreampartition.input.expansion.enabled=false if the state may be wrong",
						ErrInputChanged, s, k, n, k)
				}
				was.Partition %= k
			}
			task, had := owner[was]
			if !had {
				task = name
			} else if _, ok := groups[task]; !ok {
				return nil, fmt.Errorf("%w: %s belonged to the task %q, which the grouper no longer makes; go back to the job.systemstreampartition.grouper.factory and task.inputs of before, or start with another job.id, or set job.systemstreampartition.input.expansion.enabled=false if the state may be wrong",
					ErrInputChanged, was, task)
			}
			kept[task] = append(kept[task], i)
		}
	}
	for name := range kept {
		for b := range broadcast {
			kept[name] = append(kept[name], b)
		}
	}
	return kept, nil
}
