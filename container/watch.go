package container

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errSecondSignal ends everything at once.
var errSecondSignal = errors.New("told so by a second signal")

// sameSignal is how close two signals are that count as one: a terminal sends
// Ctrl-C to the whole process group, and a parent may pass it on.
const sameSignal = 100 * time.Millisecond

// orphanGrace is what a process whose run-job is gone may take to end in order:
// the default of task.shutdown.ms.
const orphanGrace = 30 * time.Second

// secondGrace is what a second signal leaves for closing connections and for
// the last words.
const secondGrace = time.Second

// watch calls stop at the first signal, and ends the context that it gives at
// the second.
func (p *program) watch(ctx context.Context, stop func(why string)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		var first time.Time
		orphaned, unread := p.orphaned, p.unread
		for {
			select {
			case <-ctx.Done():
				return
			case <-orphaned:
				orphaned = nil
				stop("run-job is gone")
				if p.exit != nil {
					time.AfterFunc(orphanGrace, func() { p.exit(exitFailed) })
				}
			case <-unread:
				unread = nil
				stop("nobody reads what it prints")
			case s := <-p.signals:
				switch now := p.now(); {
				case first.IsZero():
					first = now
					stop(fmt.Sprintf("signal: %v", s))
				case now.Sub(first) >= sameSignal:
					cancel(errSecondSignal)
					if p.exit != nil {
						// What does not end by then is not waited for.
						time.AfterFunc(secondGrace, func() { p.exit(exitFailed) })
					}
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
