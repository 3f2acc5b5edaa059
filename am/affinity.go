package am

import (
	"fmt"
	"time"
)

// request asks for a container for p: on its last host with host affinity, else
// anywhere.
func (m *Machine) request(now time.Time, p *Processor) Action {
	m.enter(p, Waiting)
	p.In, p.Processing, p.everHeard, p.ended = Allocation{}, false, false, false
	p.asked, p.due, p.reported, p.usage = now, time.Time{}, "", false
	p.host = ""
	if m.plan.HostAffinity {
		p.host = p.lastHost
	}
	return Request{p.ID, p.host}
}

// again asks for a container after a failure that the retry rule answers by a
// restart. The last restart that it allows waits, if it is to be on the host that
// has failed p before (Samza: ContainerProcessManager, getRetryDelay).
func (m *Machine) again(now time.Time, p *Processor) Action {
	a := m.request(now, p)
	if p.host == "" || m.plan.LastRetryDelay <= 0 || p.failed.count != m.plan.Retry.Count {
		return a
	}
	p.due = now.Add(m.plan.LastRetryDelay)
	// The pause is none in which the processor ran: without this the failure after
	// the last restart would count as the first again, for ever (Samza:
	// ProcessorFailure.getLastRetryDelay).
	p.failed.last = p.due
	return Note{4, fmt.Sprintf("container %s: the last restart that cluster-manager.container.retry.count=%d allows waits for %s, as it is to be on %s again", p.ID, m.plan.Retry.Count, m.plan.LastRetryDelay, p.host)}
}

// withdraw takes p's request back, if there is one.
func (m *Machine) withdraw(p *Processor) []Action {
	if !p.due.IsZero() {
		return nil
	}
	return []Action{Withdraw{p.ID, p.host}}
}

// waited makes a request that is due, and lets any host do once the preferred
// one, or another than the avoided one, has not come in time.
func (m *Machine) waited(now time.Time, p *Processor) []Action {
	switch {
	case !p.due.IsZero():
		if now.Before(p.due) {
			return nil
		}
		return []Action{m.request(now, p)}
	case p.host == "" && p.avoid == "" || now.Sub(p.asked) < m.plan.RequestTimeout:
		return nil
	case p.avoid != "":
		return m.readmitLate(p)
	}
	do := []Action{
		Note{0, fmt.Sprintf("container %s: no room on %s within %s; any host will do", p.ID, p.host, m.plan.RequestTimeout)},
		Withdraw{p.ID, p.host},
	}
	p.host, p.asked = "", now
	return append(do, Request{p.ID, ""})
}
