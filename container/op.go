package container

// op is one thing that a task can do next.
type op uint8

const (
	// opWait: nothing to do until a signal comes.
	opWait op = iota
	// opProcess: hand over messages.
	opProcess
	// opAnswer: let others look at the state.
	opAnswer
	// opWindow: the call of task.window.ms.
	opWindow
	// opCommit: write down how far the task is.
	opCommit
	// opStop: the graceful end: Stop, a last commit, Close.
	opStop
	// opAbort: the end without a commit: Close alone.
	opAbort
)

func (o op) String() string {
	return [...]string{"wait", "process", "answer", "window", "commit", "stop", "abort"}[o]
}

// condition is what a task's next operation depends on.
type condition struct {
	// aborting: the container failed, or was told to end at once.
	aborting bool
	// stopping: the container ends in order.
	stopping bool
	// commitDue and windowDue: by the clock, or asked for.
	commitDue, windowDue bool
	// asked: somebody wants to look at the state.
	asked bool
	// paused: no messages and no windows for now.
	paused bool
	// ready: there are messages.
	ready bool
}

// next decides. The order commit, window, process is Samza's (RunLoop); a
// message that is being processed is always finished first, since next is
// asked between two calls of the task only. A stop comes before a commit that
// is due, because it ends in one.
func next(c condition) op {
	switch {
	case c.aborting:
		return opAbort
	case c.stopping:
		return opStop
	case c.commitDue:
		return opCommit
	case c.asked:
		return opAnswer
	case c.windowDue && !c.paused:
		return opWindow
	case c.ready && !c.paused:
		return opProcess
	}
	return opWait
}
