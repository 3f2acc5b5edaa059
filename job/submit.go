package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"heddle/am"
	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/system/files"
	"heddle/yarn"
	"heddle/yarn/security"
)

// runOnYARN submits the job and follows it until it runs, or has ended.
//
// A Ctrl-C during the submit withdraws it; later ones leave the job running. The
// second one ends run-job at once.
func (j *Job) runOnYARN(ctx context.Context, o RunOptions) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	for _, name := range config.Systems(j.Config) {
		if config.Embedded(j.Config, name) {
			key := "systems." + name + ".producer.bootstrap.servers"
			return &config.Error{Key: key, Origin: j.Config.Origin(key), Problem: "the embedded Kafka lives in a process of this machine, which YARN's nodes cannot reach", Hint: "name a real Kafka, or run the job without job.factory.class"}
		}
	}
	if err := checkStoreBase(os.Getenv(launch.EnvStoreBase)); err != nil {
		return err
	}
	if err := j.checkPreloads(); err != nil {
		return err
	}
	c, err := OpenCluster(j.log)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Staging = config.YarnStagingDirectory.Of(j.Config)
	r, err := j.check(ctx, o.Building)
	if err != nil {
		return err
	}
	defer r.close()
	running, err := j.alone(ctx, c, o.Replace)
	if err != nil {
		return err
	}
	id, maximum, err := c.client.NewApplication(ctx)
	if err != nil {
		return err
	}
	if err := j.fits(maximum); err != nil {
		return err
	}
	fs, err := c.stagingFS(ctx, "")
	if err != nil {
		return err
	}
	defer fs.Close()
	// Nothing was changed so far, and what takes longest comes last. What runs is
	// stopped for a replacement once everything else is known to be right.
	b, err := j.findPackage(ctx, c, o.Building)
	if err != nil {
		return err
	}
	snapshots, err := j.checkSnapshots(ctx, true)
	if err != nil {
		return err
	}
	j.say.Release()
	if err := j.replace(ctx, c, running); err != nil {
		return err
	}
	s := submission{snapshots: snapshots, job: j, cluster: c, fs: fs, id: id, folder: stagingFolder(fs, c.Staging, id.String())}
	report, err := s.run(ctx, r, b, o)
	if err != nil {
		// Nothing half done: neither files nor an application are left.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if ctx.Err() != nil {
			err = failedError{fmt.Errorf("interrupted: the submit of %s was withdrawn", s.id), ExitFailed}
		}
		return errors.Join(err, s.undo(bounded))
	}
	s.sweep(ctx)
	if o.Detach {
		j.say.Step("%s", report.ID)
		fmt.Fprintln(o.Stdout, report.ID)
		return nil
	}
	ended, err := j.follow(ctx, c, report, o)
	if ended {
		err = errors.Join(err, s.remove(context.WithoutCancel(ctx)))
	}
	return err
}

// alone refuses a job that runs already, or gives the applications that are to
// be replaced.
func (j *Job) alone(ctx context.Context, c *Cluster, replace bool) ([]yarn.ApplicationReport, error) {
	running, err := c.named(ctx, j.Name(), live...)
	if err == nil && !replace && len(running) > 0 {
		err = refusedError{alreadyRuns(j.Name(), running[0])}
	}
	return running, err
}

// replace stops what runs.
func (j *Job) replace(ctx context.Context, c *Cluster, running []yarn.ApplicationReport) error {
	for _, r := range running {
		j.say.Step("replace   stopping %s", r.ID)
		if err := c.stop(ctx, r, "replaced by a new submit", config.TaskShutdown.Of(j.Config), j.say); err != nil {
			return err
		}
	}
	return nil
}

// checkStoreBase refuses a base for local state that would lie in the work folder
// of each container, and go with it; "": none is set.
func checkStoreBase(dir string) error {
	if dir == "" || strings.HasPrefix(dir, "/") {
		return nil
	}
	return Usage("%s=%s: it would lie in the container's work folder, which YARN removes with the container; set it to a folder that is there on every node, a path from /", launch.EnvStoreBase, dir)
}

func alreadyRuns(name string, r yarn.ApplicationReport) error {
	return fmt.Errorf("the job %s runs already as %s (%s); stop it with run-job kill %s, or submit with --replace", name, r.ID, r.State, r.ID)
}

// fits compares what the job asks for with the largest container there is.
func (j *Job) fits(maximum yarn.Resource) error {
	memory, err := config.ContainerMemoryMB(j.Config)
	if err != nil {
		return err
	}
	cores, err := config.ContainerCPUCores(j.Config)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		key          string
		wants, limit int
		what         string
	}{
		{config.ContainerMemory.Found(j.Config), memory, int(maximum.MemoryMiB), "MiB of memory"},
		{config.ContainerCores.Found(j.Config), cores, int(maximum.VCores), "cores"},
		{config.YarnAMMemory.Name(), config.YarnAMMemory.Of(j.Config), int(maximum.MemoryMiB), "MiB of memory"},
		{config.YarnAMCores.Name(), config.YarnAMCores.Of(j.Config), int(maximum.VCores), "cores"},
	} {
		if v.wants > v.limit {
			return &config.Error{Key: v.key, Origin: j.Config.Origin(v.key),
				Problem: fmt.Sprintf("%d %s is more than the cluster gives one container, at most %d", v.wants, v.what, v.limit),
				Hint:    "ask for less"}
		}
	}
	return nil
}

// submission is one submit under way.
type submission struct {
	job     *Job
	cluster *Cluster
	fs      files.FileSystem
	id      yarn.ApplicationID
	folder  string
	// snapshots is where snapshots lie, as a key of the configuration.
	snapshots map[string]string

	submitted bool
}

// run uploads, submits, makes sure that no other submit of the job was earlier,
// and only then changes what the job's earlier runs left: its coordinator
// stream.
func (s *submission) run(ctx context.Context, r *ready, b bundle, o RunOptions) (yarn.ApplicationReport, error) {
	j := s.job
	secret, err := coordinator.NewSecret(rand.Reader)
	if err != nil {
		return yarn.ApplicationReport{}, err
	}
	if b.local != "" {
		if b.remote, err = j.upload(ctx, s.fs, b.local, s.folder+"/"+j.Name()+".tar.gz"); err != nil {
			return yarn.ApplicationReport{}, err
		}
	}
	put, err := s.fs.Put(ctx, s.folder+"/secret", strings.NewReader(coordinator.SecretText(secret)+"\n"), 0o600)
	if err != nil {
		return yarn.ApplicationReport{}, err
	}
	if err := keepSecret(s.id.String(), secret); err != nil {
		return yarn.ApplicationReport{}, err
	}
	master, err := s.master(secret, b.remote, strings.TrimSuffix(put.URI, "/secret"))
	if err != nil {
		return yarn.ApplicationReport{}, err
	}
	c := j.Config
	report, err := s.cluster.client.Submit(ctx, yarn.Submission{
		ID: s.id, Name: j.Name(), Type: config.YarnApplicationType.Of(c), Queue: config.YarnQueue.Of(c),
		Master: master,
		Resource: yarn.Resource{
			MemoryMiB: int64(config.YarnAMMemory.Of(c)), VCores: int32(config.YarnAMCores.Of(c)),
		},
		AttemptFailureWindow: config.HeddleMasterFailureWindow.Of(c),
		MasterNodeLabel:      config.YarnAMContainerLabel.Of(c),
	})
	s.submitted = true // perhaps, also after an error
	if err != nil {
		return report, s.notAccepted(ctx, err)
	}
	j.say.Step("accepted  %s by the ResourceManager", s.id)
	if err := s.first(ctx); err != nil {
		return report, err
	}
	// The application master is on its way meanwhile; it waits for the stream.
	keys, err := j.change(ctx, r)
	if err != nil {
		return report, err
	}
	maps.Copy(keys, s.snapshots)
	keys[config.HeddleRunApplication.Name()] = s.id.String()
	if o.UntilCaughtUp {
		keys[config.HeddleRunUntilCaughtUp.Name()] = "true"
	}
	return report, submit(ctx, c.With(keys), r.systems, j.say)
}

// notAccepted makes an error of a submission that the ResourceManager refused.
// Whether a queue would take the job is not asked before: the cluster's rules
// may put it elsewhere, or make the queue.
func (s *submission) notAccepted(ctx context.Context, err error) error {
	var no *yarn.NotAcceptedError
	if !errors.As(err, &no) {
		return err
	}
	if !strings.Contains(no.Diagnostics, "queue") {
		return refusedError{err}
	}
	c := s.job.Config
	fault := &config.Error{Key: config.YarnQueue.Name(), Origin: c.Origin(config.YarnQueue.Name()), Problem: no.Error()}
	if root, err := s.cluster.client.Queue(ctx, "root", true); err == nil {
		if names := takingQueues(root); len(names) > 0 {
			fault.Hint = "queues that take jobs: " + strings.Join(names, ", ")
		}
	}
	return fault
}

// takingQueues gives the queues below one that jobs can be submitted to.
func takingQueues(q yarn.QueueInfo) (names []string) {
	if len(q.Children) == 0 && q.State == "RUNNING" {
		return []string{cmp.Or(q.Path, q.Name)}
	}
	for _, child := range q.Children {
		names = append(names, takingQueues(child)...)
	}
	return names
}

// first withdraws if another application of the job was submitted earlier: of
// two at the same moment each sees at least the other or nobody, and both see
// the same order.
func (s *submission) first(ctx context.Context) error {
	all, err := s.cluster.named(ctx, s.job.Name(), live...)
	if err != nil {
		return err
	}
	if r, ok := earlier(all, s.id); ok {
		return refusedError{alreadyRuns(s.job.Name(), r)}
	}
	return nil
}

// earlier gives the application that was submitted before the one with this
// id; of two in the same millisecond the one with the smaller id counts as
// earlier.
func earlier(all []yarn.ApplicationReport, id yarn.ApplicationID) (yarn.ApplicationReport, bool) {
	var mine yarn.ApplicationReport
	for _, r := range all {
		if r.ID == id {
			mine = r
		}
	}
	for _, r := range all {
		if r.ID == id {
			continue
		}
		if mine.Submitted.IsZero() || r.Submitted.Before(mine.Submitted) || r.Submitted.Equal(mine.Submitted) && r.ID.Compare(id) < 0 {
			return r, true
		}
	}
	return yarn.ApplicationReport{}, false
}

// master is the launch context of the application master.
func (s *submission) master(secret []byte, p launch.Package, staging string) (yarn.LaunchContext, error) {
	c := s.job.Config
	coordinatorConfig, err := json.Marshal(bootstrap(c).Map())
	if err != nil {
		return yarn.LaunchContext{}, err
	}
	pkg, err := json.Marshal(p)
	if err != nil {
		return yarn.LaunchContext{}, err
	}
	creds := &security.Credentials{}
	creds.AddSecret(launch.SecretJob, []byte(coordinator.SecretText(secret)))
	if err := launch.AddConfig(creds, c); err != nil {
		return yarn.LaunchContext{}, err
	}
	l := yarn.LaunchContext{
		Command: am.Command("run-am"),
		Environment: map[string]string{
			launch.EnvCoordinatorConfig: yarn.EnvLiteral(string(coordinatorConfig)),
			launch.EnvPackage:           yarn.EnvLiteral(string(pkg)),
			launch.EnvStaging:           yarn.EnvLiteral(staging),
			"HADOOP_USER_NAME":          yarn.EnvLiteral(s.cluster.user),
		},
		Resources: map[string]yarn.LocalResource{
			launch.Dir: {URL: p.URL, Size: p.Size, Timestamp: p.Timestamp, Type: yarn.ResourceArchive, Visibility: yarn.VisibilityApplication},
		},
		Credentials: creds,
		ViewACL:     config.YarnViewACL.Of(c), ModifyACL: config.YarnModifyACL.Of(c),
	}
	if base := os.Getenv(launch.EnvStoreBase); base != "" {
		l.Environment[launch.EnvStoreBase] = yarn.EnvLiteral(base)
	}
	return l, l.Check()
}

// bootstrap is the part of the configuration by which the application master
// finds the coordinator stream, as Samza's SAMZA_COORDINATOR_SYSTEM_CONFIG.
func bootstrap(c config.Config) config.Config {
	name, _ := config.CoordinatorSystem(c)
	m := c.Subset("systems."+name+".", false).WithoutSecrets().Map()
	m[config.JobName.Name()] = config.JobName.Of(c)
	m[config.JobID.Name()] = config.JobID.Of(c)
	m[config.JobCoordinatorSystem.Name()] = name
	return config.New(m)
}

// undo leaves nothing of a submit that failed.
func (s *submission) undo(ctx context.Context) error {
	var errs []error
	if s.submitted {
		if err := s.cluster.client.Kill(ctx, s.id, "withdrawn by run-job"); err != nil && !errors.Is(err, yarn.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.fs.RemoveAll(ctx, s.folder), forgetSecret(s.id.String()))...)
}

// remove removes the files of an application that has ended.
func (s *submission) remove(ctx context.Context) error {
	return s.cluster.remove(ctx, s.fs, s.id.String())
}

// sweep removes what applications that have ended left. It is no part of the
// submit: what cannot be removed now is tried again by the next one.
func (s *submission) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.cluster.sweep(ctx, s.fs); err != nil {
		s.job.log.Debug("the files of ended applications were not all removed", "cause", err)
	}
}

// follow shows how the job comes up and ends when it runs (or, with
// --until-caught-up, when it has ended). It tells whether the job has ended.
func (j *Job) follow(ctx context.Context, c *Cluster, r yarn.ApplicationReport, o RunOptions) (done bool, err error) {
	began := time.Now()
	tracked, up := false, false
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err = c.client.Report(ctx, r.ID); err != nil {
			return false, err
		}
		switch {
		case r.State.Done():
			j.say.Done()
			return true, j.ended(r)
		case r.State == yarn.StateRunning:
			if !tracked && r.TrackingURL != "" && r.TrackingURL != "N/A" {
				tracked = true
				j.say.Step("master    runs on %s after %.1f s; page: %s", r.Host, time.Since(began).Seconds(), r.TrackingURL)
			}
			var s coordinator.Status
			if err := c.ask(ctx, r, func(op coordinator.Operator) (err error) { s, err = op.Status(ctx); return err }); err != nil {
				j.say.Moving("containers: %v", err)
				break
			}
			j.say.Moving("containers %d of %d running%s", s.Containers.Running, s.Containers.Wanted, because(s.Diagnostics))
			if !up && s.Containers.Wanted > 0 && s.Containers.Running == s.Containers.Wanted {
				up = true
				j.say.Done()
				j.say.Step("running   %d of %d containers, %d tasks, %.1f s after the submit", s.Containers.Running, s.Containers.Wanted, s.Tasks.Total, time.Since(began).Seconds())
				if !o.UntilCaughtUp {
					fmt.Fprintln(o.Stdout, r.ID)
					return false, nil
				}
			}
		default:
			j.say.Moving("%s%s", strings.ToLower(string(r.State)), because(r.Diagnostics))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			j.say.Done()
			return false, fmt.Errorf("%s goes on; follow it with run-job status %s: %w", r.ID, r.ID, ctx.Err())
		}
	}
}

func because(text string) string {
	if text = firstLine(text); text == "" {
		return ""
	}
	return ": " + text
}

// ended tells how an application ended.
func (j *Job) ended(r yarn.ApplicationReport) error {
	if r.FinalStatus == yarn.FinalSucceeded {
		j.say.Step("finished  %s, %s", r.ID, r.FinalStatus)
		return nil
	}
	return failedError{fmt.Errorf("%s ended %s: %s", r.ID, r.FinalStatus, Cause(r.Diagnostics)), ExitFailed}
}

// Cause finds in YARN's diagnostics the line that says what went wrong: what the
// application master wrote at its end, else YARN's own first words.
func Cause(diagnostics string) string {
	for line := range strings.Lines(diagnostics) {
		line = strings.TrimSpace(line)
		for _, program := range []string{"run-am: ", "run-container: "} {
			if i := strings.Index(line, program); i >= 0 {
				return line[i+len(program):]
			}
		}
	}
	if l := firstLine(diagnostics); l != "" {
		return l
	}
	return "no cause was given"
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
