package container

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"heddle/container/events"
	"heddle/task"
)

// The task.Context of an instance. Everything here runs on the task's
// goroutine.

var _ task.Context = (*instance)(nil)

func (t *instance) Context() context.Context { return t.hard }
func (t *instance) TaskName() string         { return t.name }
func (t *instance) ContainerID() string      { return t.settings.containerID }
func (t *instance) JobName() string          { return t.settings.jobName }
func (t *instance) JobID() string            { return t.settings.jobID }

func (t *instance) Inputs() []task.Source {
	out := make([]task.Source, len(t.lanes))
	for i, l := range t.lanes {
		out[i] = *l.source
	}
	return out
}

func (t *instance) Setting(key string) (string, bool) { return t.settings.config.Get(key) }
func (t *instance) Metrics() task.Metrics             { return t.registry }
func (t *instance) Logger() *slog.Logger              { return t.log }
func (t *instance) Now() time.Time                    { return t.now() }

// Send is on the hot path: nothing in it allocates but what the serde and the
// outbox do.
func (t *instance) Send(o task.Output) error {
	t.worked = true
	s, err := t.out.stream(o.Stream)
	if err != nil {
		return err
	}
	key, value, err := t.out.send(s, &o)
	if err != nil {
		return t.sendFailed(s, err)
	}
	if t.samples > 0 {
		t.samples--
		t.events.Event(events.Sent{Task: t.name, Stream: o.Stream, Key: events.Preview(key, o.Key), Value: events.Preview(value, o.Value), HasKey: key != nil})
	}
	return nil
}

// sendFailed decides what a message that cannot be sent means.
func (t *instance) sendFailed(s *outStream, err error) error {
	if errors.Is(err, errEncode) && t.settings.dropSerialization {
		t.counts.serialization.Add(1)
		t.dropped("serialization", err)
		return nil
	}
	if t.settings.dropProducer && !errors.Is(err, errEncode) {
		return t.dropUnsent(s.system, err)
	}
	return err
}

// Commit marks the task, or all of the container, for a commit after the
// current call.
func (t *instance) Commit(s task.Scope) {
	t.askCommit()
	if s == task.Container {
		t.home.commitAll()
	}
}

// askCommit may be called from any goroutine.
func (t *instance) askCommit() {
	t.requested.Store(true)
	t.sig.raise(signalCommit)
}

// Shutdown: with task.ThisTask the task votes, and goes on until all tasks of
// the container have voted (Samza: shutdown by consensus); with task.Container
// the container ends at once, in order.
func (t *instance) Shutdown(s task.Scope) {
	if s == task.Container {
		t.home.stop("task " + t.name + " asked for it")
		return
	}
	if !t.voted {
		t.voted = true
		t.home.vote()
	}
}

func (t *instance) Store(name string) (task.Store, error) { return t.stores.Store(name) }
