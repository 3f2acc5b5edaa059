package am

import (
	"fmt"
	"time"
)

// Plan is what a Machine has to bring about.
type Plan struct {
	// Processors are the ids of the containers of the JobModel, "0" to "n-1".
	Processors []string
	Retry      RetryPolicy
	// HostAffinity asks for the host that a processor ran on before
	// (job.host-affinity.enabled).
	HostAffinity bool
	// RequestTimeout is how long a request for a preferred host waits before any
	// host will do (cluster-manager.container.request.timeout.ms, 5 s).
	RequestTimeout time.Duration
	// LastRetryDelay is the pause before the last restart that the retry rule
	// allows, if it is to be on a preferred host: a host that fails a container
	// again and again gets time to mend
	// (cluster-manager.container.preferred-host.last.retry.delay.ms, 6 min).
	LastRetryDelay time.Duration
	// Silence is how long a running process may go unheard of before it is
	// replaced. It has to be longer than the time after which such a process
	// stops itself, or two would run at once. 0 switches the rule off.
	Silence time.Duration
	// Quiet is how long a running process may go unheard of before its node is
	// asked how it is, and again after as long: a process whose end the broken link
	// did not tell is replaced as soon as the node has seen it. 0 switches it off.
	Quiet time.Duration
	// StartSilence is Silence for a process that was launched and has not been
	// heard of yet (its package may still be on its way to the node).
	StartSilence time.Duration
	// StopTimeout is how long a graceful end may take before what still runs is
	// killed (task.shutdown.ms, 30 s, and the time for a commit).
	StopTimeout time.Duration
}

// Phase is where one processor is.
type Phase string

// The phases of a processor.
const (
	Waiting   Phase = "waiting"   // a container was asked for
	Launching Phase = "launching" // a container was given, its process is being started
	Running   Phase = "running"   // its process was started
	Leaving   Phase = "leaving"   // YARN gave its container up, but nobody has seen its process end
	Done      Phase = "done"      // ended with exit code 0, or after a stop
	GivenUp   Phase = "failed"    // failed too often; the job goes on without it
)

// Processor is what the machine knows of one processor (Samza's name for the
// logical container that a JobModel describes).
type Processor struct {
	ID    string
	Phase Phase
	// In is the container it runs in; empty while Waiting.
	In Allocation
	// Processing is true from the process's first report that its tasks run.
	Processing bool
	// Attempts counts launches; Failures what the retry rule counts now.
	Attempts, Failures int
	// Failed counts all failures of this attempt of the application master.
	Failed int
	// LastError is the cause of the newest failure.
	LastError string
	// Started is when the process was started last.
	Started time.Time

	index     int // in the plan's order
	failed    failures
	host      string // of the outstanding request; "" for any
	lastHost  string
	avoid     string    // the host that it asks to be kept away from
	asked     time.Time // when the request was made
	due       time.Time // when the request is to be made; zero if it was
	heard     time.Time
	looked    time.Time // when the node of a quiet process was asked last
	everHeard bool
	exit      Exit // while Leaving
	usage     bool
	reported  string
	refusals  int
	ended     bool   // its process said last that its tasks have ended
	atStop    string // why it did not end in order when it was told to stop
}

// Machine is the application master's state. It is not safe for concurrent use;
// the driver owns it.
type Machine struct {
	plan  Plan
	procs map[string]*Processor
	order []string
	in    map[string]*Processor // by container id
	// ended holds the containers that the machine gave up on before the cluster
	// reported their end.
	ended map[string]bool

	// live counts the processors that are waited for or run; waitFrom is an index
	// in order before which none is Waiting. Both keep a Step short in a cluster
	// of thousands.
	live     int
	waitFrom int

	stopping bool
	stopAt   time.Time
	stop     StopRequested
	failure  string
	finished bool
	changed  bool
}

// NewMachine gives a machine at rest; it acts from Started on.
func NewMachine(p Plan) *Machine {
	m := &Machine{plan: p, procs: map[string]*Processor{}, in: map[string]*Processor{}, ended: map[string]bool{}}
	for _, id := range p.Processors {
		m.procs[id] = &Processor{ID: id, Phase: Waiting, index: len(m.order)}
		m.order = append(m.order, id)
	}
	m.live = len(m.order)
	return m
}

// enter moves p to a phase, and is the only place that does.
func (m *Machine) enter(p *Processor, next Phase) {
	was, is := p.Phase.live(), next.live()
	switch {
	case was && !is:
		m.live--
	case !was && is:
		m.live++
	}
	if next == Waiting {
		m.waitFrom = min(m.waitFrom, p.index)
	}
	p.Phase = next
}

func (p Phase) live() bool {
	return p == Waiting || p == Launching || p == Running || p == Leaving
}

// held says that a process of the processor may run.
func (p Phase) held() bool { return p == Launching || p == Running || p == Leaving }

// Step takes one event at the time now and gives what has to be done, in order.
func (m *Machine) Step(now time.Time, e Event) []Action {
	if m.finished {
		return m.late(e)
	}
	m.changed = true
	var do []Action
	switch e := e.(type) {
	case Started:
		do = m.started(now, e)
	case Allocated:
		do = m.allocated(now, e)
	case Launched:
		if p := m.in[e.ContainerID]; p != nil && p.Phase == Launching {
			m.enter(p, Running)
			p.heard, p.Started, p.refusals = now, now, 0
			if m.stopping {
				do = append(do, AskStop{p.ID, p.In.ID})
			}
		}
	case LaunchFailed:
		do = m.launchFailed(now, e)
	case Completed:
		for _, x := range e.Containers {
			do = append(do, m.completed(now, x)...)
		}
	case Reported:
		do = m.reported(now, e)
	case Forgotten:
		if p := m.in[e.ContainerID]; p != nil && p.Phase == Leaving {
			do = m.over(now, p, p.exit)
		}
	case LinkBroken:
		if p := m.procs[e.Processor]; p != nil && p.Phase == Running && p.In.ID == e.ContainerID {
			do = append(do, Confirm{p.In.ID, p.In.Node})
		}
		m.changed = false
	case StopRequested:
		do = m.beginStop(now, e, "")
	case Refused:
		return m.finish(Finish{Status: Failed, Diagnostics: e.Reason, Unregister: false}, true)
	case Broken:
		do = m.beginStop(now, StopRequested{Reason: e.Reason}, e.Reason)
	case Tick:
		do = m.tick(now)
		m.changed = len(do) > 0
	}
	return append(do, m.finishIfOver()...)
}

// Processors gives what is known of each processor, by id in the plan's order.
func (m *Machine) Processors() []Processor {
	out := make([]Processor, 0, len(m.order))
	for _, id := range m.order {
		p := *m.procs[id]
		p.Failures = p.failed.count
		out = append(out, p)
	}
	return out
}

// Alive gives the containers that the machine counts on (Samza's
// containerHeartbeat), each with its processor.
func (m *Machine) Alive() map[string]string {
	alive := make(map[string]string, len(m.in))
	for id, p := range m.in {
		alive[id] = p.ID
	}
	return alive
}

// Changed says if the last Step changed anything that Processors or Alive show.
func (m *Machine) Changed() bool { return m.changed }

// Stopping says if the application is on its way to its end.
func (m *Machine) Stopping() bool { return m.stopping || m.finished }

// Needed counts the processors without a running process (Samza's
// needed-containers).
func (m *Machine) Needed() int {
	n := 0
	for _, p := range m.procs {
		if p.Phase == Waiting || p.Phase == Launching || p.Phase == Leaving {
			n++
		}
	}
	return n
}

// Hurry says that containers are being waited for, so that the ResourceManager
// should be asked often.
func (m *Machine) Hurry() bool {
	return !m.finished && (m.stopping || m.Needed() > 0)
}

func (m *Machine) started(now time.Time, e Started) []Action {
	do := []Action{Note{0, fmt.Sprintf("asking for %d containers", len(m.order))}}
	for _, id := range m.order {
		p := m.procs[id]
		p.lastHost = e.Preferred[id]
		do = append(do, m.request(now, p))
	}
	return do
}

func (m *Machine) allocated(now time.Time, e Allocated) []Action {
	var do []Action
	for _, c := range e.Containers {
		p := m.waitingFor(c)
		if p == nil || m.stopping {
			do = append(do, Release{c.ID})
			continue
		}
		do = append(do, m.withdraw(p)...)
		do = append(do, m.readmit(p)...)
		m.enter(p, Launching)
		p.In, p.lastHost, p.heard = c, c.Host, now
		p.Attempts++
		m.in[c.ID] = p
		do = append(do,
			Note{0, fmt.Sprintf("container %s: starting in %s on %s, start %d", p.ID, c.ID, c.Host, p.Attempts)},
			Launch{Processor: p.ID, In: c, Attempt: p.Attempts})
	}
	return do
}

// waitingFor picks the processor that a container is for: the one whose request
// it meets; else one that asked for its host, or that takes any.
func (m *Machine) waitingFor(c Allocation) *Processor {
	if c.For != "" {
		// Another processor's request is still outstanding and will be met, too.
		if p := m.procs[c.For]; p != nil && p.Phase == Waiting && p.due.IsZero() {
			return p
		}
		return nil
	}
	host := c.Host
	var anywhere *Processor
	from := len(m.order)
	for i := m.waitFrom; i < len(m.order); i++ {
		p := m.procs[m.order[i]]
		if p.Phase != Waiting {
			continue
		}
		from = min(from, i)
		if !p.due.IsZero() {
			continue // it wants none yet
		}
		if p.host == host && host != "" {
			return p
		}
		if p.host == "" && anywhere == nil {
			anywhere = p
			if !m.plan.HostAffinity {
				break
			}
		}
	}
	m.waitFrom = from
	return anywhere
}

// launchFailed asks for another container anywhere. Samza never counts this; a
// launch that no node accepts would then be tried for ever, so that from the
// third refusal in a row on it counts as a failure of the processor.
func (m *Machine) launchFailed(now time.Time, e LaunchFailed) []Action {
	p := m.in[e.ContainerID]
	if p == nil {
		return []Action{Release{e.ContainerID}}
	}
	delete(m.in, e.ContainerID)
	m.ended[e.ContainerID] = true
	p.LastError = "start of " + e.ContainerID + " on " + p.In.Host + ": " + e.Cause
	do := []Action{Note{4, fmt.Sprintf("container %s could not be started on %s: %s", p.ID, p.In.Host, e.Cause)}, Release{e.ContainerID}}
	if m.stopping {
		m.enter(p, Done)
		return do
	}
	p.refusals++
	if p.refusals >= 3 {
		return append(do, m.failed(now, p, p.LastError)...)
	}
	p.lastHost = ""
	return append(do, m.request(now, p))
}

func (m *Machine) completed(now time.Time, x Exit) []Action {
	p := m.in[x.ContainerID]
	if p == nil {
		// Unknown, released, or given up on before: Samza's redundant
		// notification.
		delete(m.ended, x.ContainerID)
		return nil
	}
	if x.Unseen && !m.stopping && m.mayRun(now, p) {
		return m.leave(p, x)
	}
	if p.Phase == Leaving {
		// It was asked to stop: how it did says nothing of why.
		x = p.exit
	}
	return m.over(now, p, x)
}

// over takes the end of p's container that was seen, or that has to be assumed.
func (m *Machine) over(now time.Time, p *Processor, x Exit) []Action {
	delete(m.in, x.ContainerID)
	host := p.In.Host
	p.Processing, p.exit = false, Exit{}
	if m.stopping {
		m.stopped(p, x)
		return nil
	}
	switch x.Status {
	case 0:
		m.enter(p, Done)
		return []Action{Note{0, fmt.Sprintf("container %s has ended (%s on %s)", p.ID, x.ContainerID, host)}}
	case ExitAborted, ExitDisksFailed, ExitPreempted:
		p.LastError = exitText(x)
		p.lastHost = ""
		return []Action{
			Note{4, fmt.Sprintf("container %s was taken away on %s (%s); asking for another", p.ID, host, exitText(x))},
			m.request(now, p),
		}
	}
	cause := p.reported
	if cause == "" {
		cause = exitText(x)
	}
	p.LastError = cause
	if x.Status == ExitConfig || p.usage {
		// A restart reads the same configuration again.
		m.enter(p, GivenUp)
		return append([]Action{Note{8, fmt.Sprintf("container %s is configured wrongly: %s", p.ID, cause)}},
			m.beginStop(now, StopRequested{Reason: cause}, fmt.Sprintf("container %s: %s", p.ID, cause))...)
	}
	var do []Action
	if x.Status == ExitDisk {
		// What lies there is of no use, and the next start might fail on it again.
		p.lastHost = ""
		do = m.avoid(p, host) // before the request, or that may be met there
	}
	do = append(do, m.failed(now, p, fmt.Sprintf("%s on %s: %s", x.ContainerID, host, cause))...)
	if p.Phase != Waiting {
		do = append(do, m.readmit(p)...)
	}
	return do
}

// failed applies the retry rule to a failure of p, whose container is gone.
func (m *Machine) failed(now time.Time, p *Processor, cause string) []Action {
	var v verdict
	p.Failed++
	p.failed, v = m.plan.Retry.record(p.failed, now)
	if v == restart {
		bound := fmt.Sprintf("of %d", m.plan.Retry.Count)
		if m.plan.Retry.Count < 0 {
			bound = "without bound"
		}
		switch {
		case p.avoid != "":
			bound += fmt.Sprintf(", not on %s if another host has room within %s", p.avoid, m.plan.RequestTimeout)
		case m.plan.HostAffinity && p.lastHost == "":
			bound += fmt.Sprintf(", on any host: what it has on %s is of no use to it", p.In.Host)
		}
		return []Action{
			Note{4, fmt.Sprintf("container %s failed (%s); restart %d %s", p.ID, cause, p.failed.count, bound)},
			m.again(now, p),
		}
	}
	text := fmt.Sprintf("container %s failed %d times within %s, which is more than cluster-manager.container.retry.count=%d allows; the last time: %s",
		p.ID, p.failed.count, m.plan.Retry.Window, m.plan.Retry.Count, cause)
	if m.plan.Retry.Count == 0 {
		text = fmt.Sprintf("container %s failed and cluster-manager.container.retry.count=0 allows no restart: %s", p.ID, cause)
	}
	m.enter(p, GivenUp)
	p.Processing, p.In = false, Allocation{}
	do := []Action{Note{8, text}}
	if m.plan.Retry.FailJob {
		return append(do, m.beginStop(now, StopRequested{Reason: text}, text)...)
	}
	return do
}

func (m *Machine) reported(now time.Time, e Reported) []Action {
	p := m.procs[e.Processor]
	if p == nil || p.In.ID != e.ContainerID || p.In.ID == "" {
		m.changed = false
		return nil
	}
	m.changed = p.Processing != e.Processing || e.Error != ""
	var do []Action
	if !p.everHeard && m.plan.HostAffinity && p.In.Host != "" {
		do = append(do, Settle{p.ID, p.In.Host})
	}
	if e.Processing && !p.Processing {
		do = append(do, Note{0, fmt.Sprintf("container %s: processing on %s", p.ID, p.In.Host)})
	}
	p.heard, p.everHeard = now, true
	p.Processing, p.ended = e.Processing, e.Ended
	if e.Error != "" {
		p.reported, p.usage = e.Error, e.Usage
	}
	if e.Ended && p.Phase == Leaving {
		m.changed = true
		return append(do, m.over(now, p, p.exit)...)
	}
	return do
}

func (m *Machine) tick(now time.Time) []Action {
	var do []Action
	if m.stopping {
		if m.plan.StopTimeout > 0 && now.Sub(m.stopAt) >= m.plan.StopTimeout {
			for _, id := range m.order {
				p := m.procs[id]
				if p.Phase.held() {
					in := p.In
					do = append(do, m.forced(p), Kill{in.ID, in.Node})
				}
			}
		}
		return do
	}
	for _, id := range m.order {
		p := m.procs[id]
		switch p.Phase {
		case Waiting:
			do = append(do, m.waited(now, p)...)
		case Leaving:
			do = append(do, m.left(now, p)...)
		case Running:
			limit := m.plan.Silence
			if !p.everHeard {
				limit = m.plan.StartSilence
			}
			if limit > 0 && now.Sub(p.heard) >= limit {
				cause := fmt.Sprintf("not heard of for %s", now.Sub(p.heard).Round(time.Second))
				p.LastError = cause
				do = append(do, Kill{p.In.ID, p.In.Node})
				delete(m.in, p.In.ID)
				m.ended[p.In.ID] = true
				do = append(do, m.failed(now, p, fmt.Sprintf("%s on %s: %s", p.In.ID, p.In.Host, cause))...)
				if m.stopping {
					return do
				}
				continue
			}
			if q := m.plan.Quiet; q > 0 && p.everHeard && now.Sub(p.heard) >= q && now.Sub(p.looked) >= q {
				p.looked = now
				do = append(do, Confirm{p.In.ID, p.In.Node})
			}
		}
	}
	return do
}
