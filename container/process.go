package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system/kafka"
	"heddle/yarn/security"
)

// runContainer runs one container of a job, as the environment says.
func (p *program) runContainer() (err error) {
	log := slog.New(slog.NewTextHandler(p.stdout, nil))
	id, url, execution := p.getenv(launch.EnvContainerID), p.getenv(launch.EnvCoordinatorURL), p.getenv(launch.EnvExecutionID)
	if url == "" {
		return usage("%s is set but %s is not: a container is started by an application master, which sets both", launch.EnvContainerID, launch.EnvCoordinatorURL)
	}
	secrets, err := readSecrets(p.getenv(security.EnvTokenFile))
	if err != nil {
		return err
	}
	job := &process{program: p, log: log, id: id, secrets: secrets, monitored: execution != "", began: p.now()}
	job.overdue = func() func() { return p.overdue(cmp.Or(job.shutdown, orphanGrace), log) }
	defer job.over()
	ctx, done := p.watch(context.Background(), job.terminate)
	defer done()
	log.Info("container starts", "container", id, "execution", execution, "coordinator", url, "pid", os.Getpid())

	credential, _ := secrets.Secret(launch.SecretCredential)
	job.client = coordinator.NewClient(url, id, execution, string(credential))
	defer job.client.Close()
	starting, cancel := job.starting(ctx)
	defer cancel()
	model, err := job.client.JobModel(starting)
	if err == nil {
		err = job.run(ctx, starting, model)
	}
	if err != nil && job.stopped() && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop while it was starting
	}
	if err != nil {
		log.Error("container failed", "container", id, "error", err)
		return blamed(err)
	}
	log.Info("container ended in order", "container", id)
	if job.byTerminate() {
		return errTerminated
	}
	return nil
}

// errTerminated is how a container ends, in order, that was told so by a signal
// and not by its application master: with the exit code of a process that
// SIGTERM ended (Samza's JVM: 143), so that the application master starts it
// again and does not take it for done.
var errTerminated = errors.New("ended by a signal")

// readSecrets reads YARN's credentials file, from which come the container's
// credential and the secret part of the configuration; without one there is
// neither.
func readSecrets(file string) (*security.Credentials, error) {
	if file == "" {
		return &security.Credentials{}, nil
	}
	return security.ReadCredentialsFile(file)
}

// process is one container as a process of its own.
type process struct {
	stopper
	program *program
	log     *slog.Logger
	id      string
	client  *coordinator.Client
	secrets *security.Credentials
	// monitored tells that the application master counts this execution: without an
	// answer of it the process stops itself.
	monitored bool
	began     time.Time
	// terminated: a signal was why. It is guarded by mu.
	terminated bool
	// shutdown is task.shutdown.ms, once it is known, and link the tie to the
	// application master, once there is one. They are guarded by mu.
	shutdown time.Duration
	link     *link
}

// terminate is stop because of a signal.
func (j *process) terminate(why string) {
	j.mu.Lock()
	j.terminated = j.why == "" && !slices.ContainsFunc(j.containers, (*Container).isStopping)
	j.mu.Unlock()
	j.stop(why)
}

func (j *process) byTerminate() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.terminated
}

// mayCommit is Options.MayCommit.
func (j *process) mayCommit(ctx context.Context) error {
	j.mu.Lock()
	l := j.link
	j.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.sure(ctx)
}

// firstContact is how long a container tries to reach Kafka at its start: who
// submitted the job has reached it, so that it is being started anew, perhaps, and a
// container that failed meanwhile would be a failure that counts.
const firstContact = time.Minute

// run makes the container of the model and runs it. starting is for what comes
// before it.
func (j *process) run(ctx, starting context.Context, model jobmodel.JobModel) (err error) {
	p := j.program
	c, err := launch.WithSecrets(model.Config, j.secrets)
	if err != nil {
		return err
	}
	mine, ok := model.Containers[j.id]
	if !ok {
		return fmt.Errorf("the JobModel has no container %q, only %v", j.id, sortedKeys(model.Containers))
	}
	j.mu.Lock()
	j.shutdown = config.TaskShutdown.Of(c)
	j.mu.Unlock()
	if err := limitResources(c, p.getenv, j.log); err != nil {
		return err
	}
	newTask, err := p.factory(c)
	if err != nil {
		return err
	}
	systems, err := openSystems(c, kafka.Options{Logger: j.log, ConnectTimeout: firstContact})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, systems.Close()) }()
	specs, err := storage.Specs(c)
	if err != nil {
		return err
	}
	checkpoints, err := openCheckpoints(starting, c, systems, j.log)
	if err != nil {
		return err
	}
	if checkpoints != nil {
		defer func() { err = errors.Join(err, checkpoints.Close()) }()
	}
	preloaded, err := preloadedOffsets(c)
	if err != nil {
		return err
	}
	m := newMeasures(c, j.id)
	var mayCommit func(context.Context) error
	if !config.ExactlyOnce(c) {
		mayCommit = j.mayCommit
	}
	made, err := New(Options{
		Config: c, Model: mine, MayCommit: mayCommit, NewTask: newTask, System: systems.Get, Checkpoints: checkpoints, Stores: specs,
		Metrics: m.of, Logger: j.log, UntilCaughtUp: config.HeddleRunUntilCaughtUp.Of(c), Preloaded: preloaded, StartedAt: j.began,
		JobTasks: jobTasks(model), Getenv: p.getenv, SideInputs: p.sideInputs, Failpoint: p.failpoint,
		Ending: j.overdue,
	})
	if err != nil {
		return err
	}
	j.made(made)
	hard, endHard := context.WithCancelCause(ctx)
	defer endHard(nil)
	stopLink := j.tie(hard, endHard, c, made, m)
	defer func() { err = stopLink(err) }()
	stopReporters, err := startReporters(c, systems, m, p.getenv(launch.EnvExecutionID), p.now, j.log)
	if err != nil {
		return err
	}
	defer stopReporters()
	return made.Run(hard)
}

// tie starts the link to the application master; the function ends it, after
// a last report, and gives why the container ended.
func (j *process) tie(hard context.Context, endHard context.CancelCauseFunc, c config.Config, made *Container, m *measures) (stop func(error) error) {
	l := &link{
		client: j.client, target: made, running: made.running, end: func(why error) { endHard(why) }, log: j.log, now: time.Now, fenced: config.ExactlyOnce(c),
		report: func() coordinator.Report {
			r := made.Report()
			r.Metrics = m.snapshot()
			return r
		},
	}
	if j.monitored && config.JobHeartbeatMonitor.Of(c) {
		l.silence, l.grace = coordinator.GiveUpAfter, config.TaskShutdown.Of(c)
	}
	j.mu.Lock()
	j.link = l
	j.mu.Unlock()
	ctx, cancel := context.WithCancel(hard)
	var wg sync.WaitGroup
	wg.Go(func() { l.reports(ctx) })
	wg.Go(func() { l.commands(ctx) })
	return func(err error) error {
		cancel()
		wg.Wait()
		return l.last(err)
	}
}

// limitResources makes the Go runtime keep to what the container was given:
// as many processors as cores, and its memory. GOMAXPROCS and GOMEMLIMIT in the
// environment win.
func limitResources(c config.Config, getenv func(string) string, log *slog.Logger) error {
	cores, err := config.ContainerCPUCores(c)
	if err != nil {
		return err
	}
	memory, err := config.ContainerMemoryMB(c)
	if err != nil {
		return err
	}
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, min(cores, runtime.NumCPU())))
	}
	limitMemory(memory, getenv)
	log.Info("resources", "processors", runtime.GOMAXPROCS(0), "memory MiB", memory)
	return nil
}
