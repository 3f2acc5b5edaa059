package am

import (
	"fmt"
	"slices"
)

// A container whose local disk failed is asked for on other hosts. YARN's blacklist
// is the application's, not a request's: while one processor avoids a host, no
// other gets a container there either. So a host is avoided only until the
// processor has another, or until none had room for as long as a preferred host is
// waited for.

// avoid keeps p away from a host, until readmit.
func (m *Machine) avoid(p *Processor, host string) []Action {
	if host == "" {
		return nil
	}
	p.avoid = host
	return []Action{m.exclusion()}
}

// readmit ends that p avoids a host, if it does.
func (m *Machine) readmit(p *Processor) []Action {
	if p.avoid == "" {
		return nil
	}
	p.avoid = ""
	return []Action{m.exclusion()}
}

// readmitLate is readmit for want of room elsewhere.
func (m *Machine) readmitLate(p *Processor) []Action {
	host := p.avoid
	return append([]Action{
		Note{0, fmt.Sprintf("container %s: no room on another host than %s within %s; that one will do again", p.ID, host, m.plan.RequestTimeout)},
	}, m.readmit(p)...)
}

// exclusion names the hosts that a processor avoids.
func (m *Machine) exclusion() Action {
	var hosts []string
	for _, p := range m.procs {
		if p.avoid != "" {
			hosts = append(hosts, p.avoid)
		}
	}
	slices.Sort(hosts)
	return Exclude{slices.Compact(hosts)}
}
