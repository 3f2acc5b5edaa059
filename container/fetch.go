package container

import (
	"context"
	"fmt"
	"sync"
	"time"

	"heddle/system"
	"heddle/task"
)

// feed is one input partition of the container: its buffer's load, and the
// lanes (one per task that reads it, mostly one) that its batches go to.
type feed struct {
	source *task.Source
	lanes  []*lane
	bounds bounds

	// Guarded by fetcher.mu.
	load   load
	level  level
	paused bool
	// held counts the lanes whose tasks bootstrap from other streams first. A
	// held feed is paused, and out of the census: nothing may wait for a buffer
	// that nobody empties.
	held int
	// over: every lane has all it wants; the feed is out of the census.
	over bool
}

// fetcher polls one system's consumer for the tasks of the container.
type fetcher struct {
	consumer system.Consumer
	feeds    map[*task.Source]*feed
	// interval is the time after which idle partitions are looked at while
	// others are full (pollLater).
	interval time.Duration
	// limit bounds bytes; 0 is no bound.
	limit int

	mu     sync.Mutex // held once per poll and once per consumed batch
	census census
	bytes  int           // what all buffers hold
	wake   chan struct{} // a buffer ran low
}

func newFetcher(c system.Consumer, interval time.Duration) *fetcher {
	return &fetcher{consumer: c, feeds: map[*task.Source]*feed{}, interval: interval, wake: make(chan struct{}, 1)}
}

// add makes the feed of a partition, before run.
func (f *fetcher) add(src *task.Source, b bounds, lanes ...*lane) *feed {
	fd := &feed{source: src, lanes: lanes, bounds: b}
	for _, l := range lanes {
		l.feed = fd
	}
	f.feeds[src] = fd
	f.census[fd.level]++
	return fd
}

// run fetches until ctx ends, which is no error.
func (f *fetcher) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !f.await(ctx, timer) {
			return nil
		}
		batches, err := f.consumer.Poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if err := f.deliver(batches); err != nil {
			return err
		}
	}
}

// await returns true when the consumer is to be polled, false when ctx ended.
func (f *fetcher) await(ctx context.Context, timer *time.Timer) bool {
	waited := false
	for {
		f.mu.Lock()
		plan := f.census.plan(f.limit > 0 && f.bytes >= f.limit)
		f.mu.Unlock()
		var after <-chan time.Time
		switch plan {
		case pollNow:
			return true
		case pollLater:
			if !waited {
				waited = true
				timer.Reset(f.interval)
			}
			after = timer.C
		case pollHold:
		}
		select {
		case <-ctx.Done():
			return false
		case <-after:
			return true
		case <-f.wake:
		}
	}
}

// deliver hands batches to the tasks, and pauses what is too far ahead.
func (f *fetcher) deliver(batches []system.Batch) error {
	var pause []*task.Source
	f.mu.Lock()
	for i := range batches {
		b := &batches[i]
		fd := f.feeds[b.Source]
		if fd == nil {
			f.mu.Unlock()
			return fmt.Errorf("fetch: the consumer gave messages of %s, which it was not told to read", b.Source)
		}
		// Before the lanes see it, so that the load never falls below zero.
		lanes := len(fd.lanes)
		fd.load.messages += lanes * len(b.Messages)
		bytes := lanes * weight(len(b.Messages), b.Bytes)
		fd.load.bytes += bytes
		f.bytes += bytes
		fd.load.batches += lanes
		fd.load.behind = b.Next < b.HighWatermark
		f.classify(fd)
		if !fd.over && fd.wantsNothingFrom(b.Next) {
			f.leave(fd)
			fd.over = true
			pause = append(pause, fd.source)
		}
	}
	for i := range batches {
		fd := f.feeds[batches[i].Source]
		if fd.counts() && !fd.paused && f.census.pauses(fd.level) {
			fd.paused = true
			pause = append(pause, fd.source)
		}
	}
	if len(pause) > 0 {
		f.consumer.Pause(pause...)
	}
	f.mu.Unlock()
	for i := range batches {
		for _, l := range f.feeds[batches[i].Source].lanes {
			l.put(batches[i])
		}
	}
	return nil
}

// consumed tells that a task has worked through a batch.
func (f *fetcher) consumed(fd *feed, count, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fd.load.messages -= count
	bytes = weight(count, bytes)
	fd.load.bytes -= bytes
	f.bytes -= bytes
	fd.load.batches--
	f.classify(fd)
	if fd.paused && resumes(fd.level) && fd.counts() {
		fd.paused = false
		// Under the lock, so that a Pause of the fetcher's goroutine cannot
		// overtake it.
		f.consumer.Resume(fd.source)
	}
}

// classify needs f.mu. It brings level and census up to date and wakes the
// fetcher when a buffer ran low.
func (f *fetcher) classify(fd *feed) {
	if !fd.counts() {
		return
	}
	l := fd.bounds.times(len(fd.lanes)).levelOf(fd.load)
	if l == fd.level {
		return
	}
	f.census[fd.level]--
	f.census[l]++
	fd.level = l
	if l == levelLow || l == levelIdle {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// counts says whether the feed is in the census.
func (fd *feed) counts() bool { return !fd.over && fd.held == 0 }

// leave needs f.mu. It takes a feed out of the census, if it is in it.
func (f *fetcher) leave(fd *feed) {
	if fd.counts() {
		f.census[fd.level]--
	}
}

// hold keeps a lane's feed from being fetched until release, before run.
func (f *fetcher) hold(fd *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leave(fd)
	fd.held++
}

// release takes back one hold; with the last the feed is fetched.
func (f *fetcher) release(fd *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fd.held--; !fd.counts() {
		return
	}
	fd.level = fd.bounds.times(len(fd.lanes)).levelOf(fd.load)
	f.census[fd.level]++
	f.consumer.Resume(fd.source)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// pauseHeld tells the consumer of the held feeds, before run.
func (f *fetcher) pauseHeld() {
	for _, fd := range f.feeds {
		if fd.held > 0 {
			f.consumer.Pause(fd.source)
		}
	}
}

// wantsNothingFrom says whether no lane wants messages from that offset on.
func (fd *feed) wantsNothingFrom(offset int64) bool {
	for _, l := range fd.lanes {
		if offset < l.until {
			return false
		}
	}
	return true
}

// times are the bounds of n buffers.
func (b bounds) times(n int) bounds { return bounds{b.messages * n, b.bytes * n} }
