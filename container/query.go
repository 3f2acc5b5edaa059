package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"heddle/coordinator"
	"heddle/storage"
	"heddle/storage/engine"
	"heddle/task"
)

// Questions about a task's state (coordinator.Question) come in on the link.
// The task's own goroutine does as little as can be: it gives a view of its
// store between two messages. Reading a range, encoding it and waiting for
// whoever reads it happen elsewhere, so a slow reader holds up nobody.

// ask is one thing that a task's goroutine is to do for somebody else.
type ask struct {
	do func(t *instance)
	// state says who has it.
	state atomic.Int32
	done  chan struct{}
}

// States of an ask.
const (
	askWaits int32 = iota
	askTaken
	askDropped
)

// asks is the list of what a task is asked. Any goroutine adds.
type asks struct {
	mu   sync.Mutex
	list []*ask
}

// Limits of questions.
const (
	// maxAsks wait for one task at most.
	maxAsks = 64
	// maxScans are open in a container at most; the one that was used least
	// recently goes for another one.
	maxScans = 16
	// scanIdle is how long a scan waits for its next page.
	scanIdle = time.Minute
	// maxValue bounds a value that is shown: what JSON makes of it has to fit
	// into coordinator.MaxAnswer.
	maxValue = 10 << 20
)

var (
	errStopping = errors.New("it is stopping")
	errTooMany  = errors.New("too many questions wait for it")
	errBusy     = errors.New("it has not come to the question")
)

// perform has the task's goroutine call f and waits for that.
func (t *instance) perform(ctx context.Context, ending <-chan struct{}, f func(*instance)) error {
	a := &ask{do: f, done: make(chan struct{})}
	t.asks.mu.Lock()
	if len(t.asks.list) >= maxAsks {
		t.asks.mu.Unlock()
		return errTooMany
	}
	t.asks.list = append(t.asks.list, a)
	t.asks.mu.Unlock()
	t.sig.raise(signalQuery)
	limit := time.NewTimer(coordinator.AnswerWithin)
	defer limit.Stop()
	var err error
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-ending:
		err = errStopping
	case <-limit.C:
		err = fmt.Errorf("%w for %v", errBusy, coordinator.AnswerWithin)
	}
	if a.state.CompareAndSwap(askWaits, askDropped) {
		return err
	}
	<-a.done // it is being done
	return nil
}

// answerAsks does what others asked of the task.
func (t *instance) answerAsks() {
	t.sig.clear(signalQuery)
	t.asks.mu.Lock()
	list := t.asks.list
	t.asks.list = nil
	t.asks.mu.Unlock()
	for _, a := range list {
		if a.state.CompareAndSwap(askWaits, askTaken) {
			a.do(t)
			close(a.done)
		}
	}
}

// scan is a range that is read page by page.
type scan struct {
	mu           sync.Mutex
	it           engine.Iterator // nil: closed
	keys, values task.Serde
	committedAt  int64
	// page is the number of the next one; ready: the iterator stands on an entry
	// that was not given out.
	page  int
	begun bool
	ready bool

	used time.Time // queries.mu
	idle *time.Timer
}

// queries holds the open scans of a container.
type queries struct {
	mu     sync.Mutex
	scans  map[string]*scan
	closed atomic.Bool
}

// add takes a scan in; false if the container ends.
func (q *queries) add(name string, s *scan, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed.Load() {
		return false
	}
	if q.scans == nil {
		q.scans = map[string]*scan{}
	}
	s.used = now
	s.idle = time.AfterFunc(scanIdle, func() { q.remove(name, s) })
	old := q.scans[name]
	q.scans[name] = s
	if old == nil && len(q.scans) > maxScans {
		var least string
		for n, other := range q.scans {
			if n != name && (least == "" || other.used.Before(q.scans[least].used)) {
				least = n
			}
		}
		old = q.scans[least]
		delete(q.scans, least)
	}
	if old != nil {
		go old.close() // it may be in the middle of a page
	}
	return true
}

func (q *queries) find(name string, now time.Time) *scan {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.scans[name]
	if s != nil {
		s.used = now
		s.idle.Reset(scanIdle)
	}
	return s
}

func (q *queries) remove(name string, s *scan) {
	q.mu.Lock()
	if q.scans[name] == s {
		delete(q.scans, name)
	}
	q.mu.Unlock()
	s.close()
}

// close ends all scans and lets no other begin; a store may be closed after
// that.
func (q *queries) close() {
	q.mu.Lock()
	q.closed.Store(true)
	all := q.scans
	q.scans = nil
	q.mu.Unlock()
	for _, s := range all {
		s.close()
	}
}

func (s *scan) close() {
	s.idle.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.it != nil {
		_ = s.it.Close() // what was read is whole
		s.it = nil
	}
}

// Ask answers a question about the state of one of the container's tasks. It may
// be called from any goroutine, at any time.
func (c *Container) Ask(ctx context.Context, q coordinator.Question) coordinator.Answer {
	t, no := c.asked(q.Task)
	if t == nil {
		return no
	}
	if q.Op == coordinator.OpGet {
		return c.get(ctx, t, q)
	}
	if q.Op != coordinator.OpRange && q.Op != coordinator.OpCount {
		return failed(coordinator.FailUnknown, "the container knows no question %q; it may be of an older version", q.Op)
	}
	if q.Page == 0 {
		if a := c.openScan(ctx, t, q); a.Failure != "" {
			return a
		}
	}
	s := c.queries.find(q.Scan, c.now())
	if s == nil {
		return gone(q)
	}
	a := c.page(ctx, s, q)
	if !a.More {
		c.queries.remove(q.Scan, s)
	}
	return a
}

func failed(kind, format string, args ...any) coordinator.Answer {
	return coordinator.Answer{Failure: kind, Error: fmt.Sprintf(format, args...)}
}

func gone(q coordinator.Question) coordinator.Answer {
	return failed(coordinator.FailGone, "the place of this range in store %q of task %q is not held any more (after %v without a question, or because others came); ask for the range again from its beginning", q.Store, q.Task, scanIdle)
}

// asked finds the task of a question, if its goroutine can be asked.
func (c *Container) asked(name string) (*instance, coordinator.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state()
	switch state {
	case coordinator.ContainerRunning, coordinator.ContainerPaused:
	default:
		return nil, failed(coordinator.FailNotRunning, "container %s, which runs task %q, is %s", c.opts.Model.ID, name, state)
	}
	for _, t := range c.published {
		if t.name == name {
			return t, coordinator.Answer{}
		}
	}
	return nil, failed(coordinator.FailUnknown, "container %s has no task %q; it has %s", c.opts.Model.ID, name, strings.Join(c.opts.Model.TaskNames(), ", "))
}

// notDone says why a task's goroutine did not do what it was asked.
func (c *Container) notDone(t *instance, err error) coordinator.Answer {
	kind := coordinator.FailBusy
	if errors.Is(err, errStopping) {
		kind = coordinator.FailNotRunning
	}
	return failed(kind, "task %q in container %s: %v", t.name, c.opts.Model.ID, err)
}

// notRead says why a store could not be looked at.
func notRead(err error) coordinator.Answer {
	switch {
	case errors.Is(err, storage.ErrNoStore):
		return failed(coordinator.FailUnknown, "%v", err)
	case errors.Is(err, storage.ErrUncommitted):
		return failed(coordinator.FailBusy, "%v", err)
	}
	return failed(coordinator.FailRead, "%v", err)
}

func (c *Container) get(ctx context.Context, t *instance, q coordinator.Question) coordinator.Answer {
	var (
		view  storage.View
		value []byte
		found bool
		err   error
		at    int64
	)
	if no := t.perform(ctx, c.begun.Done(), func(t *instance) {
		at = t.committedAt.Load()
		if view, err = t.stores.View(q.Store, q.Mode == coordinator.ModeLive); err == nil {
			value, found, err = view.Get(string(q.From))
		}
	}); no != nil {
		return c.notDone(t, no)
	}
	if err != nil {
		return notRead(err)
	}
	a := coordinator.Answer{CommittedAt: at}
	if found {
		if len(value) > maxValue {
			return tooLarge(view.Keys, string(q.From), len(value))
		}
		a.Entries = []coordinator.StateEntry{{Key: storage.AppendShown(nil, view.Keys, q.From), Value: storage.AppendShown(nil, view.Values, value)}}
	}
	return a
}

func tooLarge(keys task.Serde, key string, size int) coordinator.Answer {
	return failed(coordinator.FailRead, "the value of key %.200s has %d bytes, more than is shown (%d); run-job state restore makes a copy that can be read without the job", storage.AppendShown(nil, keys, []byte(key)), size, maxValue)
}

// openScan has the task's goroutine open an iterator. That is all that it does.
func (c *Container) openScan(ctx context.Context, t *instance, q coordinator.Question) coordinator.Answer {
	var err error
	if no := t.perform(ctx, c.begun.Done(), func(t *instance) {
		var view storage.View
		if view, err = t.stores.View(q.Store, q.Mode == coordinator.ModeLive); err != nil {
			return
		}
		s := &scan{it: view.Range(string(q.From), string(q.To)), keys: view.Keys, values: view.Values, committedAt: t.committedAt.Load()}
		if !c.queries.add(q.Scan, s, c.now()) {
			err = errors.Join(errStopping, s.it.Close())
		}
	}); no != nil {
		return c.notDone(t, no)
	}
	if errors.Is(err, errStopping) {
		return c.notDone(t, err)
	}
	if err != nil {
		return notRead(err)
	}
	return coordinator.Answer{}
}

// page reads the next page of a scan.
func (c *Container) page(ctx context.Context, s *scan, q coordinator.Question) coordinator.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.it == nil || s.page != q.Page {
		return gone(q)
	}
	s.page++
	if !s.begun {
		s.begun, s.ready = true, s.it.Next()
	}
	a := coordinator.Answer{CommittedAt: s.committedAt}
	until := c.now().Add(time.Duration(q.Within) * time.Millisecond)
	count := q.Op == coordinator.OpCount
	var buf []byte
	size := 0
	for n := 1; s.ready; n++ {
		if !count && (len(a.Entries) >= q.Limit || size >= q.Bytes && size > 0) || n%scanCheck == 0 && c.now().After(until) {
			a.More = true
			return a
		}
		if n%scanCheck == 0 && (c.queries.closed.Load() || ctx.Err() != nil) {
			return c.stopped(q)
		}
		if count {
			a.Count++
		} else {
			key, value := s.it.Key(), s.it.Value()
			if len(value) > maxValue {
				return tooLarge(s.keys, key, len(value))
			}
			from := len(buf)
			buf = storage.AppendShown(buf, s.keys, []byte(key))
			mid := len(buf)
			buf = storage.AppendShown(buf, s.values, value)
			a.Entries = append(a.Entries, coordinator.StateEntry{Key: slices.Clip(buf[from:mid]), Value: slices.Clip(buf[mid:])})
			size += len(buf) - from
		}
		s.ready = s.it.Next()
	}
	if err := s.it.Err(); err != nil {
		return notRead(fmt.Errorf("store %q of task %q: %w", q.Store, q.Task, err))
	}
	return a
}

// scanCheck is how many entries are read between two looks at the clock.
const scanCheck = 64

func (c *Container) stopped(q coordinator.Question) coordinator.Answer {
	return failed(coordinator.FailNotRunning, "task %q in container %s: %v", q.Task, c.opts.Model.ID, errStopping)
}

// measureStores notes the sizes of the task's stores for others, not more often
// than anybody looks. The task's goroutine calls it.
func (t *instance) measureStores() {
	now := t.now()
	if t.stores == nil || now.Sub(t.measured) < measureEvery {
		return
	}
	t.measured = now
	var sizes []coordinator.StoreReport
	for _, s := range t.stores.Sizes() {
		r := coordinator.StoreReport{Store: s.Store, Entries: s.Entries, Bytes: s.Bytes, Source: string(t.restores.of(s.Store).Source)}
		if !s.Snapshot.IsZero() {
			r.SnapshotAt = s.Snapshot.UnixMilli()
		}
		sizes = append(sizes, r)
	}
	t.sizes.Store(&sizes)
}

const measureEvery = 5 * time.Second
