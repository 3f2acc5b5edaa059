package table

import "sync/atomic"

type counters struct {
	hits, misses, shared, calls, keys, retries, failures atomic.Int64
}

func (c *counters) read() Counts {
	return Counts{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Shared: c.shared.Load(),
		Calls: c.calls.Load(), Keys: c.keys.Load(), Retries: c.retries.Load(), Failures: c.failures.Load(),
	}
}
