package am

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// beginStop starts the graceful end. A failure makes it end FAILED. A second
// request changes nothing but that a failure stays one.
func (m *Machine) beginStop(now time.Time, s StopRequested, failure string) []Action {
	if m.failure == "" {
		m.failure = failure
	}
	if m.stopping {
		return nil
	}
	m.stopping, m.stop, m.stopAt = true, s, now
	do := []Action{Note{0, "stopping: " + s.Reason}}
	for _, id := range m.order {
		p := m.procs[id]
		switch p.Phase {
		case Waiting:
			do = append(do, m.withdraw(p)...)
			m.enter(p, Done)
		case Running:
			do = append(do, AskStop{p.ID, p.In.ID})
		}
	}
	return do
}

// finishIfOver ends the application once no processor runs or is waited for.
func (m *Machine) finishIfOver() []Action {
	if m.live > 0 || len(m.order) == 0 && !m.stopping {
		return nil
	}
	var gone []string
	for _, id := range m.order {
		if p := m.procs[id]; p.Phase == GivenUp {
			gone = append(gone, fmt.Sprintf("container %s: %s", id, p.LastError))
		}
	}
	switch {
	case m.failure != "":
		return m.finish(Finish{Status: Failed, Diagnostics: m.failure, Unregister: true}, false)
	case len(gone) > 0:
		return m.finish(Finish{Status: Failed, Diagnostics: strings.Join(gone, "; "), Unregister: true}, false)
	case !m.stopping:
		return m.finish(Finish{Status: Succeeded, Unregister: true}, false)
	}
	f := Finish{Status: Succeeded, Diagnostics: m.stop.Reason, Unregister: true}
	if m.stop.Killed {
		f.Status = Killed
	}
	// It was to end, and has: that is no failed application. But it was not in order.
	for _, id := range m.order {
		if p := m.procs[id]; p.atStop != "" {
			f.AtStop = append(f.AtStop, fmt.Sprintf("container %s: %s", id, p.atStop))
		}
	}
	if len(f.AtStop) > 0 {
		f.Diagnostics += NotInOrder + strings.Join(f.AtStop, "; ")
	}
	return m.finish(f, false)
}

// NotInOrder stands in the diagnostics of an application that was stopped before
// Finish.AtStop, if there are any: who asked for the stop reads them from YARN.
const NotInOrder = "; not in order: "

// nothingLeft says that p's process had nothing to commit any more, or not yet: it
// said last that its tasks had ended well, or it was never heard of, as one whose
// package is on its way.
func (p *Processor) nothingLeft() bool { return p.ended && p.reported == "" || !p.everHeard }

// stopped takes the end of p's container after a stop: in order, or not. Of an end
// that nobody saw it is not known, and so is told.
func (m *Machine) stopped(p *Processor, x Exit) {
	m.enter(p, Done)
	if p.nothingLeft() || x.Status == 0 || x.Status == exitTerminated {
		return
	}
	p.atStop = cmp.Or(p.reported, exitText(x))
	p.LastError = p.atStop
}

// forced takes note that p's process is killed since its stop takes too long.
func (m *Machine) forced(p *Processor) Note {
	delete(m.in, p.In.ID)
	m.enter(p, Done)
	late := fmt.Sprintf("did not stop within %s", m.plan.StopTimeout)
	if !p.nothingLeft() {
		p.atStop = cmp.Or(p.reported, late+" and was killed")
		p.LastError = p.atStop
	}
	return Note{4, fmt.Sprintf("container %s %s and is killed", p.ID, late)}
}

func (m *Machine) finish(f Finish, kill bool) []Action {
	m.finished = true
	var do []Action
	if kill {
		for _, id := range m.order {
			if p := m.procs[id]; p.Phase.held() {
				do = append(do, Kill{p.In.ID, p.In.Node})
			}
		}
	}
	return append(do, f)
}

// late answers events after the end: containers that still come are given back.
func (m *Machine) late(e Event) []Action {
	a, ok := e.(Allocated)
	if !ok {
		return nil
	}
	var do []Action
	for _, c := range a.Containers {
		do = append(do, Release{c.ID})
	}
	return do
}
