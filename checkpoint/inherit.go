package checkpoint

import (
	"context"
	"fmt"
	"sync"
	"time"

	"heddle/system"
)

// Inherit takes over the transactional ids of the tasks, as a start that is
// exactly-once does, and gives them up at once. Kafka answers only when the
// transaction before has ended, committed if that was decided and aborted
// otherwise, and refuses its writer from then on: so what Refresh reads is final.
//
// A job that was never exactly-once has none of the signs, and is asked for no
// right to use transactions. Where they cannot be taken over, what is open is
// waited for: Kafka aborts it in the end.
func (k *Kafka) Inherit(ctx context.Context, taskNames []string, open bool) (took bool, err error) {
	sys, ok := k.o.System.(system.Transactional)
	if !ok {
		return false, nil
	}
	ends, err := k.ends(ctx)
	if err != nil {
		return false, k.failed("read", err)
	}
	names := taskNames
	if !open && ends.Stable >= ends.Next {
		names = k.exactlyOnce(taskNames)
	}
	if len(names) == 0 {
		return false, nil
	}
	began := time.Now()
	if err := k.takeOver(ctx, sys, names); err != nil {
		if ctx.Err() != nil {
			return false, k.failed("read", err)
		}
		k.o.Logger.Warn("what an exactly-once run of the job may have left open cannot be ended; if there is something, it is waited for", "topic", k.o.Topic, "error", err)
		if err := k.readSettled(ctx); err != nil {
			return false, k.failed("read", err)
		}
		return false, nil
	}
	k.o.Logger.Info("what an exactly-once run of the job may have left open is ended; it can commit nothing any more",
		"tasks", len(names), "took", time.Since(began).Round(time.Millisecond))
	return true, k.Refresh(ctx, taskNames)
}

// exactlyOnce are those of the tasks whose newest checkpoint was written so.
func (k *Kafka) exactlyOnce(taskNames []string) (names []string) {
	k.reading.Lock()
	defer k.reading.Unlock()
	for _, name := range taskNames {
		if k.found[name].exactly {
			names = append(names, name)
		}
	}
	return names
}

// Each waits for the coordinator's log, so that many are taken over at a time.
// Nothing is written, so that the time-out, Kafka's default, is of no account.
const (
	inheritParallel = 32
	inheritTimeout  = time.Minute
)

func (k *Kafka) takeOver(ctx context.Context, sys system.Transactional, names []string) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		slot = make(chan struct{}, inheritParallel)
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, name := range names {
		slot <- struct{}{}
		wg.Go(func() {
			defer func() { <-slot }()
			id := name
			if k.o.TransactionalID != nil {
				id = k.o.TransactionalID(name)
			}
			box, err := sys.TakeOver(ctx, system.TransactionOptions{ID: id, Name: fmt.Sprintf("task %q", name), Timeout: inheritTimeout})
			if err == nil {
				err = box.Close()
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
				cancel()
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return errs[0] // what followed it may be that all was given up
	}
	return nil
}
