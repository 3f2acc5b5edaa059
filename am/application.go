package am

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"heddle/config"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/system"
)

// Options say what an Application is made of.
type Options struct {
	// Config is the job's, with its secrets.
	Config  config.Config
	Systems map[string]system.System
	// Secret is the job's, of which the containers' credentials are made.
	Secret []byte
	// Who says who the application is; what changes while it runs is filled in
	// by Job.
	Who coordinator.Job
	// Host is the name under which containers reach the HTTP server; "" for
	// this machine's.
	Host string
	// Cluster makes the cluster, once the HTTP server listens at the URL.
	Cluster func(coordinatorURL string, m jobmodel.JobModel) (Cluster, error)
	// LogURL gives where a container's logs are; nil for nowhere.
	LogURL func(Allocation) string
	Log    *slog.Logger
	// OnStatus, if set, is told after every change.
	OnStatus func(Snapshot)
}

// Application is a job with a coordinator and containers of its own: on YARN,
// or as processes of one machine.
type Application struct {
	Options
	driver *Driver
	server *coordinator.Server
	// locality is where the containers run; nil without host affinity.
	locality *coordinator.Locality
	latest   atomic.Pointer[Snapshot]
	history  *history
	began    time.Time
	// ready is closed once driver and server can be used from outside.
	ready chan struct{}
}

// Times of the contact between application master and containers. A container
// that has not reached the coordinator for coordinator.GiveUpAfter stops itself;
// the machine replaces it only after Plan.Silence, which is longer by what a
// graceful stop may take.
const (
	// quietReports is how many reports may be missing before the container's node
	// is asked: a busy container may be late with one.
	quietReports = 5
	// startSilence leaves time to bring the package to a node.
	startSilence = 10 * time.Minute
	// stopMargin is added to task.shutdown.ms for the final commit and exit.
	stopMargin = 10 * time.Second
)

// NewApplication makes an application that Run starts.
func NewApplication(o Options) *Application {
	a := &Application{Options: o, ready: make(chan struct{}), history: &history{logURL: o.LogURL}}
	if a.Log == nil {
		a.Log = slog.Default()
	}
	a.latest.Store(&Snapshot{})
	return a
}

// Run starts the job and drives it to its end. See Driver.Run for ctx.
func (a *Application) Run(ctx context.Context) (Finish, error) {
	a.began = time.Now()
	started, err := coordinator.Start(ctx, a.Config, a.Systems, a.Log)
	if err != nil {
		return Finish{}, err
	}
	defer started.Close()
	for _, w := range started.Warnings {
		a.Log.Warn(w)
	}
	if a.server, err = coordinator.NewServer(coordinator.Options{
		Model: started.Model, Config: a.Config, Secret: a.Secret, State: a, Events: a, Logger: a.Log, Executions: a.history.Executions,
	}); err != nil {
		return Finish{}, err
	}
	if err := a.server.Listen(a.Host, config.ClusterManagerURLPort.Of(a.Config)); err != nil {
		return Finish{}, err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = a.server.Shutdown(bounded)
	}()
	if err := started.Stream.Write(ctx, coordinator.SetConfig(config.YarnAMTrackingURL.Name(), a.server.URL(), coordinator.SourceWriter)); err != nil {
		return Finish{}, err
	}
	cluster, err := a.Cluster(a.server.URL(), started.Model)
	if err != nil {
		return Finish{}, err
	}
	plan := PlanOf(a.Config, started.Model)
	a.driver = NewDriver(NewMachine(plan), cluster)
	a.driver.Log = a.Log
	a.driver.Observe = a.history.see
	a.driver.AskStop = func(processor, containerID string) {
		a.server.Send(processor, containerID, coordinator.CommandStop, map[string]string{"reason": "the job is stopping"})
	}
	if plan.HostAffinity {
		a.locality = coordinator.NewLocality(started.Stream, started.Hosts, a.Log)
		defer a.locality.Close(ctx)
		a.driver.Settle = a.locality.Set
	}
	a.driver.Publish = func(s Snapshot) {
		a.latest.Store(&s)
		if a.OnStatus != nil {
			a.OnStatus(s)
		}
	}
	self, err := selfOf(a.server.URL())
	if err != nil {
		return Finish{}, err
	}
	close(a.ready)
	return a.driver.Run(ctx, self, started.Hosts)
}

// selfOf splits the server's URL.
func selfOf(server string) (Self, error) {
	u, err := url.Parse(server)
	if err != nil {
		return Self{}, fmt.Errorf("the coordinator's own address: %w", err)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return Self{}, fmt.Errorf("the coordinator's own address: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return Self{}, fmt.Errorf("the coordinator's own address: %w", err)
	}
	return Self{Host: host, Port: n, TrackingURL: server + "ui/"}, nil
}

// PlanOf reads what the machine needs from the configuration.
func PlanOf(c config.Config, m jobmodel.JobModel) Plan {
	shutdown := config.TaskShutdown.Of(c)
	return Plan{
		Processors: m.ContainerIDs(),
		Retry: RetryPolicy{
			Count:   config.ContainerRetryCount.Of(c),
			Window:  config.ContainerRetryWindow.Of(c),
			FailJob: config.ContainerFailJob.Of(c),
		},
		HostAffinity:   config.JobHostAffinity.Of(c),
		RequestTimeout: config.ContainerRequestTimeout.Of(c),
		LastRetryDelay: lastRetryDelay(c),
		Silence:        coordinator.GiveUpAfter + shutdown + stopMargin,
		Quiet:          quietReports * coordinator.ReportEvery(len(m.ContainerIDs())),
		StartSilence:   startSilence,
		StopTimeout:    shutdown + stopMargin,
	}
}

// lastRetryDelay is Samza's: a second more than the key says, and none if it
// says 0.
func lastRetryDelay(c config.Config) time.Duration {
	d := config.ContainerLastRetryDelay.Of(c)
	if d <= 0 {
		return 0
	}
	return d + time.Second
}

// Status is the application as the pages show it; before the server listens it
// is empty.
func (a *Application) Status() coordinator.Status {
	select {
	case <-a.ready:
		return a.server.Status()
	default:
		return coordinator.Status{}
	}
}

// Stop asks for a graceful end.
func (a *Application) Stop(ctx context.Context, reason string, killed bool) {
	select {
	case <-a.ready:
		a.driver.Send(ctx, StopRequested{Reason: reason, Killed: killed})
	case <-ctx.Done():
	}
}

// Job is what the server shows of the whole (coordinator.State).
func (a *Application) Job() coordinator.Job {
	s := a.latest.Load()
	j := a.Who
	j.StartedAt = a.began
	if a.server != nil {
		j.TrackingURL = cmp.Or(j.TrackingURL, a.server.URL()+"ui/")
	}
	switch {
	case s.Finished != nil:
		j.State, j.FinalStatus, j.Diagnostics = coordinator.JobFinished, string(s.Finished.Status), s.Finished.Diagnostics
		if s.Finished.Status == Failed {
			j.State = coordinator.JobFailed
		}
	case s.Stopping:
		j.State = coordinator.JobStopping
	case s.Needed > 0 || len(s.Processors) == 0:
		j.State = coordinator.JobStarting
	default:
		j.State = coordinator.JobRunning
	}
	// A warning is told until what it is about is mended.
	if j.Diagnostics == "" && !settled(s.Processors) {
		for _, n := range slices.Backward(s.Notes) {
			if n.Level >= int(slog.LevelWarn) {
				j.Diagnostics = n.Text
				break
			}
		}
	}
	return j
}

// settled says if every container processes, or has ended as it should.
func settled(all []Processor) bool {
	return !slices.ContainsFunc(all, func(p Processor) bool { return p.Phase != Done && !p.Processing })
}

// Containers describes each container (coordinator.State).
func (a *Application) Containers() []coordinator.Container {
	s := a.latest.Load()
	memory, _ := config.ContainerMemoryMB(a.Config)
	cores, _ := config.ContainerCPUCores(a.Config)
	out := make([]coordinator.Container, 0, len(s.Processors))
	for _, p := range s.Processors {
		c := coordinator.Container{
			ID: p.ID, ExecutionID: p.In.ID, Host: p.In.Host, State: stateOf(p, s.Stopping),
			Starts: p.Attempts, Failures: p.Failed, LastExit: p.LastError, StartedAt: p.Started,
			MemoryMB: memory, Cores: cores,
		}
		if a.LogURL != nil && p.In.ID != "" {
			c.LogURL = a.LogURL(p.In)
		}
		out = append(out, c)
	}
	return out
}

func stateOf(p Processor, stopping bool) string {
	switch p.Phase {
	case Waiting:
		return coordinator.ContainerWaiting
	case Launching:
		return coordinator.ContainerStarting
	case Leaving:
		return coordinator.ContainerStopping
	case Running:
		switch {
		case stopping:
			return coordinator.ContainerStopping
		case p.Processing:
			return coordinator.ContainerRunning
		}
		return coordinator.ContainerStarting
	case GivenUp:
		return coordinator.ContainerFailed
	default:
		return coordinator.ContainerStopped
	}
}

// Alive tells whether the execution is a container's present one
// (coordinator.State; Samza's containerHeartbeat).
func (a *Application) Alive(executionID string) bool {
	_, ok := a.latest.Load().Alive[executionID]
	return ok
}

// Hosts gives where the containers are, with host affinity only, as Samza does
// (coordinator.State).
func (a *Application) Hosts() map[string]string {
	select {
	case <-a.ready:
	default:
		return nil
	}
	if a.locality == nil {
		return nil
	}
	return a.locality.Hosts()
}

// ContainerLost passes on that a container's poll was cut (coordinator.Events).
// If the queue is full it is dropped: YARN tells the end later.
func (a *Application) ContainerLost(id, executionID string) {
	select {
	case <-a.ready:
	default:
		return
	}
	select {
	case a.driver.events <- LinkBroken{id, executionID}:
	default:
	}
}

// ContainerReport passes a container's report on (coordinator.Events). One that
// finds the queue full is dropped: the next comes within a second.
func (a *Application) ContainerReport(id string, r coordinator.Report) {
	e := Reported{Processor: id, ContainerID: r.ExecutionID, Processing: r.State == coordinator.ContainerRunning || r.State == coordinator.ContainerPaused}
	if r.State == coordinator.ContainerFailed {
		e.Error = r.LastError
	}
	e.Ended = r.State == coordinator.ContainerFailed || r.State == coordinator.ContainerStopped
	select {
	case <-a.ready:
	default:
		return // nothing was started yet: a process of another run
	}
	select {
	case a.driver.events <- e:
	default:
	}
}

// StopRequested passes a person's request on (coordinator.Events).
func (a *Application) StopRequested(reason string) {
	go func() {
		<-a.ready
		a.driver.Send(context.Background(), StopRequested{Reason: reason, Killed: true})
	}()
}
