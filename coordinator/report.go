package coordinator

import "time"

// GiveUpAfter is how long a container goes on without an answer of its
// coordinator before it stops itself, gracefully. (Samza: 60 s between
// heartbeats and about as long of trying, ContainerHeartbeatMonitor.) Whoever
// replaces a silent container waits longer than that and the stop take.
const GiveUpAfter = 30 * time.Second

// ReportEvery is how often each of so many containers is asked to report at
// least: each second, or as much less often as makes about 500 reports a second.
func ReportEvery(containers int) time.Duration {
	return reportEvery(time.Second, containers)
}

// reportEvery is at least so often, or as ReportEvery for many containers.
func reportEvery(least time.Duration, containers int) time.Duration {
	return max(least, time.Duration(containers)*2*time.Millisecond)
}

// States of a container and of a task.
const (
	// ContainerWaiting: the cluster was asked for it.
	ContainerWaiting = "waiting"
	// ContainerStarting: it is being started, or has not begun to read yet.
	ContainerStarting = "starting"
	// ContainerRestoring: stores are being restored.
	ContainerRestoring = "restoring"
	// ContainerRunning: its tasks process messages.
	ContainerRunning = "running"
	// ContainerPaused: it runs, but was told not to fetch.
	ContainerPaused = "paused"
	// ContainerStopping: it was told to stop.
	ContainerStopping = "stopping"
	// ContainerStopped: it ended by itself or as told.
	ContainerStopped = "stopped"
	// ContainerFailed: it ended with an error.
	ContainerFailed = "failed"
)

// Counters are totals since a container or task started.
type Counters struct {
	Processed int64 `json:"processed"`
	Sent      int64 `json:"sent"`
	Windows   int64 `json:"windows"`
	Commits   int64 `json:"commits"`
	// Dropped are messages that could not be decoded and were passed over.
	Dropped int64 `json:"dropped"`
}

// Add gives the sum of both.
func (c Counters) Add(o Counters) Counters {
	return Counters{c.Processed + o.Processed, c.Sent + o.Sent, c.Windows + o.Windows, c.Commits + o.Commits, c.Dropped + o.Dropped}
}

// Report is what a container says of itself; it is the container's heartbeat
// too.
type Report struct {
	// ExecutionID is the cluster's id of the process ("container_..."): a
	// restarted container has the same container id and another execution id.
	ExecutionID string `json:"executionContainerId"`
	// State is one of the Container states.
	State     string `json:"state"`
	StartedAt int64  `json:"startedAt"`
	Host      string `json:"host,omitzero"`
	PID       int    `json:"pid,omitzero"`

	Counters Counters     `json:"counters"`
	Tasks    []TaskReport `json:"tasks"`
	// SideInputs and Restores are those of the stores that all tasks of the
	// container share.
	SideInputs []SideInputReport `json:"sideInputs,omitzero"`
	Restores   []RestoreReport   `json:"restores,omitzero"`
	// LastError is the newest error, also one that was survived.
	LastError string `json:"lastError,omitzero"`

	// MemoryBytes is the resident size, HeapBytes Go's heap, CPUSeconds user and
	// system time since the start.
	MemoryBytes int64   `json:"memoryBytes"`
	HeapBytes   int64   `json:"heapBytes"`
	CPUSeconds  float64 `json:"cpuSeconds"`
	Goroutines  int     `json:"goroutines,omitzero"`

	// Metrics is a snapshot of the container's metrics, group to name to value,
	// as Samza's. Numbers are served under /metrics.
	Metrics map[string]map[string]any `json:"metrics,omitzero"`
}

// TaskReport is one task's part of a Report.
type TaskReport struct {
	Name string `json:"name"`
	// State is one of the Container states.
	State    string        `json:"state"`
	Counters Counters      `json:"counters"`
	Inputs   []InputReport `json:"inputs"`
	// SideInputs are the positions in what fills the task's own stores.
	SideInputs []SideInputReport `json:"sideInputs,omitzero"`
	Restores   []RestoreReport   `json:"restores,omitzero"`
	// LastCommit is when the newest commit was done; 0: none yet.
	LastCommit int64  `json:"lastCommit,omitzero"`
	LastError  string `json:"lastError,omitzero"`
	// Stores are the sizes of the task's stores, as of a commit a while ago.
	Stores []StoreReport `json:"stores,omitzero"`
}

// StoreReport is the size of one store of a task.
type StoreReport struct {
	Store string `json:"store"`
	// Entries and Bytes are -1 where the engine cannot tell them at once, as one
	// on disk its entries; its bytes are those of its files, an estimate.
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"`
	// Source is what the store was restored from besides the changelog's newest
	// part: "local state", "snapshot", or "changelog" if from nothing else; "": it
	// has no changelog.
	Source string `json:"source,omitzero"`
	// SnapshotAt is when the newest snapshot was taken that the container knows of,
	// in ms; 0: none.
	SnapshotAt int64 `json:"snapshotAt,omitzero"`
}

// InputReport is the position in one input partition.
type InputReport struct {
	System    string `json:"system"`
	Stream    string `json:"stream"`
	Partition int32  `json:"partition"`
	// Next is the offset that is processed next, HighWatermark the partition's
	// end at the last fetch; -1: not known yet.
	Next          int64 `json:"next"`
	HighWatermark int64 `json:"highWatermark"`
}

// Lag is the number of messages not yet processed, counting gaps; ok is false if
// it is not known.
func (i InputReport) Lag() (n int64, ok bool) {
	if i.Next < 0 || i.HighWatermark < 0 {
		return 0, false
	}
	return max(0, i.HighWatermark-i.Next), true
}

// SideInputReport is how far a store is in one partition of its side inputs: Next
// is the first offset that is not in it.
type SideInputReport struct {
	Store string `json:"store"`
	InputReport
}

// RestoreReport is how far the restore of a store has come, in changelog
// records, or its first filling, in messages of its side inputs.
type RestoreReport struct {
	Store string `json:"store"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	// LeftMs is about how long the rest takes; 0: not known yet, or done.
	LeftMs int64 `json:"leftMs,omitzero"`
	// Source is as in StoreReport. Downloaded of Download bytes of a snapshot have
	// come; 0 of 0: none is fetched.
	Source     string `json:"source,omitzero"`
	Downloaded int64  `json:"downloaded"`
	Download   int64  `json:"download"`
	// Waiting is for sums: so many more wait for their turn, whose totals nobody
	// knows yet; Total and LeftMs take them for the mean of the others.
	Waiting int `json:"waiting,omitzero"`
}

// expecting adds to the sum of what so many have begun those that wait.
func (r RestoreReport) expecting(begun, waiting int) RestoreReport {
	r.Waiting = waiting
	if begun == 0 || waiting == 0 {
		return r
	}
	left := r.Total - r.Done
	r.Total += r.Total * int64(waiting) / int64(begun)
	if left > 0 { // else it is not known how fast they will be
		r.LeftMs = int64(float64(r.LeftMs) * float64(r.Total-r.Done) / float64(left))
	}
	return r
}

// Reply answers a Report.
type Reply struct {
	// Alive is false when the coordinator does not know this execution, or has
	// given it up: the container has to stop, since another one may have its
	// tasks.
	Alive bool `json:"alive"`
	// NextReport is when the next report is wanted, in ms from now; it grows
	// with the number of containers.
	NextReport int64 `json:"nextReportMs"`
}
