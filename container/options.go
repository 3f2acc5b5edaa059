package container

import (
	"context"
	"log/slog"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// Options are all that a container needs from outside.
type Options struct {
	// Config is the job's configuration, secrets included.
	Config config.Config
	// Model is the container's share of the job.
	Model jobmodel.Container
	// NewTask makes one task (task.class).
	NewTask task.Factory
	// System gives a system by its name in the configuration. The container
	// makes consumers and producers of its own and closes those, but not the
	// system.
	System func(name string) (system.System, error)
	// Checkpoints is started already and closed by its owner; nil: none are
	// kept.
	Checkpoints checkpoint.Log
	// Stores are the job's stores (storage.Specs); none if it has none.
	Stores []storage.Spec
	// SideInputs are the program's functions that make entries of the messages of
	// side inputs, by name.
	SideInputs map[string]task.SideInput
	// Snapshots keeps copies of stores on disk; nil: as the configuration says
	// (heddle.snapshot.uri).
	Snapshots storage.Snapshots
	// JobTasks are the names of all tasks of the job. Local state of others is
	// removed; nil: they are not known, and it is not.
	JobTasks []string
	// Getenv reads the environment; nil: os.Getenv.
	Getenv func(string) string
	// Metrics gives the registry of a task by its name, and that of the
	// container for "".
	Metrics func(taskName string) task.Metrics
	// Events is told what happens; nil: nobody.
	Events events.Sink
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now. Timers run by package time.
	Now func() time.Time
	// UntilCaughtUp ends the container in order once every input is read to the
	// end that it had at the start.
	UntilCaughtUp bool
	// Preloaded are the offsets of the first preloaded records.
	Preloaded map[system.Partition]int64
	// StartedAt is when the process began; zero: when New is called.
	StartedAt time.Time
	// MayCommit, if not nil, is asked at the beginning of each commit; its error
	// fails the container, which commits nothing more. It is for processes that
	// cannot know otherwise that another one has taken their place.
	MayCommit func(ctx context.Context) error
	// Ending, if not nil, is called when the container has nothing left to do but to
	// close what it has, in order or after a failure, and over when that is done: the
	// task's own Close may never return.
	Ending func() (over func())
	// Failpoint is called at each step of each commit, and after each window; its
	// error fails the container there. For tests.
	Failpoint func(taskName string, s Step) error
}
