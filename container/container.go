package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"heddle/container/events"
	"heddle/storage"
	"heddle/storage/snapshot"
	"heddle/system"
	"heddle/task"
)

// Container runs the tasks of one container once.
type Container struct {
	opts     Options
	settings *settings
	log      *slog.Logger
	events   events.Sink
	now      func() time.Time

	// hard ends when everything is to end at once; its cause is why.
	hard    context.Context //nolint:containedctx // it is the container's life
	endHard context.CancelCauseFunc
	// begun ends as soon as the container is told to end, in order or not: the
	// start and the fetches stop.
	begun    context.Context //nolint:containedctx // it is a part of the container's life
	endBegun context.CancelFunc

	tasks     []*instance
	consumers map[string]system.Consumer
	producers map[string]system.Producer
	fetchers  map[string]*fetcher
	exactly   *exactlyOnce // nil: at-least-once
	resolved  resolver
	// changelogSystems and changelogEnds are what restoring asks.
	changelogSystems map[string]system.System
	changelogEnds    storage.EndsFunc
	// disk is where stores on disk lie.
	disk stateFolders
	side *sides
	// snapshots are who keeps copies of them, nil: nobody; keeper is our own.
	snapshots storage.Snapshots
	keeper    *snapshot.Keeper
	scans     openScans
	flows     flows
	lags      lags
	counts    containerCounts
	// parallel is how many tasks are opened at a time.
	parallel  int
	startedAt time.Time

	votes, caught atomic.Int32

	mu       sync.Mutex
	stopping string // why; "" while running
	// limit fails the container when its graceful end is not over by stopBy.
	limit  *time.Timer
	stopBy time.Time
	paused bool
	live   bool // the tasks run and take signals
	// running is closed when live is set.
	running chan struct{}
	// published are the tasks, once others may look at them.
	published []*instance
	failure   error
	over      bool // Run is about to return
}

// New checks the options and makes a container that has not begun.
func New(o Options) (*Container, error) {
	s, err := readSettings(o.Config, o.Model.ID)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", o.Model.ID, err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	s.untilCaughtUp = o.UntilCaughtUp
	s.showSamples = o.Events != nil
	if o.Events == nil {
		o.Events = events.Discard{}
	}
	side, err := splitSideInputs(&o)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", o.Model.ID, err)
	}
	c := &Container{
		side: side,
		opts: o, settings: s, events: o.Events, now: o.Now,
		log:       o.Logger.With("container", o.Model.ID),
		consumers: map[string]system.Consumer{},
		producers: map[string]system.Producer{},
		parallel:  startParallel,
		fetchers:  map[string]*fetcher{},
		running:   make(chan struct{}),
	}
	if s.exactlyOnce {
		if c.exactly, err = newExactlyOnce(o); err != nil {
			return nil, fmt.Errorf("container %s: %w", o.Model.ID, err)
		}
	}
	c.resolved.config = o.Config
	own := o.Metrics("")
	c.counts, c.lags.registry = newContainerCounts(own), own
	if c.startedAt = o.StartedAt; c.startedAt.IsZero() {
		c.startedAt = c.now()
	}
	// Many tasks share what one may take.
	c.settings.arenaChunk = max(minChunk, min(maxChunk, (4<<20)/max(len(o.Model.Tasks), 1)))
	return c, nil
}

// Run runs the tasks until they end by themselves, Stop is called, one fails,
// or ctx ends, which ends everything at once without a commit. It returns nil
// after a graceful end only. Run is called once.
func (c *Container) Run(ctx context.Context) (err error) {
	c.mu.Lock()
	c.hard, c.endHard = context.WithCancelCause(ctx)
	c.begun, c.endBegun = context.WithCancel(c.hard)
	told := c.stopping != ""
	c.mu.Unlock()
	defer c.endLimit()
	defer c.endHard(nil)
	defer c.endBegun()
	if told {
		c.endBegun()
	}
	defer func() {
		c.events.Event(events.Stopped{Container: c.opts.Model.ID, Err: err})
	}()
	err = c.start()
	if err == nil {
		err = c.work()
		c.events.Event(c.progress())
	} else if c.begun.Err() != nil && c.hard.Err() == nil {
		// Told to stop before anything was processed.
		if !errors.Is(err, context.Canceled) {
			c.log.Warn("the start failed, but it was told to stop already", "error", err)
		}
		err = c.finishStarted()
	} else if late := c.failed(); late != nil {
		err = late // told to stop, and something of the start did not end
	}
	if c.opts.Ending != nil {
		defer c.opts.Ending()()
	}
	err = c.shut(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.failure == nil {
		c.failure = err
	}
	return err
}

// work runs the tasks to their end.
func (c *Container) work() error {
	fetchCtx, endFetch := context.WithCancel(c.begun)
	defer endFetch()
	var fetching, running sync.WaitGroup
	for _, f := range c.fetchers {
		fetching.Go(func() {
			if err := f.run(fetchCtx); err != nil {
				c.fail(err)
			}
		})
	}
	c.mu.Lock()
	c.live = true
	close(c.running)
	if c.stopping != "" {
		for _, t := range c.tasks {
			t.sig.raise(signalStop)
		}
	}
	if c.paused {
		c.signalPaused()
	}
	c.mu.Unlock()
	// The end of the caller's context has to reach tasks that wait.
	stopWatch := context.AfterFunc(c.hard, func() {
		for _, t := range c.tasks {
			t.sig.raise(signalAbort)
		}
	})
	defer stopWatch()
	for _, t := range c.tasks {
		t.busy.Store(true)
		running.Go(func() {
			defer t.busy.Store(false)
			if err := t.loop(); err != nil && !errors.Is(err, errAborted) {
				c.fail(err)
			}
		})
	}
	stopTimers := c.startTimers()
	defer stopTimers()
	c.counts.startup.Set(float64(c.now().Sub(c.startedAt).Milliseconds()))
	c.log.Info("running", "tasks", len(c.tasks), "started in", c.now().Sub(c.startedAt).Round(time.Millisecond))
	c.events.Event(events.Running{Container: c.opts.Model.ID})
	c.checkCaughtUp()

	c.await(&running)
	endFetch()
	fetching.Wait()
	return c.cause()
}

// startTimers starts windows, commits and the progress of each second.
func (c *Container) startTimers() (stop func()) {
	var stops []func()
	for i, t := range c.tasks {
		if c.settings.window > 0 {
			if _, ok := t.task.(task.Windower); ok {
				stops = append(stops, every(c.settings.window, c.settings.window, func() { t.sig.raise(signalWindow) }))
			}
		}
		if c.settings.commit > 0 {
			stops = append(stops, every(staggered(c.settings.commit, i, len(c.tasks)), c.settings.commit, func() { t.sig.raise(signalCommit) }))
		}
	}
	if c.settings.showSamples {
		for _, t := range c.tasks {
			t.sig.raise(signalSample) // the first message of each
		}
		stops = append(stops, every(time.Second, time.Second, c.tick))
	}
	return func() {
		for _, s := range stops {
			s()
		}
	}
}

func (c *Container) tick() {
	for _, t := range c.tasks {
		t.sig.raise(signalSample)
	}
	c.events.Event(c.progress())
}

// checkCaughtUp counts the tasks that have nothing to read from the start.
func (c *Container) checkCaughtUp() {
	if !c.settings.untilCaughtUp {
		return
	}
	for _, t := range c.tasks {
		if len(t.lanes) == 0 || t.nothingToRead {
			c.caughtUp()
		}
	}
}
