package yarnfake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
)

// containerExpiry is how long a token of a container is good
// (yarn.resourcemanager.rm.container-allocation.expiry-interval-ms).
const containerExpiry = 10 * time.Minute

const anyLocation = "*"

// heartbeats runs the scheduler until the cluster ends.
func (c *Cluster) heartbeats() {
	ticker := time.NewTicker(c.o.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-c.closing:
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		if !c.closed {
			c.schedule(time.Now())
		}
		c.mu.Unlock()
	}
}

func (c *Cluster) sortedApps() []*app {
	return slices.SortedFunc(maps.Values(c.apps), func(a, b *app) int { return a.id.Compare(b.id) })
}

func (a *app) sortedContainers() []*container {
	return slices.SortedFunc(maps.Values(a.containers), func(x, y *container) int { return x.id.Compare(y.id) })
}

// schedule gives what can be given. Nodes that a request names come first.
func (c *Cluster) schedule(now time.Time) {
	for _, a := range c.sortedApps() {
		t := a.attempt()
		if t == nil || !t.live() {
			continue
		}
		if c.o.Expiry > 0 && t.state >= pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_LAUNCHED && !t.unregistered && now.Sub(t.heard) > c.o.Expiry {
			c.attemptFailed(t, fmt.Sprintf("ApplicationMaster for attempt %s timed out", t.id))
			continue
		}
		if t.master == nil && !a.submission.GetUnmanagedAm() {
			c.placeMaster(t)
			continue
		}
		if !t.registered {
			continue
		}
		for _, local := range []bool{true, false} {
			for _, n := range c.nodes {
				for c.allocate(t, n, local) {
				}
			}
		}
	}
}

func (c *Cluster) placeMaster(t *attempt) {
	want := resource(t.app.submission.GetResource())
	for _, n := range c.nodes {
		if !n.lost && n.used.Add(want).FitsIn(n.capability) {
			k := c.newContainer(t, n, resourceProto(want), 0, 0)
			t.master = k
			t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_LAUNCHED
			t.heard = time.Now()
			t.app.launched = cmp.Or(t.app.launched, t.heard)
			c.log.Info("yarnfake: master", "attempt", t.id, "node", n.id)
			c.launch(k, c.masterLaunch(t))
			return
		}
	}
}

// allocate gives one container on the node, if a request may be met there; local
// looks at requests that name the node, or name none.
func (c *Cluster) allocate(t *attempt, n *node, local bool) bool {
	if n.lost || t.blacklist[n.id.Host] || t.blacklist[n.rack] {
		return false
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.rows), rowKey.compare) {
		row := t.rows[key]
		if key.location != anyLocation || row.GetNumContainers() <= 0 {
			continue
		}
		host := t.rows[rowKey{key.id, key.priority, n.id.Host}]
		rack := t.rows[rowKey{key.id, key.priority, n.rack}]
		onRack := rack.GetNumContainers() > 0
		onHost := onRack && host.GetNumContainers() > 0
		switch {
		case onHost:
		case local && t.namesLiveNode(c, key):
			continue
		case onRack && rack.GetRelaxLocality():
		case row.GetRelaxLocality():
			onRack = false
		default:
			continue
		}
		if !n.used.Add(resource(row.GetCapability())).FitsIn(n.capability) {
			continue
		}
		lower := func(r *pb.ResourceRequestProto) { r.NumContainers = proto.Int32(r.GetNumContainers() - 1) }
		lower(row)
		if onRack {
			lower(rack)
		}
		if onHost {
			lower(host)
		}
		k := c.newContainer(t, n, row.GetCapability(), key.priority, key.id)
		t.allocated = append(t.allocated, k)
		return true
	}
	return false
}

// namesLiveNode tells whether the request would rather be met on a node that is there.
func (t *attempt) namesLiveNode(c *Cluster, key rowKey) bool {
	for _, n := range c.nodes {
		if !n.lost && t.rows[rowKey{key.id, key.priority, n.id.Host}].GetNumContainers() > 0 {
			return true
		}
	}
	return false
}

func (c *Cluster) newContainer(t *attempt, n *node, size *pb.ResourceProto, priority int32, request int64) *container {
	t.sequence++
	k := &container{
		id: yarn.NewContainerID(t.id, c.epoch, t.sequence), app: t.app, attempt: t, node: n,
		resource: size, priority: priority, requestID: request, created: time.Now(), exit: yarn.ExitInvalid,
	}
	t.app.containers[k.id] = k
	n.used = n.used.Add(resource(size))
	return k
}

// ended takes the end of a container into the books, once.
func (c *Cluster) ended(k *container, exit yarn.ExitStatus, diagnostics string) {
	if k.state == complete {
		return
	}
	k.state, k.running = complete, false
	k.exit, k.diagnostics, k.finished = exit, diagnostics, time.Now()
	k.node.used = k.node.used.Sub(resource(k.resource))
	c.log.Info("yarnfake: container ended", "container", k.id, "exit", int(exit), "diagnostics", diagnostics)
	if k.isMaster() {
		c.masterEnded(k.attempt)
		return
	}
	if t := k.app.attempt(); t != nil && t.live() {
		t.completed = append(t.completed, k.status())
	}
}

func (c *Cluster) masterEnded(t *attempt) {
	if !t.live() {
		return
	}
	if t.unregistered {
		t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FINISHED
		t.finished = time.Now()
		c.killContainers(t.app, yarn.ExitKilledAfterApplication, "Container killed after the application ended")
		return
	}
	c.attemptFailed(t, fmt.Sprintf("AM Container for %s exited with  exitCode: %d\nFailing this attempt.Diagnostics: %s",
		t.id, t.master.exit, t.master.diagnostics))
}

// attemptFailed ends an attempt, and with it the application if it was the last.
func (c *Cluster) attemptFailed(t *attempt, why string) {
	t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FAILED
	t.diagnostics, t.finished = why, time.Now()
	if k := t.master; k != nil && k.state != complete {
		k.terminate(0)
		c.ended(k, yarn.ExitKilledByResourceManager, why)
	}
	a := t.app
	limit := c.o.MaxAttempts
	if n := a.submission.GetMaxAppAttempts(); n > 0 {
		limit = min(limit, n)
	}
	if len(a.attempts) >= int(limit) || a.submission.GetUnmanagedAm() {
		c.applicationOver(a, pb.YarnApplicationStateProto_FAILED, pb.FinalApplicationStatusProto_APP_FAILED,
			fmt.Sprintf("Application %s failed %d times due to %s. Failing the application.", a.id, len(a.attempts), why))
		return
	}
	if !a.submission.GetKeepContainersAcrossApplicationAttempts() {
		c.killContainers(a, yarn.ExitKilledByResourceManager, "Container killed with its application attempt")
	} else {
		// Never started, hence known to nobody.
		for _, k := range a.containers {
			if k.state == allocated {
				c.ended(k, yarn.ExitAborted, "Container released on attempt end")
			}
		}
	}
	c.newAttempt(a)
}

func (c *Cluster) newAttempt(a *app) {
	t := &attempt{
		app: a, id: yarn.AttemptID{Application: a.id, Attempt: int32(len(a.attempts) + 1)},
		state: pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_SCHEDULED, started: time.Now(), heard: time.Now(), port: -1,
		rows: map[rowKey]*pb.ResourceRequestProto{}, blacklist: map[string]bool{}, tokens: map[yarn.NodeID]bool{},
	}
	if a.submission.GetUnmanagedAm() {
		t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_LAUNCHED
	}
	// What ended between the attempts is told to the next.
	if old := a.attempt(); old != nil {
		t.completed = old.completed
	}
	a.attempts = append(a.attempts, t)
	a.state = pb.YarnApplicationStateProto_ACCEPTED
}

// applicationOver ends an application and all that is left of it.
func (c *Cluster) applicationOver(a *app, state pb.YarnApplicationStateProto, final pb.FinalApplicationStatusProto, diagnostics string) {
	if a.over() {
		return
	}
	a.state, a.final, a.diagnostics, a.finished = state, final, strings.TrimSpace(diagnostics), time.Now()
	c.log.Info("yarnfake: application ended", "application", a.id, "state", state, "diagnostics", diagnostics)
	if state != pb.YarnApplicationStateProto_FINISHED {
		if t := a.attempt(); t != nil && t.live() {
			t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_FAILED
			if state == pb.YarnApplicationStateProto_KILLED {
				t.state = pb.YarnApplicationAttemptStateProto_APP_ATTEMPT_KILLED
			}
			t.finished = a.finished
		}
		c.killContainers(a, yarn.ExitKilledAfterApplication, "Container killed after the application ended")
	}
}

// killContainers ends all containers of an application but a master that is
// still to end by itself.
func (c *Cluster) killContainers(a *app, exit yarn.ExitStatus, why string) {
	for _, k := range a.sortedContainers() {
		if k.state != complete && !(k.isMaster() && k.attempt.live()) {
			c.kill(k, exit, why)
		}
	}
}

// kill ends a container as a NodeManager does: SIGTERM, then SIGKILL. The exit
// code of its process is what is told then; the status given is for one without a process.
func (c *Cluster) kill(k *container, exit yarn.ExitStatus, why string) {
	switch {
	case k.process != nil:
		k.killReason = why
		k.terminate(c.o.KillDelay)
	case k.running:
		c.ended(k, exitTerminated, why)
	default:
		c.ended(k, exit, why)
	}
}

// exitTerminated is the exit code after SIGTERM.
const exitTerminated yarn.ExitStatus = 143
