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

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/storage/snapshot"
	"heddle/system"
	"heddle/task"
)

// Options are all that a container needs from outside.
type Options struct {
	// Config is the job's configuration, secrets included.
	Config config.Config
	// Model is the container's share of the job.
	Model jobmodel.Container
	// NewTask makes one task (task.class).
	NewTask task.Factory
	// System gives a system by its name in the configuration. The container
	// makes consumers and producers of its own and closes those, but not the
	// system.
	System func(name string) (system.System, error)
	// Checkpoints is started already and closed by its owner; nil: none are
	// kept.
	Checkpoints checkpoint.Log
	// Stores are the job's stores (storage.Specs); none if it has none.
	Stores []storage.Spec
	// SideInputs are the program's functions that make entries of the messages of
	// side inputs, by name.
	SideInputs map[string]task.SideInput
	// Snapshots keeps copies of stores on disk; nil: as the configuration says
	// (heddle.snapshot.uri).
	Snapshots storage.Snapshots
	// JobTasks are the names of all tasks of the job. Local state of others is
	// removed; nil: they are not known, and it is not.
	JobTasks []string
	// Getenv reads the environment; nil: os.Getenv.
	Getenv func(string) string
	// Metrics gives the registry of a task by its name, and that of the
	// container for "".
	Metrics func(taskName string) task.Metrics
	// Events is told what happens; nil: nobody.
	Events events.Sink
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now. Timers run by package time.
	Now func() time.Time
	// UntilCaughtUp ends the container in order once every input is read to the
	// end that it had at the start.
	UntilCaughtUp bool
	// Preloaded are the offsets of the first preloaded records.
	Preloaded map[system.Partition]int64
	// StartedAt is when the process began; zero: when New is called.
	StartedAt time.Time
	// Failpoint is called at each step of each commit, and after each window; its
	// error fails the container there. For tests.
	Failpoint func(taskName string, s Step) error
}

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
	queries   queries
	flows     flows
	counts    containerCounts
	// parallel is how many tasks are opened at a time.
	parallel  int
	startedAt time.Time

	votes, caught atomic.Int32

	mu       sync.Mutex
	stopping string // why; "" while running
	paused   bool
	live     bool // the tasks run and take signals
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
	}
	if s.exactlyOnce {
		if c.exactly, err = newExactlyOnce(o); err != nil {
			return nil, fmt.Errorf("container %s: %w", o.Model.ID, err)
		}
	}
	c.resolved.config = o.Config
	c.counts = newContainerCounts(o.Metrics(""))
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

// Stop begins the graceful end and returns at once. It may be called at any
// time, also before Run and more than once; why is for people.
func (c *Container) Stop(why string) { c.stop(why) }

func (c *Container) stop(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping != "" {
		return
	}
	c.stopping = why
	c.log.Info("stopping", "why", why)
	c.events.Event(events.Stopping{Container: c.opts.Model.ID, Why: why})
	if c.endBegun != nil {
		c.endBegun()
	}
	if c.live {
		for _, t := range c.tasks {
			t.sig.raise(signalStop)
		}
	}
}

func (c *Container) isStopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping != ""
}

// SetPaused holds the tasks or lets them go on. While they are held they
// process nothing and their windows wait; commits go on.
func (c *Container) SetPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
	if c.live {
		c.signalPaused()
	}
}

// signalPaused needs c.mu.
func (c *Container) signalPaused() {
	for _, t := range c.tasks {
		if c.paused {
			t.sig.raise(signalPause)
		} else {
			t.sig.lower(signalPause)
		}
	}
}

// CommitAll asks every task for a commit.
func (c *Container) CommitAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		return
	}
	for _, t := range c.tasks {
		t.askCommit()
	}
}

func (c *Container) commitAll() { c.CommitAll() }

func (c *Container) vote() {
	if int(c.votes.Add(1)) == len(c.tasks) {
		c.stop("all tasks asked for it")
	}
}

func (c *Container) caughtUp() {
	if int(c.caught.Add(1)) == len(c.tasks) {
		c.stop("every input is read to the end that it had at the start")
	}
}

// fail ends everything at once; the first failure is the container's.
func (c *Container) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.failure = err
		c.log.Error("failed", "error", err)
	}
	c.endHard(err)
	if c.live {
		for _, t := range c.tasks {
			t.sig.raise(signalAbort)
		}
	}
}

// start brings the container to the point where its tasks may be called, in
// Samza's order: checkpoints and starting positions, producers, stores, the
// commit at the start, Init, consumers. With exactly-once it takes over the
// tasks' transactions before all of that.
func (c *Container) start() error {
	if len(c.opts.Model.Tasks) == 0 {
		return fmt.Errorf("container %s has no tasks; lower job.container.count", c.opts.Model.ID)
	}
	if err := c.buildTasks(); err != nil {
		return err
	}
	if err := c.takeOver(); err != nil {
		return err
	}
	starts, err := c.positions()
	if err != nil {
		return err
	}
	c.announce(starts)
	if err := c.assignLanes(starts); err != nil {
		return err
	}
	c.mu.Lock()
	c.published = c.tasks
	c.mu.Unlock()
	if err := c.findChangelogs(); err != nil {
		return err
	}
	if err := c.findState(); err != nil {
		return err
	}
	if err := c.openShared(); err != nil {
		return err
	}
	if err := c.openSnapshots(); err != nil {
		return err
	}
	if err := c.each(c.parallel, c.open); err != nil {
		return err
	}
	c.cleanState()
	if err := c.consume(starts); err != nil {
		return err
	}
	return c.follow()
}

// How many tasks restore and initialise at a time.
const startParallel = 16

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

// each calls f for every task, a number of them at a time, until one fails or
// the container is told to end.
func (c *Container) each(limit int, f func(*instance) error) error {
	var (
		wg   sync.WaitGroup
		next atomic.Int32
		mu   sync.Mutex
		errs error
	)
	for range min(limit, len(c.tasks)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				mu.Lock()
				stop := errs != nil
				mu.Unlock()
				if i >= len(c.tasks) || stop {
					return
				}
				err := c.begun.Err()
				if err == nil {
					err = f(c.tasks[i])
				}
				if err != nil {
					mu.Lock()
					if errs == nil {
						errs = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return errs
}

// open readies one task: its stores, the commit at the start, Init.
func (c *Container) open(t *instance) error {
	if err := c.openStores(t); err != nil {
		return err
	}
	t.measureStores()
	t.lastCommit = c.now()
	if t.sealAtStart() {
		if err := t.commit(); err != nil {
			return fmt.Errorf("at the start: %w", err)
		}
	}
	t.opened = true
	if err := t.initialize(); err != nil {
		return err
	}
	t.ready = true
	return nil
}

// finishStarted ends in order the tasks that were ready when the container was
// told to end before all were: their Init may have sent something.
func (c *Container) finishStarted() error {
	limit := time.AfterFunc(c.settings.shutdown, func() {
		c.fail(fmt.Errorf("container %s: not stopped after %v (task.shutdown.ms)", c.opts.Model.ID, c.settings.shutdown))
	})
	defer limit.Stop()
	for _, t := range c.tasks {
		if !t.ready {
			continue
		}
		if err := t.finish(); err != nil {
			return err
		}
	}
	return nil
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
