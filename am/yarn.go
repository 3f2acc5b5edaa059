package am

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"heddle/yarn"
)

// YARN is the Cluster of a real application master: the scheduler gives
// containers, the NodeManagers run processes in them.
type YARN struct {
	Master *yarn.Master
	Nodes  *yarn.Nodes
	// Resource is the size of every container; Label is that of the requests.
	Resource yarn.Resource
	Label    string
	// Context makes the launch context of a container's process.
	Context func(l Launch) (yarn.LaunchContext, error)
	// Slow is the time between heartbeats to the scheduler
	// (yarn.am.poll.interval.ms), Fast the one while containers are waited for.
	Slow, Fast time.Duration
	Log        *slog.Logger

	ctx    context.Context
	events chan<- Event
	wake   chan struct{}
	stop   context.CancelFunc
	beats  sync.WaitGroup
	slots  chan struct{}
	self   Self

	mu         sync.Mutex
	hurrySince time.Time        // zero: no hurry
	requests   map[string]int64 // processor to the ID of its request
	processors map[int64]string // the other way
	lastID     int64
	containers map[string]yarn.Container
	confirming map[string]bool
}

// The priorities of the requests, as Samza's: a preferred host goes first.
const (
	preferredPriority = 0
	anyPriority       = 1
)

// hurryFor bounds how long the scheduler is asked often when it has nothing to
// give: a full cluster would be asked for hours.
const hurryFor = 30 * time.Second

// launchesAtOnce bounds the launches under way.
const launchesAtOnce = 32

// Start registers with the scheduler and begins its heartbeats.
func (y *YARN) Start(ctx context.Context, self Self, events chan<- Event) error {
	y.events, y.wake, y.slots, y.self = events, make(chan struct{}, 1), make(chan struct{}, launchesAtOnce), self
	y.requests, y.processors, y.containers = map[string]int64{}, map[int64]string{}, map[string]yarn.Container{}
	y.confirming = map[string]bool{}
	y.ctx, y.stop = context.WithCancel(ctx)
	r, err := y.Master.Register(ctx, yarn.Registration{Host: self.Host, RPCPort: int32(self.Port), TrackingURL: self.TrackingURL})
	if err != nil {
		return err
	}
	if !y.Resource.FitsIn(r.Maximum) {
		return fmt.Errorf("containers of %s (cluster-manager.container.memory.mb, .cpu.cores) are larger than queue %s gives: at most %s", y.Resource, r.Queue, r.Maximum)
	}
	y.beats.Go(y.heartbeat)
	return nil
}

func (y *YARN) send(e Event) {
	select {
	case y.events <- e:
	case <-y.ctx.Done():
	}
}

// heartbeat asks the scheduler until the application ends.
func (y *YARN) heartbeat() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-y.ctx.Done():
			return
		case <-timer.C:
		case <-y.wake:
		}
		got, err := y.Master.Allocate(y.ctx, 0)
		var refused *yarn.RefusedError
		switch {
		case err == nil:
			y.heard(got)
		case y.ctx.Err() != nil:
			return
		case errors.Is(err, yarn.ErrAttemptOver):
			y.send(Refused{err.Error()})
			return
		case errors.As(err, &refused):
			y.send(Broken{err.Error()})
			return
		default:
			y.Log.Warn("the scheduler could not be asked; trying again", "cause", err)
		}
		timer.Reset(y.interval(time.Now()))
	}
}

// interval is the time to the next heartbeat.
func (y *YARN) interval(now time.Time) time.Duration {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.hurrySince.IsZero() || now.Sub(y.hurrySince) > hurryFor {
		return y.Slow
	}
	return min(y.Fast, y.Slow)
}

// Hurry lets the scheduler be asked often for a while.
func (y *YARN) Hurry(on bool) {
	y.mu.Lock()
	was := !y.hurrySince.IsZero()
	switch {
	case on && !was:
		y.hurrySince = time.Now()
	case !on:
		y.hurrySince = time.Time{}
	}
	y.mu.Unlock()
	if on && !was {
		y.poke()
	}
}

// poke brings the next heartbeat forward.
func (y *YARN) poke() {
	select {
	case y.wake <- struct{}{}:
	default:
	}
}

// heard turns the scheduler's answer into events.
func (y *YARN) heard(a yarn.Allocation) {
	if a.Resynced {
		y.Log.Info("the ResourceManager was restarted; registered with it anew")
	}
	if len(a.Containers) > 0 {
		var given []Allocation
		y.mu.Lock()
		for _, c := range a.Containers {
			id := c.ID.String()
			y.containers[id] = c
			given = append(given, Allocation{ID: id, Host: c.Node.Host, Node: c.Node.String(), HTTP: c.HTTPAddress, For: y.processors[c.RequestID]})
		}
		y.mu.Unlock()
		y.send(Allocated{given})
	}
	if len(a.Completed) > 0 {
		var ended []Exit
		y.mu.Lock()
		for _, s := range a.Completed {
			x := Exit{ContainerID: s.ID.String(), Status: int(s.Exit), Diagnostics: s.Diagnostics, Unseen: unseen(s.Exit)}
			if !x.Unseen {
				delete(y.containers, x.ContainerID)
			}
			ended = append(ended, x)
		}
		y.mu.Unlock()
		y.send(Completed{ended})
	}
}

// unseen says of an exit status that the ResourceManager itself gives it, which
// it does before the node was told anything.
func unseen(s yarn.ExitStatus) bool {
	switch s {
	case yarn.ExitAborted, yarn.ExitPreempted, yarn.ExitKilledByResourceManager:
		return true
	}
	return false
}

// Do notes a request for the next heartbeat, or begins a launch or an end.
func (y *YARN) Do(a Action) {
	switch a := a.(type) {
	case Request:
		r := yarn.Request{Priority: anyPriority, Resource: y.Resource, Label: y.Label}
		if a.Host != "" {
			r.Priority, r.Nodes, r.Strict = preferredPriority, []string{a.Host}, true
		}
		y.mu.Lock()
		y.lastID++
		r.ID = y.lastID
		y.requests[a.Processor], y.processors[r.ID] = r.ID, a.Processor
		y.mu.Unlock()
		if err := y.Master.Request(r); err != nil {
			go y.send(Broken{err.Error()})
			return
		}
		y.poke()
	case Withdraw:
		y.mu.Lock()
		id, ok := y.requests[a.Processor]
		delete(y.requests, a.Processor)
		delete(y.processors, id)
		y.mu.Unlock()
		if ok {
			y.Master.Cancel(id)
		}
	case Exclude:
		y.Master.Exclude(a.Hosts...)
		y.poke()
	case Release:
		y.release(a.ContainerID)
	case Launch:
		go y.launch(a)
	case Kill:
		go y.kill(a)
	case Confirm:
		go y.confirm(a)
	}
}

// forget drops a container that is of no more use.
func (y *YARN) forget(id string) {
	y.mu.Lock()
	delete(y.containers, id)
	y.mu.Unlock()
}

func (y *YARN) release(id string) {
	y.forget(id)
	if c, err := yarn.ParseContainerID(id); err == nil {
		y.Master.Release(c)
	}
}

func (y *YARN) launch(a Launch) {
	select {
	case y.slots <- struct{}{}:
		defer func() { <-y.slots }()
	case <-y.ctx.Done():
		return
	}
	y.mu.Lock()
	c, ok := y.containers[a.In.ID]
	y.mu.Unlock()
	if !ok {
		y.send(LaunchFailed{a.In.ID, "it ended before it was started"})
		return
	}
	launch, err := y.Context(a)
	if err == nil {
		err = y.Nodes.Start(y.ctx, c, launch)
	}
	if err != nil {
		y.send(LaunchFailed{a.In.ID, err.Error()})
		return
	}
	y.send(Launched{a.In.ID})
}

// kill stops the process by its node, and releases the container in case the
// node does not answer.
func (y *YARN) kill(a Kill) {
	y.mu.Lock()
	c, ok := y.containers[a.ContainerID]
	y.mu.Unlock()
	if ok {
		ctx, cancel := context.WithTimeout(y.ctx, 10*time.Second)
		defer cancel()
		if err := y.Nodes.Stop(ctx, c.Node, c.ID); err != nil {
			y.Log.Warn("a node could not be asked to stop a container; it is released", "container", a.ContainerID, "node", a.Node, "cause", err)
		}
	}
	y.release(a.ContainerID)
	y.poke()
}

// How long a node is asked for the end of a process: it takes the time of
// cleaning up after it.
const (
	confirmFor   = 3 * time.Second
	confirmFirst = 20 * time.Millisecond
	confirmPause = 250 * time.Millisecond
)

// confirm asks the node whether a container has ended, and tells its end if it
// has: YARN itself would tell one to two seconds later, or, of a container that
// it gave up, never. A node that does not answer is no evidence of anything.
func (y *YARN) confirm(a Confirm) {
	id := a.ContainerID
	y.mu.Lock()
	c, ok := y.containers[id]
	if ok = ok && !y.confirming[id]; ok {
		y.confirming[id] = true
	}
	y.mu.Unlock()
	if !ok {
		return
	}
	defer func() {
		y.mu.Lock()
		delete(y.confirming, id)
		y.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(y.ctx, confirmFor)
	defer cancel()
	for pause := confirmFirst; ; pause = min(2*pause, confirmPause) {
		s, err := y.Nodes.Status(ctx, c.Node, c.ID)
		switch {
		case err == nil && s.State == yarn.ContainerComplete:
			y.forget(id)
			y.send(Completed{[]Exit{{ContainerID: id, Status: int(s.Exit), Diagnostics: s.Diagnostics}}})
			return
		case errors.Is(err, yarn.ErrContainerUnknown):
			// Its end was seen and has been forgotten since; how it was, only the
			// ResourceManager knows, whose news are on their way if they are not
			// here yet.
			y.forget(id)
			y.send(Forgotten{id})
			return
		case err != nil:
			y.Log.Debug("a node could not be asked how a container is", "container", id, "node", a.Node, "cause", err)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// Finish unregisters; YARN then kills what still runs.
func (y *YARN) Finish(ctx context.Context, f Finish) error {
	y.stop()
	y.beats.Wait()
	if !f.Unregister {
		return nil
	}
	return y.Master.Finish(ctx, yarn.FinalStatus(f.Status), f.Diagnostics, "")
}
