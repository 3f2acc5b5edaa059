package jobmodel

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

func containerID(i int) string { return strconv.Itoa(i) }

// deal gives task i of the sorted names to container i mod n (Samza:
// GroupByContainerCount.group). Slice i of the result is container i's.
func deal(names []string, n int) [][]string {
	out := make([][]string, n)
	for i, name := range names {
		out[i%n] = append(out[i%n], name)
	}
	return out
}

// balance keeps the previous assignment as far as n containers allow (Samza:
// GroupByContainerCount with host affinity): every container is to have
// floor(T/n) tasks, the first T mod n one more; what is too much is taken from
// the end of a container's sorted tasks and fills the others in order of their
// ids. When the previous assignment is of no use tasks are dealt anew, and why
// says the reason, unless there is nothing to balance.
func balance(names []string, n int, previous map[string]string) (out [][]string, why string) {
	if len(previous) == 0 {
		return deal(names, n), ""
	}
	old, why := previousContainers(names, previous)
	if why != "" || len(old) == 1 || n == 1 {
		return deal(names, n), why
	}
	if len(old) == n {
		return old, ""
	}
	want := func(i int) int {
		switch {
		case i >= n:
			return 0
		case i < len(names)%n:
			return len(names)/n + 1
		}
		return len(names) / n
	}
	var spare []string
	for i := range old {
		for len(old[i]) > want(i) {
			last := len(old[i]) - 1
			spare = append(spare, old[i][last])
			old[i] = old[i][:last]
		}
	}
	out = make([][]string, n)
	copy(out, old)
	for i := range out {
		need := want(i) - len(out[i])
		if need > 0 {
			out[i] = append(slices.Clip(out[i]), spare[:need]...)
			spare = spare[need:]
		}
	}
	return out, ""
}

// previousContainers turns the previous assignment into sorted task names by
// container, or says why it cannot be used.
func previousContainers(names []string, previous map[string]string) ([][]string, string) {
	if len(previous) != len(names) {
		return nil, fmt.Sprintf("there were %d tasks and are %d now", len(previous), len(names))
	}
	byID := map[string][]string{}
	for _, task := range slices.Sorted(maps.Keys(previous)) {
		byID[previous[task]] = append(byID[previous[task]], task)
	}
	// Samza does not look for this and fails with a NullPointerException.
	for _, name := range names {
		if _, ok := previous[name]; !ok {
			return nil, fmt.Sprintf("the task %q is new", name)
		}
	}
	out := make([][]string, len(byID))
	for i := range out {
		tasks, ok := byID[containerID(i)]
		if !ok {
			return nil, fmt.Sprintf("the containers' ids are not 0 to %d", len(byID)-1)
		}
		out[i] = tasks
	}
	return out, ""
}
