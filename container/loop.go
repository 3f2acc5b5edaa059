package container

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"heddle/container/events"
	"heddle/task"
)

// quantum is how many messages of one partition a task processes before the
// next of its partitions has its turn.
const quantum = 256

// loop runs the task from its first message to its end. It returns nil after a
// graceful end and errAborted when it was told to end at once; other errors
// are the task's, a commit's, or a panic's.
func (t *instance) loop() error {
	for {
		sig := t.sig.get()
		switch next(condition{
			aborting:  sig&signalAbort != 0,
			stopping:  sig&signalStop != 0,
			commitDue: sig&signalCommit != 0,
			asked:     sig&signalQuery != 0,
			windowDue: sig&signalWindow != 0,
			paused:    sig&signalPause != 0,
			ready:     sig&signalMail != 0 || t.chosen() >= 0,
		}) {
		case opWait:
			<-t.sig.wake
		case opProcess:
			if err := t.process(); err != nil {
				return err
			}
		case opAnswer:
			t.answerAsks()
		case opWindow:
			t.sig.clear(signalWindow)
			if err := t.window(); err != nil {
				return err
			}
		case opCommit:
			// Before the commit: what is asked for while it runs is another one.
			t.sig.clear(signalCommit)
			if !t.requested.Swap(false) && idleCommit(t.worked, t.now().Sub(t.lastCommit)) {
				continue
			}
			if err := t.commit(); err != nil {
				return err
			}
		case opStop:
			return t.finish()
		case opAbort:
			return errAborted
		}
	}
}

// errAborted says that a task ended because the container was told to end at
// once.
var errAborted = errors.New("ended without a commit")

// process hands up to a quantum of messages of the next partition to the task.
func (t *instance) process() error {
	if t.sig.get()&signalMail != 0 {
		t.sig.clear(signalMail)
		t.ring = t.inbox.collect(t.ring)
		if len(t.ring) == 0 {
			return nil
		}
	}
	i := t.chosen()
	if i < 0 {
		return nil
	}
	l := t.ring[i]
	if len(l.messages) == 0 {
		l.messages = l.parcels[0].messages
	}
	var err error
	if ms := l.messages[:min(len(l.messages), quantum)]; len(ms) > 0 {
		err = t.chunk(l, ms)
	}
	if len(l.messages) == 0 {
		t.doneWith(l)
	}
	t.turn(i)
	return err
}

// chosen is the place in the ring of the lane whose turn it is; -1 if there is
// none.
func (t *instance) chosen() int {
	if t.order == inTurns {
		return min(len(t.ring), 1) - 1
	}
	return choose(t.ring, t.lagging > 0)
}

// chunk processes messages of one partition until one fails or a signal
// comes, and keeps the books.
func (t *instance) chunk(l *lane, ms []task.Message) error {
	if t.sig.get()&signalSample != 0 {
		t.sample(l, ms)
	}
	// The clock is asked for one chunk in 16 only.
	t.chunks++
	timed := t.chunks%16 == 1
	var began time.Time
	if timed {
		began = t.now()
	}
	n, err := t.run(ms)
	if n > 0 {
		t.worked = true
		l.last, l.known = ms[n-1].Offset, true
		l.position.Store(l.last + 1)
		l.messages = l.messages[n:]
		t.counts.processed.Add(int64(n))
		t.container.processed.Add(int64(n))
		l.flow.messages.Add(int64(n))
		t.publish()
		t.sinceMessages += int64(n)
		if timed {
			t.counts.processTime.Observe(t.now().Sub(began) / time.Duration(n))
		}
	}
	return err
}

// run is the hot path: nothing in its loop locks, allocates or asks for the
// time. It returns how many messages count as processed.
func (t *instance) run(ms []task.Message) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.panicked(r, "processing "+where(&ms[n]))
		}
	}()
	interrupts := t.interrupts
	for n < len(ms) {
		if err := t.task.Process(t, &ms[n]); err != nil {
			if err = t.tolerate(err, &ms[n]); err != nil {
				return n, err
			}
		}
		n++
		if t.sig.get()&interrupts != 0 {
			break
		}
	}
	return n, nil
}

// tolerate decides what an error of Process means: nil if the message counts
// as processed all the same.
func (t *instance) tolerate(err error, m *task.Message) error {
	var decode *task.DecodeError
	switch {
	case t.settings.dropDeserialization && errors.As(err, &decode):
		t.counts.deserialization.Add(1)
		t.dropped("deserialization", err)
		return nil
	case t.settings.ignored.match(err):
		t.counts.ignored.Add(1)
		t.dropped("ignored error", fmt.Errorf("%s: %w", where(m), err))
		return nil
	case errors.As(err, &decode):
		return fmt.Errorf("task %q: %w%s; task.drop.deserialization.errors=true passes over such messages", t.name, err, t.settings.chosen(decode))
	}
	return fmt.Errorf("task %q at %s: %w", t.name, where(m), err)
}

// doneWith passes the first parcel of a lane, whose messages are all processed.
func (t *instance) doneWith(l *lane) {
	p := l.parcels[0]
	l.parcels[0] = parcel{}
	if l.parcels = l.parcels[1:]; len(l.parcels) == 0 {
		l.parcels = nil
	}
	l.messages = nil
	l.flow.bytes.Add(int64(p.bytes))
	l.position.Store(min(p.next, l.until))
	l.end.Store(max(p.end, p.next))
	t.fetchers[l].consumed(l.feed, p.count, p.bytes)
	if !l.ended && p.next >= l.until {
		t.ended(l)
	}
	if l.lagging && p.next >= l.head {
		t.bootstrapped(l)
	}
}

// ended counts a lane that has reached its end; with the last the task has
// caught up.
func (t *instance) ended(l *lane) {
	l.ended = true
	if t.waiting--; t.waiting == 0 {
		t.home.caughtUp()
	}
}

// turn takes the lane at a place out of the ring; with more to do it goes to
// the ring's end.
func (t *instance) turn(i int) {
	l := t.ring[i]
	copy(t.ring[i:], t.ring[i+1:])
	if len(l.parcels) > 0 {
		t.ring[len(t.ring)-1] = l
		return
	}
	l.active = false
	t.ring[len(t.ring)-1] = nil
	t.ring = t.ring[:len(t.ring)-1]
}

func (t *instance) window() error {
	w, ok := t.task.(task.Windower)
	if !ok {
		return nil
	}
	t.allowSamples()
	before, began := t.sent(), t.now()
	t.worked = true
	if err := t.guard("window", func() error { return w.Window(t) }); err != nil {
		if !t.settings.ignored.match(err) {
			return err
		}
		t.counts.ignored.Add(1)
		t.dropped("ignored error", err)
	}
	took := t.now().Sub(began)
	t.counts.windows.Add(1)
	t.container.windows.Add(1)
	t.publish()
	t.counts.windowTime.Observe(took)
	t.events.Event(events.Windowed{Task: t.name, Sent: t.sent() - before, Took: took})
	return t.step(StepWindowed)
}

// initialize calls the task's Init, once its stores are restored.
func (t *instance) initialize() error {
	i, ok := t.task.(task.Initializer)
	if !ok {
		return nil
	}
	return t.guard("init", func() error { return i.Init(t) })
}

// finish is the graceful end of the task: Stop, a last commit. Close follows
// in any case (shut).
func (t *instance) finish() error {
	if s, ok := t.task.(task.Stopper); ok {
		t.allowSamples()
		if err := t.guard("stop", func() error { return s.Stop(t) }); err != nil {
			return err
		}
	}
	t.publish()
	return t.commit()
}

// shut calls the task's Close, the last call it gets.
func (t *instance) shut() error {
	c, ok := t.task.(task.Closer)
	if !ok {
		return nil
	}
	return t.guard("close", c.Close)
}

// guard calls the task's code and turns its panics and errors into ours.
func (t *instance) guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.panicked(r, what)
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("task %q: %s: %w", t.name, what, err)
	}
	return nil
}

// panicError is a panic in a task's code. The container fails with it; the
// stack is in the log.
type panicError struct {
	task, doing string
	value       any
}

func (e *panicError) Error() string {
	return fmt.Sprintf("task %q: panic while %s: %v (the stack is in the log)", e.task, e.doing, e.value)
}

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// panicked is called while the panic's stack is still there.
func (t *instance) panicked(r any, doing string) error {
	t.log.Error("panic in the task", "while", doing, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return &panicError{t.name, doing, r}
}

// Samples shown per second, window or stop, and task.
const samplesAtOnce = 2

func (t *instance) allowSamples() {
	if t.settings.showSamples {
		t.samples = samplesAtOnce
	}
}

// sample shows one message in and lets some messages out be shown.
func (t *instance) sample(l *lane, ms []task.Message) {
	t.sig.clear(signalSample)
	t.allowSamples()
	m := &ms[0]
	t.events.Event(events.Received{
		Task: t.name, Stream: l.source.System + "." + l.source.Stream,
		Key: events.Preview(m.KeyBytes, nil), Value: events.Preview(m.ValueBytes, nil), HasKey: m.KeyBytes != nil,
	})
}
