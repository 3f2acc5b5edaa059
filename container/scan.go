package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heddle/coordinator"
	"heddle/storage"
	"heddle/storage/engine"
	"heddle/task"
)

const (
	// maxScans are open in a container at most; the one that was used least
	// recently goes for another one.
	maxScans = 16
	// scanIdle is how long a scan waits for its next page.
	scanIdle = time.Minute
	// scanCheck is how many entries are read between two looks at the clock.
	scanCheck = 64
)

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

	used time.Time // openScans.mu
	idle *time.Timer
}

// openScans are those of a container, by the names that those who ask gave them.
type openScans struct {
	mu     sync.Mutex
	named  map[string]*scan
	closed atomic.Bool
}

// add takes a scan in; false if the container ends.
func (o *openScans) add(name string, s *scan, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed.Load() {
		return false
	}
	if o.named == nil {
		o.named = map[string]*scan{}
	}
	s.used = now
	s.idle = time.AfterFunc(scanIdle, func() { o.remove(name, s) })
	old := o.named[name]
	o.named[name] = s
	if old == nil && len(o.named) > maxScans {
		var least string
		for n, other := range o.named {
			if n != name && (least == "" || other.used.Before(o.named[least].used)) {
				least = n
			}
		}
		old = o.named[least]
		delete(o.named, least)
	}
	if old != nil {
		go old.close() // it may be in the middle of a page
	}
	return true
}

func (o *openScans) find(name string, now time.Time) *scan {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.named[name]
	if s != nil {
		s.used = now
		s.idle.Reset(scanIdle)
	}
	return s
}

func (o *openScans) remove(name string, s *scan) {
	o.mu.Lock()
	if o.named[name] == s {
		delete(o.named, name)
	}
	o.mu.Unlock()
	s.close()
}

// close ends all scans and lets no other begin; a store may be closed after
// that.
func (o *openScans) close() {
	o.mu.Lock()
	o.closed.Store(true)
	all := o.named
	o.named = nil
	o.mu.Unlock()
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

// openScan has the task's goroutine open an iterator. That is all that it does.
func (c *Container) openScan(ctx context.Context, t *instance, q coordinator.Question) coordinator.Answer {
	var err error
	if no := t.perform(ctx, c.begun.Done(), func(t *instance) {
		var view storage.View
		if view, err = t.stores.View(q.Store, q.Mode == coordinator.ModeLive); err != nil {
			return
		}
		s := &scan{it: view.Range(string(q.From), string(q.To)), keys: view.Keys, values: view.Values, committedAt: t.committedAt.Load()}
		if !c.scans.add(q.Scan, s, c.now()) {
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
		if n%scanCheck == 0 && (c.scans.closed.Load() || ctx.Err() != nil) {
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
