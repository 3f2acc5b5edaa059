package coordinator

import "time"

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
