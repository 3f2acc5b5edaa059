package container

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"heddle/config"
	"heddle/container/events"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/jobmodel"
)

// localPages serves the pages of a job that runs in one process, and what can be
// asked of its state: the application master's part without an application
// master.
type localPages struct {
	who        coordinator.Job
	began      time.Time
	containers []*Container
	stop       func(why string)

	server *coordinator.Server
	forget func()
	end    context.CancelFunc
	links  sync.WaitGroup
}

// serveLocal starts the pages of the containers. The job runs without them, too:
// what goes wrong here is a warning.
func serveLocal(c config.Config, m jobmodel.JobModel, containers []*Container, measured []*measures, stop func(string), sink events.Sink, log *slog.Logger) *localPages {
	p := &localPages{
		containers: containers, stop: stop, began: time.Now(),
		who: coordinator.Job{Name: config.JobName.Of(c), ID: config.JobID.Of(c), User: os.Getenv("USER"), Factory: "thread"},
	}
	if err := p.listen(c, m, log); err != nil {
		log.Warn("the job has no page, and its state cannot be asked for", "error", err)
		return p
	}
	sink.Event(events.Service{Name: "page", Address: p.server.URL() + "ui/"})
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	for i, con := range containers {
		l := &link{
			client: localClient{p.server, con.opts.Model.ID}, target: con, running: con.running, end: func(error) {}, log: log, now: time.Now,
			report: func() coordinator.Report {
				r := con.Report()
				r.Metrics = measured[i].snapshot()
				return r
			},
		}
		p.links.Go(func() { l.reports(ctx) })
		p.links.Go(func() { l.commands(ctx) })
	}
	return p
}

func (p *localPages) listen(c config.Config, m jobmodel.JobModel, log *slog.Logger) error {
	secret, err := coordinator.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	// Nobody is told the secret: nothing can be changed from outside.
	if p.server, err = coordinator.NewServer(coordinator.Options{Model: m, Config: c, Secret: secret, State: p, Events: p, Logger: log}); err != nil {
		return err
	}
	if err := p.server.Listen("localhost", 0); err != nil {
		return err
	}
	p.forget, err = launch.TellAddress(config.HeddleHome.Of(c), p.who.Name+"_"+p.who.ID, p.server.URL())
	if err != nil {
		return errors.Join(err, p.shutdown())
	}
	return nil
}

func (p *localPages) shutdown() error {
	bounded, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.server.Shutdown(bounded)
}

// close ends the pages.
func (p *localPages) close() error {
	if p.end == nil {
		return nil
	}
	p.forget()
	p.end()
	p.links.Wait()
	return p.shutdown()
}

// Job is coordinator.State's.
func (p *localPages) Job() coordinator.Job {
	j := p.who
	j.StartedAt, j.State = p.began, coordinator.JobRunning
	for _, c := range p.containers {
		switch c.Report().State {
		case coordinator.ContainerStarting, coordinator.ContainerRestoring:
			j.State = coordinator.JobStarting
		case coordinator.ContainerStopping, coordinator.ContainerStopped, coordinator.ContainerFailed:
			j.State = coordinator.JobStopping
			return j
		}
	}
	return j
}

// Containers is coordinator.State's.
func (p *localPages) Containers() []coordinator.Container {
	out := make([]coordinator.Container, len(p.containers))
	for i, c := range p.containers {
		out[i] = coordinator.Container{
			ID: c.opts.Model.ID, ExecutionID: localExecution(c.opts.Model.ID), State: coordinator.ContainerRunning,
			StartedAt: c.startedAt, Starts: 1,
		}
	}
	return out
}

// localExecution is the execution of a container of a job in one process; each
// runs once.
func localExecution(id string) string { return "local_" + id }

// Alive is coordinator.State's.
func (p *localPages) Alive(string) bool { return true }

// Hosts is coordinator.State's.
func (p *localPages) Hosts() map[string]string { return nil }

// ContainerReport is coordinator.Events'.
func (p *localPages) ContainerReport(string, coordinator.Report) {}

// ContainerLost is coordinator.Events'.
func (p *localPages) ContainerLost(string, string) {}

// StopRequested is coordinator.Events'.
func (p *localPages) StopRequested(reason string) { p.stop(reason) }

// localClient is the way to a server in the same process.
type localClient struct {
	server *coordinator.Server
	id     string
}

func (l localClient) Next(ctx context.Context, after int64) ([]coordinator.Command, error) {
	commands, err := l.server.Next(ctx, l.id, localExecution(l.id), after)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", l.id, err)
	}
	return commands, nil
}

// Report is never refused: the server and the containers end together.
func (l localClient) Report(_ context.Context, r coordinator.Report) (coordinator.Reply, error) {
	r.ExecutionID = localExecution(l.id)
	return l.server.Report(l.id, r), nil
}

func (l localClient) Answer(_ context.Context, question string, a coordinator.Answer) error {
	l.server.Answered(l.id, question, a)
	return nil
}
