package am

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Self is what the application master tells the cluster of itself.
type Self struct {
	// Host and Port are where its HTTP server listens.
	Host string
	Port int
	// TrackingURL is the address of its pages, for YARN's proxy.
	TrackingURL string
}

// Cluster is what gives containers and runs processes in them. Nothing but its
// Start and Finish blocks; what becomes of an action is told as an event.
type Cluster interface {
	// Start makes the application known and from then on sends what happens to
	// events, until ctx ends. An error means that the application cannot run.
	Start(ctx context.Context, self Self, events chan<- Event) error
	// Do begins one of Request, Withdraw, Exclude, Release, Launch, Kill and Confirm.
	Do(a Action)
	// Hurry says whether containers are being waited for, so that it should ask
	// often.
	Hurry(bool)
	// Finish ends the application. After it no process of a container runs.
	Finish(ctx context.Context, f Finish) error
}

// Driver runs a Machine against a Cluster. Its Send may be called from any
// goroutine; everything else belongs to Run's.
type Driver struct {
	// Machine decides; nobody else may use it while Run does.
	Machine *Machine
	Cluster Cluster
	// AskStop passes a request for a graceful end on to a container's process.
	AskStop func(processor, containerID string)
	// Settle notes on which host a container's process runs (host affinity); it
	// must not block.
	Settle func(processor, host string)
	// Observe is shown every step of the machine: what happened, and what follows.
	Observe func(now time.Time, e Event, follows []Action)
	// Publish is told the state after every change, for pages and answers.
	Publish func(Snapshot)
	Log     *slog.Logger
	// Now is the clock; Tick the time between two Tick events.
	Now  func() time.Time
	Tick time.Duration

	events chan Event
}

// Snapshot is the application's state for those who look on.
type Snapshot struct {
	Processors []Processor
	// Alive holds the containers that count, each with its processor.
	Alive    map[string]string
	Needed   int
	Stopping bool
	// Finished is set once the application has ended.
	Finished *Finish
	// Notes are the newest lines worth a person's reading, oldest first.
	Notes []TimedNote
}

// TimedNote is a Note and when it was made.
type TimedNote struct {
	At time.Time
	Note
}

// keptNotes bounds Snapshot.Notes.
const keptNotes = 50

// NewDriver gives a driver with its queue of events, so that events can be sent
// before Run.
func NewDriver(m *Machine, c Cluster) *Driver {
	return &Driver{Machine: m, Cluster: c, Now: time.Now, Tick: time.Second, Log: slog.Default(),
		AskStop: func(string, string) {}, Settle: func(string, string) {}, Observe: func(time.Time, Event, []Action) {}, Publish: func(Snapshot) {},
		events: make(chan Event, 1024)}
}

// Send brings an event from outside (a report, a request to stop). It waits
// while the queue is full, and gives up with ctx.
func (d *Driver) Send(ctx context.Context, e Event) {
	select {
	case d.events <- e:
	case <-ctx.Done():
	}
}

// Run drives the application to its end and returns how that was. The end of
// ctx does not stop it gracefully (that is StopRequested): it leaves everything
// as it is and returns ctx's error.
func (d *Driver) Run(ctx context.Context, self Self, preferred map[string]string) (Finish, error) {
	if err := d.Cluster.Start(ctx, self, d.events); err != nil {
		return Finish{}, fmt.Errorf("start of the application: %w", err)
	}
	var notes []TimedNote
	ticker := time.NewTicker(d.Tick)
	defer ticker.Stop()
	var e Event = Started{Preferred: preferred}
	for {
		now := d.Now()
		var end *Finish
		actions := d.Machine.Step(now, e)
		d.Observe(now, e, actions)
		for _, a := range actions {
			switch a := a.(type) {
			case Finish:
				end = &a
			case Note:
				d.Log.Log(ctx, slog.Level(a.Level), a.Text)
				notes = append(notes, TimedNote{now, a})
				notes = notes[max(0, len(notes)-keptNotes):]
			}
		}
		changed := d.Machine.Changed() || end != nil
		if changed {
			// Before anything is launched: a process may ask at once if it counts.
			d.Publish(d.snapshot(end, notes))
		}
		for _, a := range actions {
			switch a := a.(type) {
			case Finish, Note:
			case AskStop:
				d.AskStop(a.Processor, a.ContainerID)
			case Settle:
				d.Settle(a.Processor, a.Host)
			default:
				d.Cluster.Do(a)
			}
		}
		d.Cluster.Hurry(d.Machine.Hurry())
		if end != nil {
			if err := d.Cluster.Finish(ctx, *end); err != nil {
				return *end, fmt.Errorf("end of the application (%s): %w", end.Status, err)
			}
			return *end, nil
		}
		if e = d.wait(ctx, ticker.C); e == nil {
			return Finish{}, ctx.Err()
		}
	}
}

func (d *Driver) snapshot(end *Finish, notes []TimedNote) Snapshot {
	return Snapshot{
		Processors: d.Machine.Processors(), Alive: d.Machine.Alive(), Needed: d.Machine.Needed(),
		Stopping: d.Machine.Stopping(), Finished: end, Notes: notes[:len(notes):len(notes)],
	}
}

// wait gives the next event; nil when ctx has ended.
func (d *Driver) wait(ctx context.Context, tick <-chan time.Time) Event {
	select {
	case e := <-d.events:
		return e
	case <-tick:
		return Tick{}
	case <-ctx.Done():
		return nil
	}
}
