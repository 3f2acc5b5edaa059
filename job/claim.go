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
)

// claimEvery is the time between two looks at a claim that is about to be given
// back.
const claimEvery = 50 * time.Millisecond

// runsHere: the job runs already on this machine.
type runsHere struct{ refusedError }

// claim takes the job's claim, for a run ("") or for something else. One that
// is held by a process that lives is refused; what a killed run-job has left is
// waited for, since it is on its way to its end.
func (j *Job) claim(ctx context.Context, doing string) (*launch.Claim, error) {
	patience := config.TaskShutdown.Of(j.Config) + killMargin
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(claimEvery)
	defer tick.Stop()
	for {
		c, err := launch.TakeClaim(j.home(), j.Name(), doing)
		if !errors.Is(err, launch.ErrClaimed) {
			j.say.Done()
			return c, err
		}
		h, held, err := launch.HolderOf(j.home(), j.Name())
		if err != nil {
			return nil, err
		}
		if held && h.Alive() {
			j.say.Done()
			return nil, j.claimed(ctx, h, doing)
		}
		j.say.Moving("waiting for the end of what the last run of %s has left", j.Name())
		select {
		case <-tick.C:
		case <-limit.C:
			j.say.Done()
			return nil, refusedError{fmt.Errorf("the job %s: process %d is gone, but what it started has not ended within %s; end it and try again (it holds %s)", j.Name(), h.PID, patience, launch.FileOf(j.home(), j.Name(), "claim"))}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// claimed is the error for a claim that is held.
func (j *Job) claimed(ctx context.Context, h launch.Holder, doing string) error {
	if h.Doing != "" {
		return refusedError{fmt.Errorf("the job %s: %s is at work on it as process %d; try again when that has ended", j.Name(), h.Doing, h.PID)}
	}
	what := fmt.Sprintf("process %d", h.PID)
	if here, err := j.Here(ctx); err == nil {
		what = here.what()
	}
	if doing != "" {
		return runsHere{refusedError{fmt.Errorf("%s: the job %s runs as %s, and would write its own checkpoints over these; stop it first with run-job kill and the same configuration", doing, j.Name(), what)}}
	}
	return runsHere{refusedError{fmt.Errorf("the job %s runs already as %s; stop it with run-job kill and the same configuration, or start this one with --replace", j.Name(), what)}}
}

// runHere runs the job in the foreground, if it does not run on this machine
// already.
func (j *Job) runHere(ctx context.Context, o RunOptions, run func(context.Context, RunOptions, *launch.Tether) error) (err error) {
	c, err := j.claimToRun(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if !j.changed {
			c.Withdraw()
			return
		}
		text := ""
		if !errors.As(err, new(Silent)) && err != nil {
			text = err.Error()
		}
		if e := c.End(ExitCode(err), text); err == nil {
			err = e
		}
	}()
	t, err := launch.NewTether(c.File())
	if err != nil {
		return err
	}
	defer t.Close()
	return run(ctx, o, t)
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
	h, err := j.Here(ctx)
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
