package container

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"heddle/checkpoint"
	"heddle/container/events"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// home is the container, as its tasks see it. All of it may be called from any
// goroutine and returns at once.
type home interface {
	// commitAll asks every task for a commit.
	commitAll()
	// stop begins the graceful end.
	stop(why string)
	// vote counts a task that wants the container to end; caughtUp one that has
	// read all that it was to read.
	vote()
	caughtUp()
}

// instance is one running task (Samza: TaskInstance). All of it belongs to the
// task's goroutine (loop), but for sig and what is atomic.
type instance struct {
	name       string
	task       task.Task
	settings   *settings
	lanes      []*lane
	fetchers   map[*lane]*fetcher
	out        outputs
	changelogs outputs
	stores     *storage.Set
	// sides are the task's own stores that are filled from side inputs, once they
	// are filled; the container fills and closes them.
	sides       atomic.Pointer[[]*storage.Side]
	checkpoints checkpoint.Log // nil: none
	// topics are the ids of the inputs' and the changelogs' topics, as far as
	// they are known. It does not change once the task has started.
	topics map[system.StreamID]system.TopicID
	// tx is the way out of everything the task writes, with exactly-once; nil
	// otherwise.
	tx       system.TransactionalOutbox
	registry task.Metrics
	counts   taskCounts
	log      *slog.Logger
	events   events.Sink
	home     home
	now      func() time.Time
	// hard ends when the container is to end at once.
	hard context.Context //nolint:containedctx // task.Context hands it to the task
	// flows and container are the container's counts.
	flows     *flows
	container *containerCounts
	failpoint func(task string, s Step) error
	// mayCommit is Options.MayCommit.
	mayCommit func(context.Context) error

	sig   signals
	inbox inbox
	asks  asks
	// busy: the loop has not returned.
	busy atomic.Bool
	// logged are the stores with a changelog, restores how far they are.
	logged   []string
	restores restores
	// opened: Init was called, so Close has to be.
	opened bool
	// ready: Init has returned without an error.
	ready bool
	// unsealed: an input begins at an offset that another start would not
	// choose again (position.unsealed).
	unsealed bool
	// nothingToRead: no input had anything to read at the start.
	nothingToRead bool

	// ring holds the lanes with messages, the next in turn first.
	ring []*lane
	// order says if ranks matter; then interrupts has signalMail, too: messages of
	// a higher rank may have come.
	order      order
	interrupts signal
	// lagging is how many lanes bootstrap.
	lagging int
	// waiting is how many lanes have not reached their end (until).
	waiting int

	// requested: a commit was asked for, not only due by the clock.
	requested atomic.Bool
	voted     bool
	// worked: something was processed, sent or called since the last commit.
	worked     bool
	samples    int // messages out that may still be shown
	chunks     uint64
	lastCommit time.Time
	// committedAt is lastCommit for others, in ms; 0: none yet.
	committedAt atomic.Int64
	// measured is when the sizes of the stores were taken.
	measured time.Time
	sizes    atomic.Pointer[[]storage.Size]
	// publishedSent is what of sent() is in the counters.
	publishedSent int64
	// since the last commit
	sinceMessages, sinceSent int64
	lastDrop                 time.Time
	drops                    int64
}

// committed takes note of a commit that succeeded.
func (t *instance) committed(began time.Time, _ checkpoint.Checkpoint) {
	t.worked = false
	t.container.commits.Add(1)
	t.lastCommit = began
	t.committedAt.Store(began.UnixMilli())
	took := t.now().Sub(began)
	t.counts.commits.Add(1)
	t.counts.commitTime.Observe(took)
	t.publish()
	t.measureStores()
	sent := t.sent()
	t.events.Event(events.Committed{
		Task: t.name, Messages: t.sinceMessages, Sent: sent - t.sinceSent, Took: took,
		Final: t.sig.get()&signalStop != 0,
	})
	t.sinceMessages, t.sinceSent = 0, sent
}

// publish brings the counts that others see up to date.
func (t *instance) publish() {
	t.out.publish()
	if sent := t.sent(); sent > t.publishedSent {
		t.counts.sends.Add(sent - t.publishedSent)
		t.publishedSent = sent
	}
}

// sent is how many messages the task has sent since its start.
func (t *instance) sent() int64 {
	var n int64
	for _, s := range t.out.streams {
		n += s.sent
	}
	return n
}

// dropped tells of a message that was passed over, at most once a second.
func (t *instance) dropped(what string, cause error) {
	t.drops++
	if now := t.now(); now.Sub(t.lastDrop) >= time.Second {
		t.lastDrop = now
		t.log.Warn("message passed over, as configured", "kind", what, "total", t.drops, "cause", cause)
		t.events.Event(events.Dropped{Task: t.name, What: what, Cause: cause.Error(), Total: t.drops})
	}
}

// where names the message at hand, for errors.
func where(m *task.Message) string {
	return fmt.Sprintf("topic %s, partition %d, offset %d (system %s)", m.Source.Stream, m.Source.Partition, m.Offset, m.Source.System)
}

// buildTasks makes the instances, in the order of their names.
func (c *Container) buildTasks() error {
	for _, name := range c.opts.Model.TaskNames() {
		made := c.opts.NewTask()
		if made == nil {
			return fmt.Errorf("task %q: its factory (task.class) gave nil", name)
		}
		t := &instance{
			name: name, task: made, settings: c.settings,
			fetchers: map[*lane]*fetcher{}, checkpoints: c.opts.Checkpoints,
			log: c.log.With("task", name), events: c.events, home: c, now: c.now, hard: c.hard,
			flows: &c.flows, container: &c.counts, failpoint: c.opts.Failpoint, mayCommit: c.opts.MayCommit,
			sig: newSignals(), interrupts: urgent,
		}
		t.inbox.sig = &t.sig
		t.registry = c.opts.Metrics(name)
		t.counts = newTaskCounts(t.registry)
		t.out = outputs{
			open:    func(sys string) (system.Outbox, error) { return c.outbox(t, name, sys) },
			resolve: c.resolved.output,
			flows:   &c.flows,
			arena:   arena{limit: c.settings.arenaChunk},
		}
		t.changelogs = outputs{
			open: func(sys string) (system.Outbox, error) { return c.outbox(t, name+" (changelogs)", sys) },
		}
		c.tasks = append(c.tasks, t)
	}
	return nil
}
