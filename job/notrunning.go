package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"heddle/internal/launch"
	"heddle/yarn/hadoopconf"
)

// doingSet is what has the claim while checkpoints are set.
const doingSet = "checkpoint set"

// harm is what a running job would do to what such a command changes.
func harm(doing string) string {
	if doing == doingRemove {
		return "would write new ones"
	}
	return "would write its own checkpoints over these"
}

// notRunning refuses to change the checkpoints, or the snapshots, under a job that
// runs, here or on YARN: it would undo the change. Until release is called, it
// cannot be started here.
func (j *Job) notRunning(ctx context.Context, doing string) (release func(), err error) {
	if j.onThisMachine() && len(hadoopconf.DirsFromEnvironment(os.LookupEnv)) == 0 {
		return j.claimFor(ctx, doing)
	}
	// The files may name another factory than its submit did.
	switch err := j.notOnYARN(ctx, doing, askedFor{tell: time.Second, here: 4 * time.Second}); {
	case err == nil:
	case j.onThisMachine() && !errors.As(err, new(refusedError)):
		j.say.Warn("whether the job runs on YARN, too, is not known: %v", err)
	default:
		return nil, err
	}
	if j.onThisMachine() {
		return j.claimFor(ctx, doing)
	}
	h, held, err := launch.HolderOf(j.home(), j.Name())
	if err == nil && held && h.Alive() {
		err = j.claimed(ctx, h, doing)
	}
	return func() {}, err
}

// claimFor keeps starts on this machine away until release is called.
func (j *Job) claimFor(ctx context.Context, doing string) (release func(), err error) {
	c, err := j.claim(ctx, doing)
	if err != nil {
		return nil, err
	}
	return c.Withdraw, nil
}

// askedFor is for how long a ResourceManager that does not answer is asked: until
// that is told, and, for a job of this machine, at all.
type askedFor struct{ tell, here time.Duration }

func (j *Job) notOnYARN(ctx context.Context, doing string, wait askedFor) error {
	c, err := OpenCluster(j.log)
	if err != nil {
		return err
	}
	defer c.Close()
	how := "if it surely does not, unset HADOOP_CONF_DIR and YARN_CONF_DIR, and give --config job.factory.class=thread"
	if j.onThisMachine() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait.here)
		defer cancel()
		how = fmt.Sprintf("it is asked for %v; without HADOOP_CONF_DIR and YARN_CONF_DIR it is not", wait.here)
	}
	waiting := time.AfterFunc(wait.tell, func() {
		j.say.Now("%s: waiting for YARN's ResourceManager, to ask if the job %s runs there (%s)", doing, j.Name(), how)
	})
	defer waiting.Stop()
	running, err := c.named(ctx, j.Name(), live...)
	if err == nil && len(running) > 0 {
		err = refusedError{fmt.Errorf("%s: the job %s runs as %s, and %s; stop it first with run-job kill %s", doing, j.Name(), running[0].ID, harm(doing), running[0].ID)}
	}
	return err
}
