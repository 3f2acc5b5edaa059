package yarn

import "strconv"

// ExitStatus is how a container ended (Hadoop: ContainerExitStatus): from 0 to
// 255 the exit code of its process, where 128+n stands for signal n; below zero
// what YARN did to it.
type ExitStatus int32

// Exit statuses that YARN itself gives.
const (
	// ExitSuccess is a process that ended with 0.
	ExitSuccess ExitStatus = 0
	// ExitInvalid is a container that has not ended, or one whose resources
	// could not be brought to the node: then the diagnostics tell.
	ExitInvalid ExitStatus = -1000
	// ExitAborted is a container released by the master, expired before it was
	// started, or lost with its node.
	ExitAborted ExitStatus = -100
	// ExitDisksFailed is a node whose disks have failed.
	ExitDisksFailed ExitStatus = -101
	// ExitPreempted is a container taken back by the scheduler.
	ExitPreempted ExitStatus = -102
	// ExitExceededVirtualMemory is a container above its virtual memory limit.
	ExitExceededVirtualMemory ExitStatus = -103
	// ExitExceededMemory is a container above its memory limit.
	ExitExceededMemory ExitStatus = -104
	// ExitKilledByMaster is a container stopped by its application master before its
	// process ran; afterwards the exit code of the process is told, as a rule 143 or 137.
	ExitKilledByMaster ExitStatus = -105
	// ExitKilledByResourceManager is a container that the ResourceManager ended.
	ExitKilledByResourceManager ExitStatus = -106
	// ExitKilledAfterApplication is one that outlived its application.
	ExitKilledAfterApplication ExitStatus = -107
	// ExitKilledByContainerScheduler is an opportunistic container that made room.
	ExitKilledByContainerScheduler ExitStatus = -108
	// ExitKilledForExcessLogs is a container that wrote too much log.
	ExitKilledForExcessLogs ExitStatus = -109
)

var exitTexts = map[ExitStatus]string{
	ExitSuccess:                    "ended by itself",
	ExitInvalid:                    "no exit status",
	ExitAborted:                    "released, expired or lost with its node",
	ExitDisksFailed:                "the node's disks failed",
	ExitPreempted:                  "preempted by the scheduler",
	ExitExceededVirtualMemory:      "killed for using too much virtual memory",
	ExitExceededMemory:             "killed for using too much memory",
	ExitKilledByMaster:             "stopped by the application master",
	ExitKilledByResourceManager:    "killed by the ResourceManager",
	ExitKilledAfterApplication:     "killed after the application ended",
	ExitKilledByContainerScheduler: "killed to make room for a guaranteed container",
	ExitKilledForExcessLogs:        "killed for writing too much log",
}

// String says in words what the status means.
func (s ExitStatus) String() string {
	if t, ok := exitTexts[s]; ok {
		return t
	}
	if s > 128 && s <= 128+64 {
		return "exit code " + strconv.Itoa(int(s)) + " (signal " + strconv.Itoa(int(s-128)) + ")"
	}
	return "exit code " + strconv.Itoa(int(s))
}
