package container

import (
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"heddle/coordinator"
)

// Report is what the container says of itself to the application master. It
// may be called from any goroutine, at any time.
func (c *Container) Report() coordinator.Report {
	c.mu.Lock()
	tasks := c.published
	r := coordinator.Report{State: c.state(), StartedAt: c.startedAt.UnixMilli()}
	if c.failure != nil {
		r.LastError = c.failure.Error()
	}
	c.mu.Unlock()
	r.SideInputs, r.Restores = c.side.report(r.State == coordinator.ContainerRestoring)
	r.PID = os.Getpid()
	r.Goroutines = runtime.NumGoroutine()
	r.MemoryBytes, r.CPUSeconds = resources()
	r.HeapBytes = heapBytes()
	for _, t := range tasks {
		tr := t.report(r.State)
		r.Counters = r.Counters.Add(tr.Counters)
		r.Tasks = append(r.Tasks, tr)
	}
	return r
}

// state needs c.mu.
func (c *Container) state() string {
	switch {
	case c.failure != nil:
		return coordinator.ContainerFailed
	case c.over:
		return coordinator.ContainerStopped
	case c.stopping != "":
		return coordinator.ContainerStopping
	case c.live && c.paused:
		return coordinator.ContainerPaused
	case c.live:
		return coordinator.ContainerRunning
	case c.published != nil && len(c.opts.Stores)+len(c.side.specs) > 0:
		return coordinator.ContainerRestoring
	}
	return coordinator.ContainerStarting
}

// report is the task's part. Any goroutine calls it.
func (t *instance) report(state string) coordinator.TaskReport {
	r := coordinator.TaskReport{
		Name: t.name, State: state, LastCommit: t.committedAt.Load(),
		Counters: coordinator.Counters{
			Processed: t.counts.processed.Value(), Sent: t.counts.sends.Value(),
			Windows: t.counts.windows.Value(), Commits: t.counts.commits.Value(),
			Dropped: t.counts.deserialization.Value() + t.counts.serialization.Value() + t.counts.ignored.Value() + t.counts.sendFailed.Value(),
		},
	}
	r.Stores = t.storeReports()
	for _, l := range t.lanes {
		r.Inputs = append(r.Inputs, coordinator.InputReport{
			System: l.source.System, Stream: l.source.Stream, Partition: l.source.Partition,
			Next: l.position.Load(), HighWatermark: l.end.Load(),
		})
	}
	if sides := t.sides.Load(); sides != nil {
		for _, side := range *sides {
			r.SideInputs = append(r.SideInputs, sideReport(side)...)
		}
	}
	if state == coordinator.ContainerRestoring {
		r.Restores = t.restores.report()
	}
	return r
}

// heapBytes is the size of Go's live heap and what is not swept yet, without
// stopping the world.
func heapBytes() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}

// measureStores notes the sizes of the task's stores for others, not more often
// than anybody looks. The task's goroutine calls it.
func (t *instance) measureStores() {
	now := t.now()
	if t.stores == nil || now.Sub(t.measured) < measureEvery {
		return
	}
	t.measured = now
	sizes := t.stores.Sizes()
	t.sizes.Store(&sizes)
}

// storeReports tells of the task's stores: their sizes as of a commit a while ago,
// and their newest snapshots as of now, which need no commit. Any goroutine calls
// it.
func (t *instance) storeReports() []coordinator.StoreReport {
	sizes := t.sizes.Load()
	if sizes == nil {
		return nil
	}
	var out []coordinator.StoreReport
	for _, s := range *sizes {
		r := coordinator.StoreReport{Store: s.Store, Entries: s.Entries, Bytes: s.Bytes, Source: string(t.restores.of(s.Store).Source)}
		if s.Snapshot != nil {
			if at := s.Snapshot(); !at.IsZero() {
				r.SnapshotAt = at.UnixMilli()
			}
		}
		out = append(out, r)
	}
	return out
}

const measureEvery = 5 * time.Second
