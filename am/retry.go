package am

import "time"

// RetryPolicy is Samza's rule for restarting containers
// (cluster-manager.container.retry.*, reference: ContainerProcessManager).
type RetryPolicy struct {
	// Count is how many failures of one processor are answered by a restart; the
	// next one ends the job. 0 ends it at the first; below 0 there is no bound.
	// Default 8.
	Count int
	// Window is the time that has to pass after a failure for the next to count
	// as the first again. Default 300 s.
	Window time.Duration
	// FailJob says what the failure after the last restart ends: the job (true,
	// the default) or only the processor, without which the job goes on.
	FailJob bool
}

// failures is what the rule remembers of one processor.
type failures struct {
	count int
	last  time.Time
}

// verdict is what follows from a failure.
type verdict int

const (
	restart verdict = iota
	giveUp
)

// record counts a failure at now and says what to do.
func (p RetryPolicy) record(f failures, now time.Time) (failures, verdict) {
	if p.Count < 0 {
		return failures{count: f.count + 1, last: now}, restart
	}
	next := failures{count: f.count + 1, last: now}
	if f.last.IsZero() || now.Sub(f.last) >= p.Window {
		next.count = 1
	}
	if next.count > p.Count {
		return next, giveUp
	}
	return next, restart
}
