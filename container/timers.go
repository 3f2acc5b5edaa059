package container

import (
	"sync"
	"time"
)

// every calls f at first from now and then at a fixed rate: at first+n*period,
// whatever f and the scheduler take. Calls that would come late are left out
// rather than made up for. stop ends it and does not wait for a call that
// runs.
func every(first, period time.Duration, f func()) (stop func()) {
	var (
		mu      sync.Mutex
		stopped bool
		timer   *time.Timer
		due     = time.Now().Add(first)
	)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(first, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		due = nextDue(due, time.Now(), period)
		timer.Reset(time.Until(due))
		f()
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// nextDue is the first instant of the rate after now.
func nextDue(due, now time.Time, period time.Duration) time.Time {
	due = due.Add(period)
	if late := now.Sub(due); late >= 0 {
		due = due.Add(period * (late/period + 1))
	}
	return due
}

// commitPhases is how many moments of a period the tasks of a container share
// for their commits. With one, all wait for acknowledgements at the same time;
// with one for each of a thousand tasks, the producer is flushed a thousand
// times, each of which looks at all that it sends to.
const commitPhases = 4

// staggered is when task i of n commits first: some tasks process while others
// wait for acknowledgements.
func staggered(period time.Duration, i, n int) time.Duration {
	phases := min(n, commitPhases)
	if phases <= 1 {
		return period
	}
	return period * time.Duration(i*phases/n+1) / time.Duration(phases)
}
