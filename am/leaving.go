package am

import (
	"fmt"
	"time"
)

// A container that YARN gives up may have a process that goes on: its node lost
// the ResourceManager but not its Kafka, or was told of the preemption a
// heartbeat later. Two processes of one processor would write one state, so that
// the replacement waits for the first of these: the node says that the process
// has ended, the process says that its tasks have, or it has been silent for
// longer than it takes to stop itself.

// mayRun says if a process of p, whose container was given up, may run.
func (m *Machine) mayRun(now time.Time, p *Processor) bool {
	// One that was never heard of has no JobModel yet, and gets none now.
	return p.Phase.held() && p.everHeard && m.plan.Silence > 0 && now.Sub(p.heard) < m.plan.Silence
}

// leave begins to wait for the end of p's process.
func (m *Machine) leave(p *Processor, x Exit) []Action {
	if p.Phase == Leaving {
		return nil
	}
	m.enter(p, Leaving)
	p.exit = x
	return []Action{
		Note{4, fmt.Sprintf("container %s: YARN has given up %s on %s (%s); its process is asked to stop, and is replaced once it has ended or has been silent for %s", p.ID, x.ContainerID, p.In.Host, exitText(x), m.plan.Silence)},
		AskStop{p.ID, p.In.ID},
		Confirm{p.In.ID, p.In.Node},
	}
}

// left asks the node again, and stops waiting when p's process has stopped
// itself by now.
func (m *Machine) left(now time.Time, p *Processor) []Action {
	if m.mayRun(now, p) {
		return []Action{Confirm{p.In.ID, p.In.Node}}
	}
	return m.over(now, p, p.exit)
}
