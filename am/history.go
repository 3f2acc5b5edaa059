package am

import (
	"sync"
	"time"

	"heddle/coordinator"
)

// keptEnded bounds the containers that are remembered after their end.
const keptEnded = 1000

// history remembers the containers that processes were started in, also those
// that have ended: the ResourceManager forgets them, but their nodes keep the
// logs while the application runs.
type history struct {
	// logURL gives where a container's logs are; nil for nowhere.
	logURL func(Allocation) string

	mu    sync.Mutex
	list  []*coordinator.Execution // in the order of their starts
	live  map[string]*coordinator.Execution
	ended int
}

// see takes one step of the machine: what happened, and what follows.
func (h *history) see(now time.Time, e Event, follows []Action) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := e.(type) {
	case Completed:
		for _, x := range e.Containers {
			if x.Unseen {
				h.say(x.ContainerID, exitText(x)) // it may go on for a while
				continue
			}
			h.end(now, x.ContainerID, exitText(x))
		}
	case LaunchFailed:
		h.end(now, e.ContainerID, "not started: "+e.Cause)
	case Forgotten:
		h.end(now, e.ContainerID, "")
	}
	for _, a := range follows {
		switch a := a.(type) {
		case Launch:
			h.begin(now, a)
		case Kill:
			h.say(a.ContainerID, "killed by the application master")
		}
	}
}

func (h *history) begin(now time.Time, l Launch) {
	x := &coordinator.Execution{Container: l.Processor, ID: l.In.ID, Host: l.In.Host, NodeHTTP: l.In.HTTP, Start: l.Attempt, StartedAt: now.UnixMilli()}
	if h.logURL != nil {
		x.LogURL = h.logURL(l.In)
	}
	if h.live == nil {
		h.live = map[string]*coordinator.Execution{}
	}
	h.live[x.ID] = x
	h.list = append(h.list, x)
}

func (h *history) say(id, exit string) {
	if x := h.live[id]; x != nil && x.Exit == "" {
		x.Exit = exit
	}
}

func (h *history) end(now time.Time, id, exit string) {
	x := h.live[id]
	if x == nil {
		return
	}
	h.say(id, exit)
	delete(h.live, id)
	x.EndedAt = now.UnixMilli()
	if h.ended++; h.ended <= keptEnded {
		return
	}
	for i, old := range h.list {
		if old.EndedAt != 0 {
			h.list = append(h.list[:i:i], h.list[i+1:]...)
			h.ended--
			return
		}
	}
}

// Executions gives them, oldest first.
func (h *history) Executions() []coordinator.Execution {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]coordinator.Execution, len(h.list))
	for i, x := range h.list {
		out[i] = *x
	}
	return out
}
