package storage

import (
	"context"
	"log/slog"
	"time"

	"heddle/serde"
	"heddle/storage/local"
	"heddle/system"
	"heddle/task"
)

// Options are what the stores of one task share.
type Options struct {
	// TaskName is for messages, and names the task's folders.
	TaskName string
	// ChangelogPartition is the partition of every changelog that belongs to
	// the task (Samza: set-changelog). It is not the input's partition.
	ChangelogPartition int32
	// Outbox gives the task's way out to a system; it is asked once for each
	// system that a changelog lies on. It may be the one that the task's
	// messages go through.
	Outbox func(system string) (system.Outbox, error)
	// Serdes finds a serde by the name that the stores are configured with; nil
	// stands for serde.New.
	Serdes func(name string) (task.Serde, error)
	// Metrics is the task's registry; nil: nothing is counted.
	Metrics task.Metrics
	// Logger is the task's; nil: silence.
	Logger *slog.Logger
	// Ends gives changelogs' ends to Restore; nil: each Restore asks by itself.
	// SharedEnds is for containers with many tasks.
	Ends EndsFunc
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	// Tasks is the number of tasks that share what is configured for a
	// container; 0 stands for 1.
	Tasks int
	// Folders is where logged stores on disk lie; their state is used again by
	// the next start. Scratch is where those without a changelog lie, which start
	// empty. Neither is asked for stores in memory.
	Folders, Scratch *local.Job
	// Snapshots keeps copies of stores on disk; nil: none are made or used.
	Snapshots Snapshots
	// NeedCommit asks for a commit soon: more is pending than the store's write
	// buffer. It is called from within calls of a store, at most once between
	// two commits; nil: nobody is asked.
	NeedCommit func()
	// NoCommits tells that nobody commits by the clock (task.commit.ms is not
	// positive): what is pending is spilled at once when it outgrows the write
	// buffer.
	NoCommits bool

	// Chance gives a random number in [0, n), for samples; nil: math/rand's.
	Chance func(n int) int

	// testBuffer is the size of the write buffer, for tests; 0: the store's.
	testBuffer int64
	// testObjects is the size of the cache of objects, for tests; 0: the store's.
	testObjects int64
}

func (o Options) now() time.Time { return o.Now() }

// serde gives the serde of a name that a store is configured with; "" leaves bytes
// as they are.
func (o Options) serde(name string) (task.Serde, error) {
	if name == "" {
		return serde.Bytes{}, nil
	}
	return o.Serdes(name)
}

// ends is what asks for the ends of streams on these systems.
func (o Options) ends(systems map[string]system.System) EndsFunc {
	if o.Ends != nil {
		return o.Ends
	}
	return func(ctx context.Context, id system.StreamID) ([]system.Ends, error) { return askEnds(ctx, systems, id) }
}

func (o Options) defaults() Options {
	if o.Serdes == nil {
		o.Serdes = serde.New
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Tasks = max(o.Tasks, 1)
	return o
}
