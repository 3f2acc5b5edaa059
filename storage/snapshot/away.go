package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"heddle/system/files"
)

// fileSystem opens the file system, or gives the one that is open. It fails at
// once while the file system is given time: each task of a container would wait
// for it.
func (k *Keeper) fileSystem(ctx context.Context) (files.FileSystem, error) {
	k.opening.Lock()
	defer k.opening.Unlock()
	if err := cmp.Or(k.life.Err(), k.away()); err != nil {
		return nil, err
	}
	if k.fs != nil {
		return k.fs, nil
	}
	fs, err := k.o.Open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		k.failed(err)
		return nil, err
	}
	k.fs = fs
	return fs, nil
}

// away is why nothing is asked of the file system now; nil: nothing.
func (k *Keeper) away() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if left := k.again.Sub(k.o.Now()); k.failures > 0 && left > 0 {
		return &awayError{left, k.failure}
	}
	return nil
}

// awayError: the file system failed just now, and is not asked.
type awayError struct {
	left time.Duration
	last error
}

// Error is error's.
func (a *awayError) Error() string {
	return fmt.Sprintf("the file system is tried again in %s; it failed: %v", a.left.Round(time.Second), a.last)
}

// Unwrap is errors'.
func (a *awayError) Unwrap() error { return a.last }

// failed notes a failure of the file system.
func (k *Keeper) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Now()
	if now.Before(k.again) {
		return // of the same time
	}
	k.failures++
	k.failure = err
	k.again = now.Add(backoff(k.failures))
}

// answered notes that the file system works; it tells if it did not before.
func (k *Keeper) answered() (again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	again = k.failures > 0
	k.failures, k.failure, k.again = 0, nil, time.Time{}
	return again
}
