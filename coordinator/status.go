package coordinator

import "time"

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
	// inputs, while stores are restored; 0 of 0: none is.
	RestoreDone  int64 `json:"restoreDone"`
	RestoreTotal int64 `json:"restoreTotal"`
	// RestoreLeftMs is about how long the rest takes; 0: not known yet, or none is.
	RestoreLeftMs int64 `json:"restoreLeftMs,omitzero"`
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
