package am

// Event is something that happened to the application. Its concrete types are
// the ones in this file.
type Event interface{ event() }

// Started begins the application, once the ResourceManager has registered it.
type Started struct {
	// Preferred gives, by processor id, the host that a container ran on before
	// (locality in the coordinator stream); used with host affinity only.
	Preferred map[string]string
}

// Allocated brings containers that the cluster gave.
type Allocated struct{ Containers []Allocation }

// Allocation is one container of the cluster's.
type Allocation struct {
	// ID is the cluster's name of the container
	// ("container_1700000000000_0001_01_000002").
	ID string
	// Host is the name of its node, Node its address (host:port), HTTP the
	// address of its web server.
	Host, Node, HTTP string
	// For is the processor whose request it meets; "" if the cluster does not
	// tell requests apart.
	For string
}

// Launched says that the node accepted the launch of a container.
type Launched struct{ ContainerID string }

// LaunchFailed says that the node did not; the container is of no use.
type LaunchFailed struct{ ContainerID, Cause string }

// Completed brings containers that have ended.
type Completed struct{ Containers []Exit }

// Exit is how a container ended.
type Exit struct {
	ContainerID string
	// Status is YARN's ContainerExitStatus, or the process's exit code if it is
	// 0 or above; 128+n after signal n.
	Status      int
	Diagnostics string
	// Unseen is true if nobody has seen the process end: the ResourceManager gave
	// the container up (node lost, preempted, released), and where the node or the
	// network between them is at fault the process goes on.
	Unseen bool
}

// Reported says that a container's process was heard of.
type Reported struct {
	Processor, ContainerID string
	// Processing is true once it runs its tasks.
	Processing bool
	// Error is the cause of its end, if it is about to fail; it becomes the
	// diagnostics of the application.
	Error string
	// Usage is true if the error is one of configuration, which a restart will
	// not mend.
	Usage bool
	// Ended is true in the process's last report: its tasks have stopped and will
	// write nothing more.
	Ended bool
}

// Forgotten says that a container's node knows nothing of it any more: its
// process has ended.
type Forgotten struct{ ContainerID string }

// LinkBroken says that the connection on which a container's process waits for
// commands was cut. As a rule the process has died: its node knows before YARN
// tells.
type LinkBroken struct{ Processor, ContainerID string }

// StopRequested asks for a graceful end (run-job kill, a signal, a person).
type StopRequested struct {
	// Reason is for the diagnostics; Killed says which final status follows:
	// KILLED, else SUCCEEDED.
	Reason string
	Killed bool
}

// Refused says that the ResourceManager no longer wants this attempt.
type Refused struct{ Reason string }

// Broken says that the application cannot go on (container size above the
// maximum, a lost ResourceManager).
type Broken struct{ Reason string }

// Tick lets time pass; Step's now is its content.
type Tick struct{}

func (Started) event()       {}
func (Allocated) event()     {}
func (Launched) event()      {}
func (LaunchFailed) event()  {}
func (Completed) event()     {}
func (Reported) event()      {}
func (LinkBroken) event()    {}
func (Forgotten) event()     {}
func (StopRequested) event() {}
func (Refused) event()       {}
func (Broken) event()        {}
func (Tick) event()          {}

// Action is something that the driver has to do. Its concrete types are the
// ones in this file.
type Action interface{ action() }

// Request asks the cluster for one container for a processor. Host is "" for
// any host; otherwise no other will do (YARN: relaxLocality false).
type Request struct{ Processor, Host string }

// Withdraw takes a Request back: it was met, or is no longer wanted. Met
// requests have to be withdrawn too, as YARN counts what was asked for and not
// what was given.
type Withdraw struct{ Processor, Host string }

// Exclude sets the hosts on which no container shall be given; those of an earlier
// Exclude that are not among them will do again (YARN: the application's
// blacklist).
type Exclude struct{ Hosts []string }

// Launch starts the processor's process in the container.
type Launch struct {
	Processor string
	In        Allocation
	// Attempt counts the launches of this processor from 1.
	Attempt int
}

// Release gives back a container in which nothing was started.
type Release struct{ ContainerID string }

// Kill ends a container by force.
type Kill struct{ ContainerID, Node string }

// AskStop tells a container's process to stop gracefully.
type AskStop struct{ Processor, ContainerID string }

// Confirm asks the node whether a container has ended; if it has, that comes as
// Completed or Forgotten, otherwise nothing comes.
type Confirm struct{ ContainerID, Node string }

// Settle says that a processor's process runs on a host, where its state is from
// now on; given only with host affinity.
type Settle struct{ Processor, Host string }

// Finish ends the application: unregister with this status, then exit. After it
// the machine gives no more actions. Unregister is false when the
// ResourceManager refused the attempt and wants to hear no more of it.
type Finish struct {
	Status      Outcome
	Diagnostics string
	Unregister  bool
	// AtStop are the containers that failed when they were told to stop, with the
	// cause: what they had not committed is repeated.
	AtStop []string
}

// Note is a line for the log and the page, with what a person should know.
type Note struct {
	Level int // as log/slog's: 0 info, 4 warn, 8 error
	Text  string
}

func (Request) action()  {}
func (Withdraw) action() {}
func (Exclude) action()  {}
func (Launch) action()   {}
func (Release) action()  {}
func (Kill) action()     {}
func (AskStop) action()  {}
func (Confirm) action()  {}
func (Settle) action()   {}
func (Finish) action()   {}
func (Note) action()     {}

// Outcome is YARN's FinalApplicationStatus.
type Outcome string

// The outcomes, named as YARN names them.
const (
	Succeeded Outcome = "SUCCEEDED"
	Failed    Outcome = "FAILED"
	Killed    Outcome = "KILLED"
)

// ContainerExitStatus values that are no process's exit code (Hadoop:
// org.apache.hadoop.yarn.api.records.ContainerExitStatus).
const (
	ExitAborted     = -100 // the node was lost, or the framework released it
	ExitDisksFailed = -101
	ExitPreempted   = -102
)

// Exit codes of a container's process that say what follows. None of them is 2,
// with which Go's runtime ends a process that panics or has no memory left.
const (
	// ExitConfig: it is configured wrongly.
	ExitConfig = 78
	// ExitDisk: its local state could not be opened, read or written.
	ExitDisk = 74
	// exitTerminated: a signal ended it, in order.
	exitTerminated = 143
)
