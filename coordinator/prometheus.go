package coordinator

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// exposition writes Prometheus's text format, version 0.0.4.
type exposition struct {
	buf []byte
}

// family begins a metric: all of its samples have to follow.
func (e *exposition) family(name, kind, help string) {
	e.buf = append(e.buf, "# HELP "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	for i := range len(help) {
		switch c := help[i]; c {
		case '\\':
			e.buf = append(e.buf, `\\`...)
		case '\n':
			e.buf = append(e.buf, `\n`...)
		default:
			e.buf = append(e.buf, c)
		}
	}
	e.buf = append(e.buf, "\n# TYPE "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, '\n')
}

// sample adds a value; labels are names and values in turn.
func (e *exposition) sample(name string, v float64, labels ...string) {
	e.buf = append(e.buf, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		if i == 0 {
			e.buf = append(e.buf, '{')
		} else {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, labels[i]...)
		e.buf = append(e.buf, '=', '"')
		e.label(labels[i+1])
		e.buf = append(e.buf, '"')
	}
	if len(labels) > 0 {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
	switch {
	case math.IsInf(v, 1):
		e.buf = append(e.buf, "+Inf"...)
	case math.IsInf(v, -1):
		e.buf = append(e.buf, "-Inf"...)
	default:
		e.buf = strconv.AppendFloat(e.buf, v, 'g', -1, 64)
	}
	e.buf = append(e.buf, '\n')
}

func (e *exposition) label(s string) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			e.buf = append(e.buf, '\\', c)
		case '\n':
			e.buf = append(e.buf, '\\', 'n')
		default:
			e.buf = append(e.buf, c)
		}
	}
}

// metrics serves what Status and the containers' reports hold, with the job's
// name and id on every sample.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	st := s.Status()
	job := []string{"job_name", st.JobName, "job_id", st.JobID}
	with := func(more ...string) []string { return slices.Concat(job, more) }
	var e exposition
	one := func(name, kind, help string, v float64) {
		e.family(name, kind, help)
		e.sample(name, v, job...)
	}
	e.family("heddle_job_state", "gauge", "1 for the job's state.")
	for _, state := range []string{JobStarting, JobRunning, JobStopping, JobFinished, JobFailed} {
		v := 0.0
		if state == st.State {
			v = 1
		}
		e.sample("heddle_job_state", v, with("state", state)...)
	}
	one("heddle_containers_wanted", "gauge", "Containers that the job is to have.", float64(st.Containers.Wanted))
	one("heddle_containers_running", "gauge", "Containers whose tasks run.", float64(st.Containers.Running))
	one("heddle_container_failures_total", "counter", "Containers that ended with an error.", float64(st.Containers.Failures))
	one("heddle_tasks", "gauge", "Tasks of the job.", float64(st.Tasks.Total))
	one("heddle_tasks_running", "gauge", "Tasks that run.", float64(st.Tasks.Running))
	one("heddle_input_partitions", "gauge", "Input partitions of the job.", float64(st.Inputs.Partitions))
	one("heddle_lag_messages", "gauge", "Messages in the inputs that are not processed yet.", float64(st.Inputs.Lag))

	// In Prometheus a family's samples stand together, so each goes over all
	// containers.
	per := func(name, kind, help string, value func(ContainerStatus) float64) {
		e.family(name, kind, help)
		for _, c := range st.ContainerList {
			e.sample(name, value(c), with("container", c.ID)...)
		}
	}
	per("heddle_container_up", "gauge", "1 while the container's tasks run.", func(c ContainerStatus) float64 {
		if c.State == ContainerRunning || c.State == ContainerPaused {
			return 1
		}
		return 0
	})
	per("heddle_container_starts_total", "counter", "Processes started for the container.", func(c ContainerStatus) float64 { return float64(c.Starts) })
	per("heddle_messages_processed_total", "counter", "Messages processed.", func(c ContainerStatus) float64 { return float64(c.Counters.Processed) })
	per("heddle_messages_sent_total", "counter", "Messages sent.", func(c ContainerStatus) float64 { return float64(c.Counters.Sent) })
	per("heddle_messages_dropped_total", "counter", "Messages that could not be decoded and were passed over.", func(c ContainerStatus) float64 { return float64(c.Counters.Dropped) })
	per("heddle_windows_total", "counter", "Windows fired.", func(c ContainerStatus) float64 { return float64(c.Counters.Windows) })
	per("heddle_commits_total", "counter", "Commits done.", func(c ContainerStatus) float64 { return float64(c.Counters.Commits) })
	per("heddle_container_memory_bytes", "gauge", "Resident memory.", func(c ContainerStatus) float64 { return float64(c.MemoryBytes) })
	per("heddle_container_heap_bytes", "gauge", "Go's heap.", func(c ContainerStatus) float64 { return float64(c.HeapBytes) })
	per("heddle_container_cpu_cores", "gauge", "Cores in use over the last seconds.", func(c ContainerStatus) float64 { return c.CPU })

	e.family("heddle_input_lag_messages", "gauge", "Messages of an input partition that are not processed yet.")
	tasks := s.Tasks("")
	for _, t := range tasks {
		for _, i := range t.Inputs {
			if i.Lag >= 0 {
				e.sample("heddle_input_lag_messages", float64(i.Lag), with("container", t.Container, "task", t.Name,
					"system", i.System, "stream", i.Stream, "partition", strconv.Itoa(int(i.Partition)))...)
			}
		}
	}
	e.family("heddle_input_next_offset", "gauge", "Offset of an input partition that is processed next.")
	for _, t := range tasks {
		for _, i := range t.Inputs {
			if i.Next >= 0 {
				e.sample("heddle_input_next_offset", float64(i.Next), with("container", t.Container, "task", t.Name,
					"system", i.System, "stream", i.Stream, "partition", strconv.Itoa(int(i.Partition)))...)
			}
		}
	}

	e.family("heddle_side_input_lag_messages", "gauge", "Messages of a side input partition that are not in the store yet; no task: the store is shared.")
	each := func(container, task string, positions []SideInputStatus) {
		for _, i := range positions {
			if i.Lag >= 0 {
				e.sample("heddle_side_input_lag_messages", float64(i.Lag), with("container", container, "task", task, "store", i.Store,
					"system", i.System, "stream", i.Stream, "partition", strconv.Itoa(int(i.Partition)))...)
			}
		}
	}
	for _, t := range tasks {
		each(t.Container, t.Name, t.SideInputs)
	}
	for _, c := range st.ContainerList {
		each(c.ID, "", c.Shared)
	}

	e.family("heddle_metric", "untyped", "The containers' own metrics, by group and name as in Samza's snapshots.")
	s.mu.Lock()
	for _, id := range s.board.ids() {
		groups := s.board.rows[id].report.Metrics
		for _, group := range sortedKeys(groups) {
			for _, name := range sortedKeys(groups[group]) {
				if v, ok := number(groups[group][name]); ok {
					e.sample("heddle_metric", v, with("container", id, "group", group, "name", name)...)
				}
			}
		}
	}
	s.mu.Unlock()
	s.send(w, r, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", e.buf, nil)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	case int:
		return float64(n), true
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
