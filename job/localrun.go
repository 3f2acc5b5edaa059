package job

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"heddle/config"
	"heddle/container"
	"heddle/internal/launch"
)

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
