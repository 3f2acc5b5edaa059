package table

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Retry says what is tried again, and when (Samza: TableRetryPolicy).
type Retry struct {
	// Attempts is how often a call is tried in all; 0 and 1: once.
	Attempts int
	// First is the pause before the second attempt, which doubles with each
	// further one up to Most; 0: 100 ms and 10 s. Of each pause a random half is
	// left out, so that many containers do not come back at one moment.
	First, Most time.Duration
	// If says which errors are worth another attempt; nil: all of them. The end
	// of the call's context never is.
	If func(error) bool
}

func (r Retry) withDefaults() Retry {
	r.Attempts = max(r.Attempts, 1)
	if r.First == 0 {
		r.First = 100 * time.Millisecond
	}
	if r.Most == 0 {
		r.Most = max(10*time.Second, r.First)
	}
	return r
}

func (r Retry) check() error {
	switch {
	case r.Attempts < 0 || r.First < 0 || r.Most < 0:
		return errors.New("the numbers of Retry must not be negative")
	case r.Most != 0 && r.Most < r.First:
		return fmt.Errorf("Retry.Most, %v, is less than Retry.First, %v", r.Most, r.First)
	}
	return nil
}

// pause is how long to wait after a failed attempt (the first is 1); again is
// false if there shall be no other. random lies in [0, 1).
func (r Retry) pause(attempt int, err error, random float64) (d time.Duration, again bool) {
	if attempt >= r.Attempts || errors.Is(err, context.Canceled) || r.If != nil && !r.If(err) {
		return 0, false
	}
	d = r.First
	for range attempt - 1 {
		if d >= r.Most/2 {
			d = r.Most
			break
		}
		d *= 2
	}
	d = min(d, r.Most)
	return d - time.Duration(random*float64(d)/2), true
}

// try makes a call for n keys, as fast and as often as the options allow.
func (t *Table[K, V]) try(ctx context.Context, n int, call func() error) error {
	for attempt := 1; ; attempt++ {
		if err := t.admit(ctx, n); err != nil {
			t.counts.failures.Add(1)
			return err
		}
		err := t.once(ctx, n, call)
		if err == nil {
			return nil
		}
		d, again := t.o.Retry.pause(attempt, err, rand.Float64()) //nolint:gosec // it only spreads retries
		if !again || ctx.Err() != nil {
			t.counts.failures.Add(1)
			if attempt > 1 {
				return fmt.Errorf("%d attempts: %w", attempt, err)
			}
			return err
		}
		t.counts.retries.Add(1)
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			t.counts.failures.Add(1)
			return fmt.Errorf("%w, while waiting after: %w", ctx.Err(), err)
		}
	}
}

// once makes a call, when it is its turn and if anybody still waits for it.
func (t *Table[K, V]) once(ctx context.Context, n int, call func() error) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.counts.calls.Add(1)
	t.counts.keys.Add(int64(n))
	return call()
}

// admit waits until n keys may go, a burst of them at a time.
func (t *Table[K, V]) admit(ctx context.Context, n int) error {
	if t.limiter == nil {
		return nil
	}
	for n > 0 {
		part := min(n, t.limiter.Burst())
		if err := t.limiter.WaitN(ctx, part); err != nil {
			return fmt.Errorf("the rate of %g keys/s left no time for it: %w", t.o.KeysPerSecond, err)
		}
		n -= part
	}
	return nil
}
