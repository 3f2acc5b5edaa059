package metrics

import (
	"sync"
	"time"
)

const (
	window = 300 * time.Second
	slots  = 30
	slot   = window / slots
)

// timer averages over a sliding window, in steps of a slot (Samza:
// SlidingTimeWindowReservoir).
type timer struct {
	now func() time.Time
	off bool

	mu    sync.Mutex
	slots [slots]struct {
		number int64 // of the slot since the epoch
		count  int64
		sum    time.Duration
	}
	count int64
	sum   time.Duration
}

func (t *timer) Observe(d time.Duration) {
	if t.off {
		return
	}
	n := t.number()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.slots[n%slots]
	if s.number != n {
		s.number, s.count, s.sum = n, 0, 0
	}
	s.count++
	s.sum += d
	t.count++
	t.sum += d
}

func (t *timer) Average() time.Duration { return t.timing().Average }

func (t *timer) timing() Timing {
	n := t.number()
	t.mu.Lock()
	defer t.mu.Unlock()
	timing := Timing{Count: t.count, Sum: t.sum}
	var count int64
	var sum time.Duration
	for i := range t.slots {
		if s := &t.slots[i]; s.number > n-slots {
			count += s.count
			sum += s.sum
		}
	}
	if count > 0 {
		timing.Average = sum / time.Duration(count)
	}
	return timing
}

func (t *timer) number() int64 { return max(0, t.now().UnixNano()) / int64(slot) }
