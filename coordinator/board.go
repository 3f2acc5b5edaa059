package coordinator

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"heddle/jobmodel"
)

// board holds the newest report of each container and works out what is shown.
// It is a plain value without clock or lock.
type board struct {
	model jobmodel.JobModel
	// side are the streams that fill stores: tasks have partitions of them, and do
	// not process them.
	side map[jobmodel.Stream]bool
	// parts counts the input partitions of each container.
	parts map[string]int
	rows  map[string]*row
}

// row is one container's.
type row struct {
	report Report
	at     time.Time
	// past sums the counters of earlier executions.
	past Counters
	// old and new are points between which rates are taken; old is at least
	// rateSpan before new once there are reports for so long.
	old, mid, new point
}

type point struct {
	at         time.Time
	counters   Counters
	cpuSeconds float64
}

// rateSpan is the least time over which rates are taken.
const rateSpan = 5 * time.Second

func newBoard(m jobmodel.JobModel, side ...jobmodel.Stream) *board {
	b := &board{model: m, side: map[jobmodel.Stream]bool{}, parts: map[string]int{}, rows: map[string]*row{}}
	for _, s := range side {
		b.side[s] = true
	}
	for id, c := range m.Containers {
		for _, t := range c.Tasks {
			for _, in := range t.Inputs {
				if !b.side[in.StreamID()] {
					b.parts[id]++
				}
			}
		}
	}
	return b
}

// apply takes a container's report.
func (b *board) apply(id string, r Report, now time.Time) {
	p := point{now, r.Counters, r.CPUSeconds}
	w := b.rows[id]
	switch {
	case w == nil:
		w = &row{old: p, mid: p}
		b.rows[id] = w
	case w.report.ExecutionID != r.ExecutionID:
		w.past = w.past.Add(w.report.Counters)
		w.old, w.mid = p, p
	}
	if now.Sub(w.mid.at) >= rateSpan {
		w.old, w.mid = w.mid, p
	}
	w.report, w.at, w.new = r, now, p
}

// rates gives messages in and out and cores used, per second.
func (w *row) rates() (processed, sent, cpu float64) {
	s := w.new.at.Sub(w.old.at).Seconds()
	if s <= 0 {
		return 0, 0, 0
	}
	return max(0, float64(w.new.counters.Processed-w.old.counters.Processed)/s),
		max(0, float64(w.new.counters.Sent-w.old.counters.Sent)/s),
		max(0, (w.new.cpuSeconds-w.old.cpuSeconds)/s)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// status joins what whoever runs the job says with what the containers report.
func (b *board) status(j Job, containers []Container, now time.Time) Status {
	s := Status{
		ApplicationID: j.ApplicationID, AttemptID: j.AttemptID, JobName: j.Name, JobID: j.ID, User: j.User,
		Factory: j.Factory, State: j.State, FinalStatus: cmp.Or(j.FinalStatus, "UNDEFINED"), Diagnostics: j.Diagnostics,
		TrackingURL: j.TrackingURL, StartedAt: millis(j.StartedAt), Now: now.UnixMilli(),
		ContainerList: make([]ContainerStatus, 0, len(containers)),
	}
	// Before the first containers are asked for whoever runs the job may name
	// none of them; they are wanted all the same.
	named := make(map[string]bool, len(containers))
	for _, c := range containers {
		named[c.ID] = true
	}
	for _, id := range b.model.ContainerIDs() {
		if !named[id] {
			containers = append(containers, Container{ID: id, State: ContainerWaiting})
		}
	}
	s.Containers.Wanted = len(containers)
	for _, c := range containers {
		cs := b.container(c)
		s.Containers.Failures += c.Failures
		if cs.State == ContainerRunning || cs.State == ContainerPaused {
			s.Containers.Running++
		}
		s.Tasks.Total += cs.Tasks.Total
		s.Tasks.Running += cs.Tasks.Running
		s.Inputs = s.Inputs.add(cs.Inputs)
		s.SideInputs = s.SideInputs.add(cs.SideInputs)
		s.Totals = s.Totals.Add(cs.Counters)
		s.ProcessedPerSecond += cs.ProcessedPerSecond
		s.SentPerSecond += cs.SentPerSecond
		s.ContainerList = append(s.ContainerList, cs)
	}
	slices.SortFunc(s.ContainerList, func(x, y ContainerStatus) int { return jobmodel.CompareIDs(x.ID, y.ID) })
	return s
}

func (c InputCounts) add(o InputCounts) InputCounts {
	return InputCounts{c.Partitions + o.Partitions, c.Known + o.Known, c.Lag + o.Lag}
}

// count adds positions in side inputs.
func (c *InputCounts) count(reports []SideInputReport) {
	c.Partitions += len(reports)
	for _, r := range reports {
		c.know(r.InputReport)
	}
}

// know adds what a position says of a partition that is counted.
func (c *InputCounts) know(i InputReport) {
	if lag, ok := i.Lag(); ok {
		c.Known++
		c.Lag += lag
	}
}

func (b *board) container(c Container) ContainerStatus {
	s := ContainerStatus{
		ID: c.ID, ExecutionID: c.ExecutionID, State: c.State, Host: c.Host, LogURL: c.LogURL,
		StartedAt: millis(c.StartedAt), Starts: c.Starts, Failures: c.Failures, LastExit: c.LastExit,
		MemoryMB: c.MemoryMB, Cores: c.Cores,
	}
	s.Tasks.Total = len(b.model.Containers[c.ID].Tasks)
	s.Inputs.Partitions = b.parts[c.ID]
	w := b.rows[c.ID]
	current := w != nil && w.report.ExecutionID == c.ExecutionID
	if s.State == ContainerStarting || s.State == ContainerRunning {
		if current {
			s.State = cmp.Or(w.report.State, ContainerStarting)
		} else {
			s.State = ContainerStarting
		}
	}
	if w == nil {
		return s
	}
	s.LastReport = millis(w.at)
	s.Counters = w.past.Add(w.report.Counters)
	// Positions of an execution that ended are still the newest known ones.
	for _, t := range w.report.Tasks {
		for _, i := range t.Inputs {
			s.Inputs.know(i)
		}
		s.SideInputs.count(t.SideInputs)
	}
	s.SideInputs.count(w.report.SideInputs)
	s.Shared = sideStatus(w.report.SideInputs)
	s.LastError = w.report.LastError
	if !current || s.State == ContainerStopped || s.State == ContainerFailed || s.State == ContainerWaiting {
		return s
	}
	var restore RestoreReport
	begun, waiting := 0, 0
	for _, t := range w.report.Tasks {
		switch {
		case t.State == ContainerRunning || t.State == ContainerPaused:
			s.Tasks.Running++
		case t.State == ContainerRestoring && len(t.Restores) > 0:
			begun++
		case t.State == ContainerRestoring:
			waiting++
		}
		restore.add(t.State, t.Restores)
	}
	restore = restore.expecting(begun, waiting)
	restore.add(w.report.State, w.report.Restores)
	s.RestoreDone, s.RestoreTotal, s.RestoreLeftMs = restore.Done, restore.Total, restore.LeftMs
	s.ProcessedPerSecond, s.SentPerSecond, s.CPU = w.rates()
	s.MemoryBytes, s.HeapBytes = w.report.MemoryBytes, w.report.HeapBytes
	if w.report.Host != "" && s.Host == "" {
		s.Host = w.report.Host
	}
	return s
}

// add adds what a task, or the container, says of its restores while it is about
// them; what is left is what the slowest has left.
func (r *RestoreReport) add(state string, reports []RestoreReport) {
	if state != ContainerRestoring {
		return
	}
	for _, one := range reports {
		r.Done += one.Done
		r.Total += one.Total
		r.LeftMs = max(r.LeftMs, one.LeftMs)
	}
}

// tasks lists the tasks of one container, or of all if id is empty, by
// container and name.
func (b *board) tasks(id string) []TaskStatus {
	out := []TaskStatus{}
	for _, cid := range b.model.ContainerIDs() {
		if id != "" && id != cid {
			continue
		}
		c := b.model.Containers[cid]
		reported := map[string]TaskReport{}
		if w := b.rows[cid]; w != nil {
			for _, t := range w.report.Tasks {
				reported[t.Name] = t
			}
		}
		for _, name := range c.TaskNames() {
			out = append(out, b.taskStatus(cid, c.Tasks[name], reported[name]))
		}
	}
	return out
}

func (b *board) taskStatus(container string, t jobmodel.Task, r TaskReport) TaskStatus {
	s := TaskStatus{
		Name: t.Name, Container: container, State: cmp.Or(r.State, ContainerWaiting), ChangelogPartition: t.ChangelogPartition,
		Counters: r.Counters, Inputs: make([]InputStatus, 0, len(t.Inputs)), Restores: r.Restores, Stores: r.Stores,
		SideInputs: sideStatus(r.SideInputs), LastCommit: r.LastCommit, LastError: r.LastError,
	}
	positions := make(map[jobmodel.Input]InputReport, len(r.Inputs))
	for _, i := range r.Inputs {
		positions[jobmodel.Input{System: i.System, Stream: i.Stream, Partition: i.Partition}] = i
	}
	for _, i := range t.Inputs {
		if b.side[i.StreamID()] {
			continue
		}
		p, ok := positions[i]
		if !ok {
			p = InputReport{System: i.System, Stream: i.Stream, Partition: i.Partition, Next: -1, HighWatermark: -1}
		}
		is := p.status()
		s.Lag += max(is.Lag, 0)
		s.Inputs = append(s.Inputs, is)
	}
	return s
}

func (i InputReport) status() InputStatus {
	s := InputStatus{System: i.System, Stream: i.Stream, Partition: i.Partition, Next: i.Next, HighWatermark: i.HighWatermark, Lag: -1}
	if lag, ok := i.Lag(); ok {
		s.Lag = lag
	}
	return s
}

func sideStatus(reports []SideInputReport) []SideInputStatus {
	var out []SideInputStatus
	for _, r := range reports {
		out = append(out, SideInputStatus{r.Store, r.status()})
	}
	return out
}

// worstFirst sorts tasks by lag, the largest first, for a page that shows only
// some.
func worstFirst(tasks []TaskStatus) {
	slices.SortStableFunc(tasks, func(a, b TaskStatus) int { return cmp.Compare(b.Lag, a.Lag) })
}

// ids gives the containers that have reported, in order.
func (b *board) ids() []string {
	return slices.SortedFunc(maps.Keys(b.rows), func(x, y string) int {
		return cmp.Or(jobmodel.CompareIDs(x, y), strings.Compare(x, y))
	})
}
