package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"heddle/config"
	"heddle/container"
	"heddle/internal/launch"
	"heddle/system"
	"heddle/system/kafka/embedded"
)

// claimEvery is the time between two looks at a claim that is about to be given
// back.
const claimEvery = 50 * time.Millisecond

// runsHere: the job runs already on this machine, found by that configuration: this
// one, or this one with another heddle.home.
type runsHere struct {
	refusedError
	there *Job
}

// claimPlace is where a claim lies.
type claimPlace struct {
	// file is for people.
	file   string
	take   func(doing string) (*launch.Claim, error)
	holder func() (launch.Holder, bool, error)
}

// below is the claim below heddle.home.
func (j *Job) below() claimPlace {
	return claimPlace{
		file:   launch.FileOf(j.home(), j.Name(), "claim"),
		take:   func(doing string) (*launch.Claim, error) { return launch.TakeClaim(j.home(), j.Name(), doing) },
		holder: func() (launch.Holder, bool, error) { return launch.HolderOf(j.home(), j.Name()) },
	}
}

// claim takes the job's claim, for a run ("") or for something else.
func (j *Job) claim(ctx context.Context, doing string) (*launch.Claim, error) {
	return j.claimIn(ctx, j.below(), doing)
}

// claimOn takes the claim that other folders see, too, of a job whose checkpoints
// lie in a Kafka that they can reach; nil if there is none, as with an embedded
// Kafka, which is its folder's.
func (j *Job) claimOn(ctx context.Context, systems container.Systems, doing string) (*launch.Claim, error) {
	name, err := config.CheckpointSystem(j.Config)
	if err != nil || config.Embedded(j.Config, name) {
		return nil, nil //nolint:nilerr // without such a system there is no such claim
	}
	sys, err := systems.Get(name)
	if err != nil {
		return nil, err
	}
	named, ok := sys.(system.Transactional)
	if !ok {
		return nil, nil
	}
	cluster, err := named.Cluster(ctx)
	if err != nil || cluster == "" || cluster == embedded.ClusterID {
		return nil, err
	}
	c, err := j.claimIn(ctx, claimPlace{
		file: fmt.Sprintf("the claim of the job %s in the user's cache folder", j.Name()),
		take: func(doing string) (*launch.Claim, error) {
			return launch.TakeClaimOn(cluster, j.home(), j.Name(), doing)
		},
		holder: func() (launch.Holder, bool, error) { return launch.HolderOn(cluster, j.Name()) },
	}, doing)
	var refused refusedError
	if err != nil && ctx.Err() == nil && !errors.As(err, &refused) && !errors.As(err, new(runsHere)) {
		// No reason not to run what ran yesterday.
		j.say.Warn("whether the job runs from another folder is not known: %v", err)
		return nil, nil
	}
	return c, err
}

// claimIn takes a claim. One that is held by a process that lives is refused; what
// a killed run-job has left is waited for, since it is on its way to its end.
func (j *Job) claimIn(ctx context.Context, at claimPlace, doing string) (*launch.Claim, error) {
	patience := config.TaskShutdown.Of(j.Config) + killMargin
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for {
		c, err := at.take(doing)
		if !errors.Is(err, launch.ErrClaimed) {
			j.say.Done()
			return c, err
		}
		h, lives, err := living(ctx, at.holder)
		if err != nil {
			return nil, err
		}
		if lives {
			j.say.Done()
			return nil, j.claimed(ctx, h, doing)
		}
		j.say.Moving("waiting for the end of what the last run of %s has left", j.Name())
		select {
		case <-tick.C:
		case <-limit.C:
			j.say.Done()
			return nil, refusedError{fmt.Errorf("the job %s: process %d is gone, but what it started has not ended within %s; end it and try again (it holds %s)", j.Name(), h.PID, patience, at.file)}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dying is how long a process may take to go that was killed.
const dying = 500 * time.Millisecond

// living says who holds a claim, and if that lives: not only for a moment, for a
// start right after a kill -9 is to wait for what is left, and not to be refused.
func living(ctx context.Context, holder func() (launch.Holder, bool, error)) (launch.Holder, bool, error) {
	limit := time.NewTimer(dying)
	defer limit.Stop()
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for {
		h, held, err := holder()
		if err != nil || !held || !h.Alive() {
			return h, false, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return h, true, nil
		case <-ctx.Done():
			return h, false, ctx.Err()
		}
	}
}

// claimed is the error for a claim that is held.
func (j *Job) claimed(ctx context.Context, h launch.Holder, doing string) error {
	if h.Doing != "" {
		return refusedError{fmt.Errorf("the job %s: %s is at work on it as process %d; try again when that has ended", j.Name(), h.Doing, h.PID)}
	}
	r := j.running(ctx, h)
	if doing != "" {
		return runsHere{refusedError{fmt.Errorf("%s: the job %s runs%s as %s, and %s; stop it first with run-job kill and %s", doing, j.Name(), r.from, r.what, harm(doing), r.how)}, r.there}
	}
	return runsHere{refusedError{fmt.Errorf("the job %s runs already%s as %s; stop it with run-job kill and %s, or start this one with --replace", j.Name(), r.from, r.what, r.how)}, r.there}
}

// running names the run that holds a claim: what it is and from where, and which
// configuration finds it.
type running struct {
	there           *Job
	from, what, how string
}

func (j *Job) running(ctx context.Context, h launch.Holder) running {
	r := running{there: j, what: fmt.Sprintf("process %d", h.PID), how: "the same configuration"}
	if h.Home != "" {
		r.there, r.from = j.at(h.Home), " from another folder"
		r.how += " and --config heddle.home=" + h.Home
	}
	if here, err := r.there.Here(ctx); err == nil {
		r.what = here.what()
	}
	return r
}

// at is the job with another heddle.home.
func (j *Job) at(home string) *Job {
	there := *j
	there.Config = j.Config.With(map[string]string{config.HeddleHome.Name(): home})
	return &there
}

// runHere runs the job in the foreground, if it does not run on this machine
// already.
func (j *Job) runHere(ctx context.Context, o RunOptions, run func(context.Context, RunOptions, *localRun) error) (err error) {
	c, err := j.claimToRun(ctx, o)
	if err != nil {
		return err
	}
	t, err := launch.NewTether(c.File())
	if err != nil {
		c.Withdraw()
		return err
	}
	r := &localRun{claims: []*launch.Claim{c}, tether: t}
	defer func() { err = r.end(err) }()
	return run(ctx, o, r)
}

// localRun is what a run on this machine holds from its start to its end.
type localRun struct {
	claims []*launch.Claim
	tether *launch.Tether
	// changed: the start has begun to change something.
	changed bool
}

// hold adds a claim.
func (r *localRun) hold(c *launch.Claim) {
	r.claims = append(r.claims, c)
	r.tether.Hold(c.File())
}

// end gives the claims back; of a run that has changed nothing nothing is left.
func (r *localRun) end(err error) error {
	text := ""
	if !errors.As(err, new(Silent)) && err != nil {
		text = err.Error()
	}
	code := ExitCode(err)
	for i, c := range slices.Backward(r.claims) {
		// How it ended is asked below heddle.home, the first.
		if i > 0 || !r.changed {
			c.Withdraw()
		} else if e := c.End(code, text); err == nil {
			err = e
		}
	}
	r.tether.Close()
	return err
}

// claimToRun takes the claim; with --replace from the run that has it, once the
// job is known to be right.
func (j *Job) claimToRun(ctx context.Context, o RunOptions) (*launch.Claim, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := j.claim(ctx, "")
	if o.Replace && errors.As(err, new(runsHere)) {
		if err = j.stopHere(ctx, o); err == nil {
			c, err = j.claim(ctx, "")
		}
	}
	if ctx.Err() != nil {
		if c != nil {
			c.Withdraw()
		}
		return nil, Silent{}
	}
	return c, err
}

// stopHere stops the job that runs here for one that is to replace it. What is
// checked is checked again afterwards: the run that ends may serve the Kafka that
// was asked.
func (j *Job) stopHere(ctx context.Context, o RunOptions) error {
	if err := j.checkPreloads(); err != nil {
		return err
	}
	r, err := j.check(ctx, o.Building)
	if err != nil {
		return err
	}
	r.close()
	return j.stopFor(ctx, j)
}

// claimOnToRun is claimToRun for claimOn. The job is known to be right.
func (j *Job) claimOnToRun(ctx context.Context, o RunOptions, systems container.Systems) (*launch.Claim, error) {
	c, err := j.claimOn(ctx, systems, "")
	var runs runsHere
	if o.Replace && errors.As(err, &runs) {
		if err = j.stopFor(ctx, runs.there); err == nil {
			c, err = j.claimOn(ctx, systems, "")
		}
	}
	return c, err
}

// stopFor stops a run for one that takes its place.
func (j *Job) stopFor(ctx context.Context, there *Job) error {
	h, err := there.Here(ctx)
	if errors.Is(err, errNotHere) {
		return nil // it has ended meanwhile
	}
	if err != nil {
		return err
	}
	j.say.Step("replace   stopping %s", h.what())
	err = h.Kill(ctx, config.TaskShutdown.Of(j.Config), j.say)
	var failed failedError
	if errors.As(err, &failed) {
		// It does not run any more, which is what was wanted.
		j.say.Warn("%v", err)
		return nil
	}
	return err
}
