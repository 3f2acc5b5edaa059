package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"heddle/config"
	"heddle/container/events"
	"heddle/internal/console"
	"heddle/system/kafka"
	"heddle/task"
)

type localFlags struct{ quiet, untilCaughtUp bool }

// runLocal runs a whole job in this process.
func (p *program) runLocal(file string, f localFlags) (err error) {
	c, err := readConfig(file)
	if err != nil {
		return err
	}
	newTask, err := p.factory(c)
	if err != nil {
		return err
	}
	if f.untilCaughtUp {
		c = c.With(map[string]string{config.HeddleRunUntilCaughtUp.Name(): "true"})
	}
	show := console.Open(p.stdout, console.Options{Plain: f.quiet, Job: config.JobName.Of(c), Now: p.now})
	defer func() { show.End(err) }()
	log := slog.New(show.Handler())

	j := &localJob{sideInputs: p.sideInputs, getenv: p.getenv}
	j.overdue = func() func() { return p.overdue(config.TaskShutdown.Of(c), log) }
	defer j.over()
	ctx, done := p.watch(context.Background(), j.stop)
	defer done()
	err = j.run(ctx, c, newTask, show, log)
	if j.stopped() && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop while it was starting
	}
	return err
}

// readConfig reads the resolved configuration of a job.
func readConfig(file string) (config.Config, error) {
	var c config.Config
	b, err := os.ReadFile(file)
	if err != nil {
		return c, usage("read the job's configuration (--run-local): %v", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, usage("read the job's configuration from %s: %v", file, err)
	}
	return c, nil
}

// localJob is all containers of a job in one process.
type localJob struct {
	stopper
	sideInputs map[string]task.SideInput
	getenv     func(string) string
}

func (j *localJob) run(ctx context.Context, c config.Config, newTask task.Factory, sink events.Sink, log *slog.Logger) (err error) {
	systems, err := OpenSystems(c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, systems.Close()) }()

	starting, cancel := j.starting(ctx)
	defer cancel()
	if err := tellEmbedded(starting, c, systems, sink); err != nil {
		return err
	}
	pl, err := prepare(starting, c, systems, log)
	if pl.checkpoints != nil {
		defer func() { err = errors.Join(err, pl.checkpoints.Close()) }()
	}
	if err != nil {
		return err
	}
	if err := j.limitMemory(c, len(pl.model.Containers)); err != nil {
		return err
	}
	preloaded, err := preloadedOffsets(c)
	if err != nil {
		return err
	}
	until := config.HeddleRunUntilCaughtUp.Of(c)
	var containers []*Container
	var measured []*measures
	for _, id := range sortedKeys(pl.model.Containers) {
		m := newMeasures(c, id)
		made, err := New(Options{
			Config: c, Model: pl.model.Containers[id], NewTask: newTask, System: systems.Get,
			Checkpoints: pl.checkpoints, Stores: pl.specs, Metrics: m.of, Events: sink, Logger: log,
			UntilCaughtUp: until, Preloaded: preloaded, JobTasks: jobTasks(pl.model),
			SideInputs: j.sideInputs, Ending: j.overdue,
		})
		if err != nil {
			return err
		}
		containers, measured = append(containers, made), append(measured, m)
		stop, err := startReporters(c, systems, m, "", time.Now, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	pages := serveLocal(c, pl.model, containers, measured, j.stop, sink, log)
	defer func() { err = errors.Join(err, pages.close()) }()
	return j.runAll(ctx, containers)
}

// limitMemory gives the process the memory that all containers would have as
// processes of their own. Not where a Kafka lives in it, which holds its topics
// in memory: what that takes has nothing to do with the containers'.
func (j *localJob) limitMemory(c config.Config, containers int) error {
	memory, err := config.ContainerMemoryMB(c)
	if err != nil {
		return err
	}
	for _, name := range config.Systems(c) {
		if config.Embedded(c, name) {
			return nil
		}
	}
	limitMemory(memory*containers, j.getenv)
	return nil
}

// runAll runs the containers until all have ended. When one fails the others
// end in order.
func (j *localJob) runAll(ctx context.Context, containers []*Container) error {
	j.made(containers...)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	for _, c := range containers {
		wg.Go(func() {
			err := c.Run(ctx)
			if err == nil {
				return
			}
			mu.Lock()
			if first == nil {
				first = err
			}
			mu.Unlock()
			for _, other := range containers {
				if other != c {
					other.Stop(fmt.Sprintf("container %s failed", c.opts.Model.ID))
				}
			}
		})
	}
	wg.Wait()
	return first
}

// tellEmbedded starts the embedded Kafka, if the job uses it, and says where it
// listens.
func tellEmbedded(ctx context.Context, c config.Config, systems Systems, sink events.Sink) error {
	for _, name := range sortedKeys(systems) {
		k, ok := systems[name].(*kafka.System)
		if !ok || !k.Embedded() {
			continue
		}
		addresses, err := k.Addresses(ctx)
		if err != nil {
			return err
		}
		sink.Event(events.Service{Name: "embedded Kafka", Address: strings.Join(addresses, ","), Folder: config.HeddleHome.Of(c)})
	}
	return nil
}
