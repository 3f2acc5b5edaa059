package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"heddle/coordinator"
)

// ask is one thing that a task's goroutine is to do for somebody else.
type ask struct {
	do func(t *instance)
	// state says who has it.
	state atomic.Int32
	done  chan struct{}
}

// States of an ask.
const (
	askWaits int32 = iota
	askTaken
	askDropped
)

// asks is the list of what a task is asked. Any goroutine adds.
type asks struct {
	mu   sync.Mutex
	list []*ask
}

// maxAsks wait for one task at most.
const maxAsks = 64

var (
	errStopping = errors.New("it is stopping")
	errTooMany  = errors.New("too many questions wait for it")
	errBusy     = errors.New("it has not come to the question")
)

// perform has the task's goroutine call f and waits for that.
func (t *instance) perform(ctx context.Context, ending <-chan struct{}, f func(*instance)) error {
	a := &ask{do: f, done: make(chan struct{})}
	t.asks.mu.Lock()
	if len(t.asks.list) >= maxAsks {
		t.asks.mu.Unlock()
		return errTooMany
	}
	t.asks.list = append(t.asks.list, a)
	t.asks.mu.Unlock()
	t.sig.raise(signalQuery)
	limit := time.NewTimer(coordinator.AnswerWithin)
	defer limit.Stop()
	var err error
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-ending:
		err = errStopping
	case <-limit.C:
		err = fmt.Errorf("%w for %v", errBusy, coordinator.AnswerWithin)
	}
	if a.state.CompareAndSwap(askWaits, askDropped) {
		return err
	}
	<-a.done // it is being done
	return nil
}

// answerAsks does what others asked of the task.
func (t *instance) answerAsks() {
	t.sig.clear(signalQuery)
	t.asks.mu.Lock()
	list := t.asks.list
	t.asks.list = nil
	t.asks.mu.Unlock()
	for _, a := range list {
		if a.state.CompareAndSwap(askWaits, askTaken) {
			a.do(t)
			close(a.done)
		}
	}
}
