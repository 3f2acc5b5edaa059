package yarnfake

import (
	"fmt"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
)

// Fault is something that goes wrong with a call.
type Fault struct {
	// Err is what the server answers instead (a *rpc.RemoteError, as a rule).
	Err error
	// LoseRequest ends the connection before the call is executed, LoseAnswer after.
	LoseRequest, LoseAnswer bool
}

type fault struct {
	Fault
	method string
	skip   int
	left   int
}

// Fail lets the next n calls of a method ("allocate", "startContainers", ...) go
// wrong, after skip more that do not.
func (c *Cluster) Fail(method string, skip, n int, f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, &fault{Fault: f, method: method, skip: skip, left: n})
}

func (c *Cluster) takeFault(method string) *Fault {
	for _, f := range c.faults {
		switch {
		case f.method != method || f.left == 0:
		case f.skip > 0:
			f.skip--
			return nil
		default:
			f.left--
			return &f.Fault
		}
	}
	return nil
}

// Calls counts the calls of a method so far, those that failed included.
func (c *Cluster) Calls(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

// StopResourceManager ends all ResourceManagers: connections break and new ones
// are refused. Containers go on.
func (c *Cluster) StopResourceManager() {
	for _, s := range c.servers() {
		s.Close()
	}
}

// StartResourceManager starts them again, at the same addresses, with the state
// that a recovered one has (see RestartResourceManager).
func (c *Cluster) StartResourceManager() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	for _, d := range c.doors {
		if err := c.open(d); err != nil {
			return fmt.Errorf("start of the ResourceManager: %w", err)
		}
	}
	return nil
}

// RestartResourceManager breaks all connections. The new one knows the
// applications and the running containers, but no master's registration, asks, or
// containers that were allocated and not told of.
func (c *Cluster) RestartResourceManager() {
	c.mu.Lock()
	c.forget()
	c.mu.Unlock()
	c.Disconnect()
}

// Failover makes the next ResourceManager the active one.
func (c *Cluster) Failover() {
	c.mu.Lock()
	c.active = (c.active + 1) % len(c.doors)
	c.mu.Unlock()
	c.RestartResourceManager()
}

// forget is what a ResourceManager loses by a restart.
func (c *Cluster) forget() {
	c.epoch++
	for _, a := range c.apps {
		for _, t := range a.attempts {
			t.registered, t.last = false, nil
			t.rows = map[rowKey]*pb.ResourceRequestProto{}
			t.blacklist = map[string]bool{}
			t.tokens = map[yarn.NodeID]bool{}
			t.sequence = 0
			t.allocated = nil
		}
		// Nobody remembers what was allocated and not started.
		for id, k := range a.containers {
			if k.state == allocated && !k.isMaster() {
				k.state = complete
				k.node.used = k.node.used.Sub(resource(k.resource))
				delete(a.containers, id)
			}
		}
	}
}

// LoseNode lets a node (by its number, from 0) vanish with its containers, whose
// processes end at once.
func (c *Cluster) LoseNode(i int) {
	c.mu.Lock()
	n := c.nodes[i]
	n.lost = true
	for _, a := range c.apps {
		for _, k := range a.containers {
			if k.node == n && k.state != complete {
				k.terminate(0)
				c.ended(k, yarn.ExitAborted, "Container released on a *lost* node")
			}
		}
		if t := a.attempt(); t != nil && t.live() {
			t.updated = append(t.updated, n.report())
		}
	}
	c.mu.Unlock()
	n.shut()
}

// EndContainer ends a container with a status of YARN's own, as preemption does
// (yarn.ExitPreempted), or, with NoProcesses, with the exit code of its process.
func (c *Cluster) EndContainer(id yarn.ContainerID, exit yarn.ExitStatus, diagnostics string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.findContainer(id)
	if k == nil || k.state == complete {
		return fmt.Errorf("yarnfake: %s does not run", id)
	}
	k.terminate(0)
	c.ended(k, exit, diagnostics)
	return nil
}

// RollMasterKey makes a new key for the masters' tokens and gives each its new
// token with the answers of allocate.
func (c *Cluster) RollMasterKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys.current++
	c.keys.masters[c.keys.current] = newKey()
}

// DropOldMasterKeys refuses connections with tokens of former keys. Connections
// that stand go on.
func (c *Cluster) DropOldMasterKeys() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys.oldest = c.keys.current
}

// Disconnect breaks all connections to the ResourceManagers.
func (c *Cluster) Disconnect() {
	for _, s := range c.servers() {
		s.Disconnect()
	}
}

// Running gives the ids of the containers that have not ended, of all
// applications or, if given, of one.
func (c *Cluster) Running(of ...yarn.ApplicationID) []yarn.ContainerID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []yarn.ContainerID
	for _, a := range c.sortedApps() {
		if len(of) > 0 && of[0] != a.id {
			continue
		}
		for _, k := range a.sortedContainers() {
			if k.state != complete {
				out = append(out, k.id)
			}
		}
	}
	return out
}

// PID is the process of a container, 0 if there is none.
func (c *Cluster) PID(id yarn.ContainerID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.findContainer(id); k != nil && k.process != nil && k.running {
		return k.process.pid
	}
	return 0
}

// LogDir is the folder with the logs of a container.
func (c *Cluster) LogDir(id yarn.ContainerID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.findContainer(id); k != nil {
		return k.node.logDir(k)
	}
	return ""
}

func (c *Cluster) findContainer(id yarn.ContainerID) *container {
	if a := c.apps[id.Attempt.Application]; a != nil {
		return a.containers[id]
	}
	return nil
}
