package container

import (
	"context"
	"sync"
)

// stopper tells the containers of a process to stop, also while they are still
// being made.
type stopper struct {
	mu         sync.Mutex
	why        string // to stop; "" if not
	begun      context.CancelFunc
	containers []*Container
	// overdue is program.overdue, for the containers' task.shutdown.ms; nil in tests.
	// inTime takes it back.
	overdue func() (over func())
	inTime  func()
}

// stop ends the containers in order; if there are none yet, their making.
func (s *stopper) stop(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
		if s.overdue != nil {
			s.inTime = s.overdue()
		}
	}
	if len(s.containers) == 0 && s.begun != nil {
		s.begun()
	}
	for _, c := range s.containers {
		c.Stop(why)
	}
}

// over tells that all has ended.
func (s *stopper) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inTime != nil {
		s.inTime()
	}
}

func (s *stopper) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why != ""
}

// starting gives a context that ends with ctx, or when stop is called before there
// are containers.
func (s *stopper) starting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = cancel
	if s.why != "" {
		cancel()
	}
	return ctx, cancel
}

// made takes the containers over; they stop at once if that was said before.
func (s *stopper) made(containers ...*Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers = containers
	for _, c := range containers {
		if s.why != "" {
			c.Stop(s.why)
		}
	}
}
