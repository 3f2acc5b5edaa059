package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"time"

	"heddle/am"
	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/system/files"
	"heddle/yarn"
	"heddle/yarn/security"
)

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
