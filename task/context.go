package task

import (
	"context"
	"log/slog"
	"time"
)

// Scope says whom a request of a task is for.
type Scope int

const (
	// ThisTask is the asking task alone (Samza: CURRENT_TASK).
	ThisTask Scope = iota
	// Container is every task of the container (Samza:
	// ALL_TASKS_IN_CONTAINER).
	Container
)

// Context is what a task may use. It belongs to one task and to the goroutine
// that calls the task: it must not be handed to other goroutines.
type Context interface {
	// Context ends when the container is told to stop at once; long calls of a
	// task should watch it.
	Context() context.Context

	// TaskName is the task's name as in Samza, "Partition 0"; ContainerID its
	// container's, "0"; JobName and JobID the job's.
	TaskName() string
	ContainerID() string
	JobName() string
	JobID() string
	// Inputs are the partitions that the task reads.
	Inputs() []Source
	// Setting reads a key of the job's configuration; ok is false if it is not
	// set.
	Setting(key string) (value string, ok bool)

	// Send hands a message to the output stream. It returns once the message is
	// buffered; a failure to write shows in a later Send or in the commit, which
	// then fails, so that no offset passes it.
	Send(o Output) error

	// Commit asks for a commit after the current call returns.
	Commit(s Scope)
	// Shutdown asks for a graceful end: of the container once all of its tasks
	// have asked (ThisTask), or at once (Container).
	Shutdown(s Scope)

	// Store gives a store that is configured by stores.NAME.factory; the error
	// lists the configured ones.
	Store(name string) (Store, error)

	// Metrics is the task's registry.
	Metrics() Metrics
	// Logger writes with the task's name.
	Logger() *slog.Logger
	// Now is the time by the container's clock; tests set it.
	Now() time.Time
}

// Metrics makes named measurements of a task (Samza: MetricsRegistry). The same
// group and name give the same value. They may be used from any goroutine.
type Metrics interface {
	Counter(group, name string) Counter
	Gauge(group, name string) Gauge
	// Timer averages durations over a sliding window of 300 s, as Samza's do.
	Timer(group, name string) Timer
}

// Counter only grows by what it is told.
type Counter interface {
	Add(n int64)
	Value() int64
}

// Gauge holds the last value set.
type Gauge interface {
	Set(v float64)
	Value() float64
}

// Timer collects durations.
type Timer interface {
	Observe(d time.Duration)
	// Average is the mean of the last 300 s.
	Average() time.Duration
}
