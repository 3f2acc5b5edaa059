package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"heddle/config"
	"heddle/internal/launch"
	"heddle/yarn"
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
		err := c.stop(ctx, r, "replaced by a new submit", config.TaskShutdown.Of(j.Config), j.say)
		var failed failedError
		switch {
		case errors.As(err, &failed):
			// It does not run any more, which is what was wanted.
			j.say.Warn("%v", err)
		case err != nil:
			return err
		}
	}
	return nil
}

func alreadyRuns(name string, r yarn.ApplicationReport) error {
	return fmt.Errorf("the job %s runs already as %s (%s); stop it with run-job kill %s, or submit with --replace", name, r.ID, r.State, r.ID)
}
