package coordinator

import "time"

// This file holds what travels between containers, the coordinator and those
// who look at it. All times are in milliseconds since the Unix epoch.

// Commands that a container knows. Others may come from a newer coordinator and
// are to be ignored with a warning.
const (
	// CommandStop asks for a graceful stop of the container.
	CommandStop = "stop"
	// CommandPause and CommandResume hold and continue the fetching of inputs.
	CommandPause  = "pause"
	CommandResume = "resume"
	// CommandCommit asks all tasks for a commit.
	CommandCommit = "commit"
	// CommandQuery asks about the state of a task (QuestionOf).
	CommandQuery = "query"
)

// GiveUpAfter is how long a container goes on without an answer of its
// coordinator before it stops itself, gracefully. (Samza: 60 s between
// heartbeats and about as long of trying, ContainerHeartbeatMonitor.) Whoever
// replaces a silent container waits longer than that and the stop take.
const GiveUpAfter = 30 * time.Second

// ReportEvery is how often each of so many containers is asked to report at
// least: each second, or as much less often as makes about 500 reports a second.
func ReportEvery(containers int) time.Duration {
	return max(time.Second, time.Duration(containers)*2*time.Millisecond)
}

// Command is one thing that a container is told.
type Command struct {
	// Seq numbers the commands of one container; they rise but need not be
	// dense.
	Seq  int64  `json:"seq"`
	Type string `json:"type"`
	// Args depend on the type; a stop has "reason".
	Args map[string]string `json:"args,omitzero"`
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
	// come.
	Source     string `json:"source,omitzero"`
	Downloaded int64  `json:"downloaded,omitzero"`
	Download   int64  `json:"download,omitzero"`
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

// States of a job.
const (
	JobStarting = "STARTING"
	JobRunning  = "RUNNING"
	JobStopping = "STOPPING"
	JobFinished = "FINISHED"
	JobFailed   = "FAILED"
)

// Job is what whoever runs the job says of it as a whole.
type Job struct {
	// ApplicationID and AttemptID are YARN's; empty elsewhere.
	ApplicationID, AttemptID string
	// Name and ID are job.name and job.id; User runs it; Factory is "yarn",
	// "process" or "thread".
	Name, ID, User, Factory string
	// State is one of the Job states. FinalStatus is YARN's: UNDEFINED,
	// SUCCEEDED, FAILED, KILLED.
	State, FinalStatus string
	// Diagnostics is the true cause of a failure, or what is being waited for.
	Diagnostics string
	TrackingURL string
	StartedAt   time.Time
}

// Container is what whoever runs the job says of one container.
type Container struct {
	// ID is the container (processor) id; ExecutionID the cluster's id of the
	// process that runs it now or ran it last, empty before the first.
	ID, ExecutionID string
	// State is one of the Container states. What the container reports of
	// itself is shown in place of ContainerStarting and ContainerRunning.
	State string
	// Host is where it runs, LogURL where its logs can be read, while running
	// and after.
	Host, LogURL string
	// StartedAt is when the present process was started; zero: none.
	StartedAt time.Time
	// Starts is the number of processes so far; Failures those that ended with
	// an error, LastExit how the last of them ended, in words.
	Starts, Failures int
	LastExit         string
	// MemoryMB and Cores are what it was given.
	MemoryMB, Cores int
}

// Status is the answer of GET /ui/api/v1/status.
type Status struct {
	ApplicationID string `json:"applicationId"`
	AttemptID     string `json:"attemptId,omitzero"`
	JobName       string `json:"jobName"`
	JobID         string `json:"jobId"`
	User          string `json:"user,omitzero"`
	Factory       string `json:"factory,omitzero"`
	State         string `json:"state"`
	FinalStatus   string `json:"finalStatus"`
	Diagnostics   string `json:"diagnostics,omitzero"`
	TrackingURL   string `json:"trackingUrl,omitzero"`
	StartedAt     int64  `json:"startedAt"`
	Now           int64  `json:"now"`

	Containers ContainerCounts `json:"containers"`
	Tasks      TaskCounts      `json:"tasks"`
	Inputs     InputCounts     `json:"inputs"`
	// SideInputs counts what fills stores, not in Inputs; a partition counts for
	// each store that it fills.
	SideInputs InputCounts `json:"sideInputs,omitzero"`
	// Totals counts from the start of this application master, over restarts of
	// containers.
	Totals Counters `json:"totals"`
	// ProcessedPerSecond and SentPerSecond are rates over the last seconds.
	ProcessedPerSecond float64 `json:"processedPerSecond"`
	SentPerSecond      float64 `json:"sentPerSecond"`

	ContainerList []ContainerStatus `json:"containerList"`
}

// quietReports is after how many reports that did not come a container counts as
// silent, and quietLeast after how long at least: a busy one may be late.
const (
	quietReports = 5
	quietLeast   = 10 * time.Second
)

// Silent tells that nothing was heard of a container for so long that what is
// shown of it is out of date: it is frozen, or cut off, and will be replaced if
// it stays so.
func (s Status) Silent(c ContainerStatus) bool {
	switch c.State {
	case ContainerRestoring, ContainerRunning, ContainerPaused, ContainerStopping:
	default:
		return false
	}
	quiet := max(quietLeast, quietReports*ReportEvery(len(s.ContainerList)))
	return c.LastReport > 0 && s.Now-c.LastReport > quiet.Milliseconds()
}

// ContainerCounts counts containers. Running are those that say so themselves.
type ContainerCounts struct {
	Wanted   int `json:"wanted"`
	Running  int `json:"running"`
	Failures int `json:"failures"`
}

// TaskCounts counts tasks.
type TaskCounts struct {
	Total   int `json:"total"`
	Running int `json:"running"`
}

// InputCounts counts input partitions; a broadcast partition counts for each
// task that reads it. Lag is that of the Known ones.
type InputCounts struct {
	Partitions int   `json:"partitions"`
	Known      int   `json:"known"`
	Lag        int64 `json:"lag"`
}

// ContainerStatus is one container's part of a Status.
type ContainerStatus struct {
	ID          string `json:"id"`
	ExecutionID string `json:"executionContainerId,omitzero"`
	State       string `json:"state"`
	Host        string `json:"host,omitzero"`
	LogURL      string `json:"logUrl,omitzero"`
	StartedAt   int64  `json:"startedAt,omitzero"`
	Starts      int    `json:"starts"`
	Failures    int    `json:"failures"`
	LastExit    string `json:"lastExit,omitzero"`
	// LastReport is when the container reported last; 0: not yet.
	LastReport         int64       `json:"lastReport,omitzero"`
	LastError          string      `json:"lastError,omitzero"`
	Tasks              TaskCounts  `json:"tasks"`
	Inputs             InputCounts `json:"inputs"`
	SideInputs         InputCounts `json:"sideInputs,omitzero"`
	Counters           Counters    `json:"counters"`
	ProcessedPerSecond float64     `json:"processedPerSecond"`
	SentPerSecond      float64     `json:"sentPerSecond"`
	MemoryBytes        int64       `json:"memoryBytes,omitzero"`
	HeapBytes          int64       `json:"heapBytes,omitzero"`
	// CPU is the number of cores in use over the last seconds.
	CPU      float64 `json:"cpu"`
	MemoryMB int     `json:"memoryMb,omitzero"`
	Cores    int     `json:"cores,omitzero"`
	// Shared is how far the stores that its tasks share are in their side inputs.
	Shared []SideInputStatus `json:"shared,omitzero"`
	// RestoreDone and RestoreTotal count changelog records, and messages of side
	// inputs, while stores are restored.
	RestoreDone  int64 `json:"restoreDone,omitzero"`
	RestoreTotal int64 `json:"restoreTotal,omitzero"`
}

// Execution is one process of a container, in a container of the cluster, in the
// answer of GET /ui/api/v1/executions.
type Execution struct {
	// Container is the id in the JobModel, ID the cluster's.
	Container string `json:"id"`
	ID        string `json:"executionContainerId"`
	Host      string `json:"host,omitzero"`
	// NodeHTTP is the address (host:port) of the node's web server, which has the
	// logs; LogURL the page with them.
	NodeHTTP string `json:"nodeHttp,omitzero"`
	LogURL   string `json:"logUrl,omitzero"`
	// Start counts the container's starts under this application master.
	Start     int   `json:"start"`
	StartedAt int64 `json:"startedAt"`
	// EndedAt is 0 while it runs; Exit says in words how it ended.
	EndedAt int64  `json:"endedAt,omitzero"`
	Exit    string `json:"exit,omitzero"`
}

// TaskStatus is one task in the answer of GET /ui/api/v1/tasks.
type TaskStatus struct {
	Name               string        `json:"name"`
	Container          string        `json:"container"`
	State              string        `json:"state"`
	ChangelogPartition int32         `json:"changelogPartition"`
	Counters           Counters      `json:"counters"`
	Inputs             []InputStatus `json:"inputs"`
	// SideInputs are what fills the task's own stores, and are not in Lag.
	SideInputs []SideInputStatus `json:"sideInputs,omitzero"`
	Lag        int64             `json:"lag"`
	Restores   []RestoreReport   `json:"restores,omitzero"`
	Stores     []StoreReport     `json:"stores,omitzero"`
	LastCommit int64             `json:"lastCommit,omitzero"`
	LastError  string            `json:"lastError,omitzero"`
}

// InputStatus is one input partition of a TaskStatus; Next, HighWatermark and
// Lag are -1 while they are not known.
type InputStatus struct {
	System        string `json:"system"`
	Stream        string `json:"stream"`
	Partition     int32  `json:"partition"`
	Next          int64  `json:"next"`
	HighWatermark int64  `json:"highWatermark"`
	Lag           int64  `json:"lag"`
}

// SideInputStatus is one partition of a store's side inputs.
type SideInputStatus struct {
	Store string `json:"store"`
	InputStatus
}

// State is what a Server asks of whoever runs the job. Its methods are called
// from many goroutines.
type State interface {
	Job() Job
	// Containers gives all containers that the job is to have, in any order.
	Containers() []Container
	// Alive tells whether this execution is a container's present one: started
	// (from the moment of the request to start it) and neither ended nor given
	// up.
	Alive(executionID string) bool
	// Hosts gives the host of each container for /locality; with host affinity
	// what the coordinator stream holds, else nothing, as in Samza.
	Hosts() map[string]string
}

// Events is what a Server tells whoever runs the job. Its methods are called
// from many goroutines and must not block.
type Events interface {
	// ContainerReport: a report of a container that is alive came in.
	ContainerReport(id string, r Report)
	// ContainerLost: the connection on which an execution of a container waited
	// for commands was cut from its side. As a rule its process has died.
	ContainerLost(id, executionID string)
	// StopRequested: somebody who may asked for a graceful stop of the job.
	StopRequested(reason string)
}
