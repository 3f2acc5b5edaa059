package task

// Task is the one interface that every task has to implement. A container
// makes one value per task (Samza: one StreamTask per TaskName) and calls all
// its methods from a single goroutine, never two at a time.
type Task interface {
	// Process handles one message. Messages of one partition come in the
	// order of their offsets. A returned error stops the container with exit
	// code 1; the message is processed again after the restart. An error that
	// comes from decoding m (a *DecodeError) is dropped and counted instead
	// when task.drop.deserialization.errors is true.
	Process(ctx Context, m *Message) error
}

// Initializer is implemented by a task that needs a call before its first
// message, after its stores were restored (Samza: InitableTask).
type Initializer interface {
	Init(ctx Context) error
}

// Windower is implemented by a task that wants a call every task.window.ms
// (Samza: WindowableTask). Without that key, or with a value of 0 or below, it
// is never called.
type Windower interface {
	Window(ctx Context) error
}

// Stopper is implemented by a task that has something left to say when it is
// stopped in order: Stop runs after the last message and may send; a commit
// follows, then Close. It is not called when the container fails. Samza has no
// such call: there the last partial interval is processed again.
type Stopper interface {
	Stop(ctx Context) error
}

// Closer is implemented by a task that holds resources of its own (Samza:
// ClosableTask). Close is the last call a task gets, after the final commit; it
// can no longer send. It is called after a failure too.
type Closer interface {
	Close() error
}

// Factory makes one task; the container calls it once for every task of its
// share of the job.
type Factory func() Task

// Func lets a plain function be a Task.
type Func func(ctx Context, m *Message) error

// Process calls f.
func (f Func) Process(ctx Context, m *Message) error { return f(ctx, m) }
