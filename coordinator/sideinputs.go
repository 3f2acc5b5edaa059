package coordinator

import (
	"fmt"
	"slices"

	"heddle/config"
	"heddle/jobmodel"
)

// sideInputsReach refuses a store of side inputs that a task would have nothing
// of, and partitions of side inputs that only tasks without messages would have:
// the stream and the inputs are not partitioned alike, so that a task would look
// for its keys in vain. Shared stores and broadcast streams are whole
// everywhere. Samza starts such a job.
func sideInputsReach(cfg config.Config, in jobmodel.BuildInput, m jobmodel.JobModel) error {
	stores, err := config.Stores(cfg)
	if err != nil {
		return err
	}
	all, _, err := config.SideInputs(cfg)
	if err != nil {
		return err
	}
	for _, st := range stores {
		if st.Shared {
			continue
		}
		for _, s := range st.SideInputs {
			if slices.ContainsFunc(in.Broadcast, func(b jobmodel.Input) bool { return b.StreamID() == jobmodel.Stream(s) }) {
				continue
			}
			without, idle := reach(m, jobmodel.Stream(s), func(of jobmodel.Stream) bool { return slices.Contains(all, config.SystemStream(of)) })
			if len(without) == 0 && len(idle) == 0 {
				continue
			}
			has := fmt.Sprintf("%s has %s", s, partitionsText(in.Streams[jobmodel.Stream(s)]))
			key := config.StoreSideInputs.Name(st.Name)
			e := &config.Error{Key: key, Origin: cfg.Origin(key),
				Hint: fmt.Sprintf("make the topic with as many partitions as the inputs and write it by the same keys, or let all tasks have all of it (heddle.stores.%s.shared=true)", st.Name)}
			if len(without) > 0 {
				e.Problem = fmt.Sprintf("%s, so that the store would be empty in %s, which has messages to process", has, tasksText(without))
			} else {
				e.Problem = fmt.Sprintf("%s, so that a part of it would be in %s, which has no messages to process", has, tasksText(idle))
			}
			return e
		}
	}
	return nil
}

// reach gives the tasks that process messages but have no partition of a side
// input, and those that have one but process none.
func reach(m jobmodel.JobModel, s jobmodel.Stream, side func(jobmodel.Stream) bool) (without, idle []string) {
	for _, id := range m.ContainerIDs() {
		c := m.Containers[id]
		for _, name := range c.TaskNames() {
			processes, has := false, false
			for _, in := range c.Tasks[name].Inputs {
				processes = processes || !side(in.StreamID())
				has = has || in.StreamID() == s
			}
			switch {
			case processes && !has:
				without = append(without, name)
			case has && !processes:
				idle = append(idle, name)
			}
		}
	}
	slices.SortFunc(without, CompareTasks)
	slices.SortFunc(idle, CompareTasks)
	return without, idle
}

func partitionsText(n int32) string {
	if n == 1 {
		return "1 partition"
	}
	return fmt.Sprintf("%d partitions", n)
}

// tasksText names a task, and says how many more there are.
func tasksText(names []string) string {
	text := fmt.Sprintf("the task %q", names[0])
	switch n := len(names) - 1; {
	case n == 1:
		text += " (and another one)"
	case n > 1:
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// sideStreams are the streams that fill stores.
func sideStreams(cfg config.Config) []jobmodel.Stream {
	all, _, err := config.SideInputs(cfg)
	if err != nil {
		return nil // the stores are not known, which is told where they are asked for
	}
	out := make([]jobmodel.Stream, len(all))
	for i, s := range all {
		out[i] = jobmodel.Stream(s)
	}
	return out
}
