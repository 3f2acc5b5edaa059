package coordinator

import (
	"maps"
	"slices"
	"sync"
)

// mailbox keeps the commands for one container until they are taken.
type mailbox struct {
	mu    sync.Mutex
	seq   int64
	queue []letter
	// wake is closed and replaced when something is put in.
	wake chan struct{}
}

type letter struct {
	execution string
	command   Command
}

// maxLetters bounds what waits for a container that does not ask; the oldest go
// first.
const maxLetters = 256

// put adds a command for one execution of the container ("" for whichever asks)
// and gives its number.
func (m *mailbox) put(execution, kind string, args map[string]string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	m.queue = append(m.queue, letter{execution, Command{m.seq, kind, maps.Clone(args)}})
	if len(m.queue) > maxLetters {
		m.queue = m.queue[len(m.queue)-maxLetters:]
	}
	if m.wake != nil {
		close(m.wake)
		m.wake = nil
	}
	return m.seq
}

// withdraw takes a command back that was not, or is not any more, wanted.
func (m *mailbox) withdraw(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = slices.DeleteFunc(m.queue, func(l letter) bool { return l.command.Seq == seq })
}

// take gives the commands after a number for an execution, and what to wait on
// if there are none. What the execution has seen is dropped. A number higher
// than any given out comes from a coordinator before this one, and counts as 0.
func (m *mailbox) take(execution string, after int64) ([]Command, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if after > m.seq {
		after = 0
	}
	var out []Command
	rest := m.queue[:0]
	for _, l := range m.queue {
		mine := l.execution == "" || l.execution == execution
		if mine && l.command.Seq <= after {
			continue
		}
		if mine {
			out = append(out, l.command)
		}
		rest = append(rest, l)
	}
	clear(m.queue[len(rest):])
	m.queue = rest
	if m.wake == nil {
		m.wake = make(chan struct{})
	}
	return out, m.wake
}
