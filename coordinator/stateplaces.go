package coordinator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/serde"
	"heddle/system"
	"heddle/task"
)

// states is the server's part for the state of tasks.
type states struct {
	on     bool
	stores []config.StoreConfig
	keys   map[string]task.Serde
	shared map[string]bool
	// problem is why the stores are not known.
	problem error
	tasks   []taskPlace // by name
	// owners are the tasks that read a partition of the inputs, if all inputs
	// have as many.
	owners map[int32][]int
	count  int32
	busy   chan struct{}
}

type taskPlace struct{ name, container string }

func newStates(c config.Config, m jobmodel.JobModel) *states {
	st := &states{on: config.HeddleStateQueries.Of(c), keys: map[string]task.Serde{}, shared: map[string]bool{}, busy: make(chan struct{}, maxStateRequests)}
	if st.stores, st.problem = config.Stores(c); st.problem != nil {
		return st
	}
	for _, s := range st.stores {
		st.shared[s.Name] = s.Shared
		if st.keys[s.Name], st.problem = keySerde(c, s); st.problem != nil {
			return st
		}
	}
	for id, con := range m.Containers {
		for name := range con.Tasks {
			st.tasks = append(st.tasks, taskPlace{name, id})
		}
	}
	slices.SortFunc(st.tasks, func(a, b taskPlace) int { return CompareTasks(a.name, b.name) })
	st.owners, st.count = owners(m, st.tasks)
	return st
}

func keySerde(c config.Config, s config.StoreConfig) (task.Serde, error) {
	if s.KeySerde == "" {
		return serde.Bytes{}, nil
	}
	alias, err := config.Serde(c, s.KeySerde, config.StoreKeySerde.Name(s.Name))
	if err != nil {
		return nil, err
	}
	return serde.New(alias.Name)
}

// CompareTasks orders names of tasks so that "Partition 10" comes behind
// "Partition 9".
func CompareTasks(a, b string) int {
	x, m := splitNumber(a)
	y, n := splitNumber(b)
	switch {
	case x != y:
		return strings.Compare(x, y)
	case m != n:
		return m - n
	}
	return strings.Compare(a, b)
}

func splitNumber(s string) (string, int) {
	head := strings.TrimRight(s, "0123456789")
	n, err := strconv.Atoi(s[len(head):])
	if err != nil {
		return s, 0
	}
	return head, n
}

// owners gives the tasks that read each partition of the inputs, as places in
// tasks, and the number of partitions: it is known where all inputs but the
// broadcast ones have as many.
func owners(m jobmodel.JobModel, tasks []taskPlace) (map[int32][]int, int32) {
	place := map[string]int{}
	for i, t := range tasks {
		place[t.name] = i
	}
	readers := map[jobmodel.Input][]int{}
	for _, c := range m.Containers {
		for _, t := range c.Tasks {
			for _, in := range t.Inputs {
				readers[in] = append(readers[in], place[t.Name])
			}
		}
	}
	partitions := map[jobmodel.Stream]int32{}
	out := map[int32][]int{}
	for in, who := range readers {
		if len(who) > 1 {
			continue // broadcast: no key is one task's because of it
		}
		partitions[in.StreamID()] = max(partitions[in.StreamID()], in.Partition+1)
		if !slices.Contains(out[in.Partition], who[0]) {
			out[in.Partition] = append(out[in.Partition], who[0])
		}
	}
	var count int32
	for _, n := range partitions {
		if count != 0 && n != count {
			return nil, 0
		}
		count = n
	}
	return out, count
}

// likely are the tasks, as places, whose input partitions a key falls on, by
// Samza's partitioner and by Kafka's. The store's keys need not be those of the
// inputs, so the others may have it all the same.
func (st *states) likely(store string, key []byte) []int {
	if st.count == 0 {
		return nil
	}
	var out []int
	add := func(p int32) {
		for _, i := range st.owners[p] {
			if !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	if v, err := st.keys[store].Decode(key); err == nil {
		if p, ok := system.KeyPartition(v, st.count); ok {
			add(p)
		}
	}
	add(system.BytesPartition(key, st.count))
	slices.Sort(out)
	return out
}

// names lists the stores there are, behind a sentence.
func (st *states) names() string {
	if len(st.stores) == 0 {
		return ", nor any other"
	}
	var names []string
	for _, s := range st.stores {
		names = append(names, s.Name)
	}
	return "; there are " + strings.Join(names, ", ")
}

// places are the named task, or all.
func (st *states) places(name string) ([]int, error) {
	all := make([]int, len(st.tasks))
	for i, t := range st.tasks {
		if t.name == name {
			return []int{i}, nil
		}
		all[i] = i
	}
	if name == "" {
		return all, nil
	}
	const shown = 20
	var names []string
	for _, t := range st.tasks[:min(shown, len(st.tasks))] {
		names = append(names, t.name)
	}
	more := ""
	if len(st.tasks) > shown {
		more = fmt.Sprintf(" and %d more", len(st.tasks)-shown)
	}
	return nil, refuse(http.StatusNotFound, "the job has no task %q; there are %s%s", name, strings.Join(names, ", "), more)
}
