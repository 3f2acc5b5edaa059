package container

import "sync/atomic"

// signal is one bit of what a task is told from outside its goroutine. Bits
// coalesce: what is told twice before the task looks is told once.
type signal uint32

const (
	// signalMail: batches lie in the inbox.
	signalMail signal = 1 << iota
	// signalCommit, signalWindow: due by the clock, or asked for.
	signalCommit
	signalWindow
	// signalStop: end in order; signalAbort: end without a commit. They stay.
	signalStop
	signalAbort
	// signalPause stays until the task is told to go on.
	signalPause
	// signalSample: the next messages may be shown (Events).
	signalSample
	// signalQuery: others ask to look at the state.
	signalQuery
)

// urgent are the signals for which a run of messages is interrupted after the
// one that is being processed.
const urgent = signalCommit | signalWindow | signalStop | signalAbort | signalPause | signalQuery

// signals is a task's word of bits. Any goroutine raises; the task's own waits.
type signals struct {
	bits atomic.Uint32
	wake chan struct{}
}

func newSignals() signals { return signals{wake: make(chan struct{}, 1)} }

// raise sets bits and wakes the task.
func (s *signals) raise(b signal) {
	if s.bits.Or(uint32(b))&uint32(b) == uint32(b) {
		return // told already, and woken then
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lower takes bits back. It wakes the task too: what it waits for may be what
// the bits held up.
func (s *signals) lower(b signal) {
	s.bits.And(^uint32(b))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// clear is lower for the task's own goroutine, and says which of b were set.
func (s *signals) clear(b signal) signal {
	return signal(s.bits.And(^uint32(b))) & b
}

func (s *signals) get() signal { return signal(s.bits.Load()) }
