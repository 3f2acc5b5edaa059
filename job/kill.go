package job

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"heddle/am"
	"heddle/coordinator"
	"heddle/system/files"
	"heddle/yarn"
)

// Kill stops an application gracefully, by its master, and by force through the
// ResourceManager when that takes longer than patience (task.shutdown.ms). One
// that had to be forced is an error, as one that did not stop in order.
func (c *Cluster) Kill(ctx context.Context, w Which, patience time.Duration, say *Say) error {
	r, err := c.find(ctx, w)
	if err != nil {
		return err
	}
	if r.State.Done() {
		say.Step("%s has ended already: %s", r.ID, r.FinalStatus)
		c.cleanUp(ctx, r.ID, say)
		return nil
	}
	return c.stop(ctx, r, "stopped by run-job kill", patience, say)
}

// killMargin is what a graceful stop may take beyond task.shutdown.ms: the final
// commits, and YARN's own pace.
const killMargin = 5 * time.Second

func (c *Cluster) stop(ctx context.Context, r yarn.ApplicationReport, reason string, patience time.Duration, say *Say) error {
	began := time.Now()
	if r.State != yarn.StateRunning {
		// No application master is there, so that no container is.
		say.Step("%s is %s and does not run yet; killing it through the ResourceManager", r.ID, r.State)
		_, err := c.force(ctx, r.ID, reason, say)
		return err
	}
	if err := c.askStop(ctx, r, reason); err != nil {
		say.Step("the application master could not be asked to stop (%v); killing %s through the ResourceManager", err, r.ID)
		return c.forced(ctx, r.ID, reason, "its application master could not be asked to stop", say)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience + killMargin)
	defer limit.Stop()
	for {
		now, err := c.client.Report(ctx, r.ID)
		if err != nil {
			return err
		}
		if now.State.Done() {
			say.Done()
			c.cleanUp(ctx, r.ID, say)
			if err := notInOrder(now); err != nil {
				return err
			}
			say.Step("%s stopped after %.1f s", r.ID, time.Since(began).Seconds())
			return nil
		}
		say.Moving("%s is stopping, %.0f s", r.ID, time.Since(began).Seconds())
		select {
		case <-tick.C:
		case <-limit.C:
			say.Done()
			late := fmt.Sprintf("it did not stop within %s (task.shutdown.ms and %s)", patience+killMargin, killMargin)
			say.Step("%s: %s; killing it through the ResourceManager", r.ID, late)
			return c.forced(ctx, r.ID, reason, late, say)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Cluster) askStop(ctx context.Context, r yarn.ApplicationReport, reason string) error {
	secret, err := c.secretOf(ctx, r.ID.String())
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.ask(bounded, r, func(o coordinator.Operator) error { return o.Stop(bounded, secret, reason) })
}

// force kills through the ResourceManager, and gives how the application ended.
func (c *Cluster) force(ctx context.Context, id yarn.ApplicationID, reason string, say *Say) (yarn.ApplicationReport, error) {
	if err := c.client.Kill(ctx, id, reason); err != nil {
		return yarn.ApplicationReport{}, err
	}
	end, err := c.client.Report(ctx, id)
	c.cleanUp(ctx, id, say)
	return end, err
}

// forced forces the end of an application that runs. Its error is that it had to
// be, unless its master was faster.
func (c *Cluster) forced(ctx context.Context, id yarn.ApplicationID, reason, why string, say *Say) error {
	end, err := c.force(ctx, id, reason, say)
	switch {
	case err != nil:
		return err
	case end.State == yarn.StateFinished:
		return notInOrder(end)
	}
	return failedError{fmt.Errorf("%s was killed, as %s: what it had not committed is read again by its next start", id, why), ExitFailed}
}

// notInOrder is an error if an application that was told to stop has not ended in
// order, as far as YARN knows.
func notInOrder(end yarn.ApplicationReport) error {
	why := ""
	switch _, those, found := strings.Cut(end.Diagnostics, am.NotInOrder); {
	case end.FinalStatus == yarn.FinalFailed:
		why = Cause(end.Diagnostics)
	case end.State == yarn.StateKilled:
		why = "it was killed through the ResourceManager while it stopped"
	case found:
		why = those
	default:
		return nil
	}
	return failedError{fmt.Errorf("%s was told to stop, and did not end in order: %s; what it had not committed is read again by its next start", end.ID, why), ExitFailed}
}

// cleanUp removes the files of an application that has ended. It has ended all the
// same where they cannot be removed, as while HDFS is away: the next submit sweeps.
func (c *Cluster) cleanUp(ctx context.Context, id yarn.ApplicationID, say *Say) {
	fs, err := c.stagingFS(ctx, "")
	if err == nil {
		err = errors.Join(c.remove(ctx, fs, id.String()), fs.Close())
	}
	if err != nil {
		say.Warn("the files of %s are left to the next submit: %v", id, err)
	}
}

// remove removes the files of an application: its staging folder and the user's
// copy of its secret.
func (c *Cluster) remove(ctx context.Context, fs files.FileSystem, application string) error {
	return errors.Join(fs.RemoveAll(ctx, stagingFolder(fs, c.Staging, application)), forgetSecret(application))
}

// sweep removes the files of applications of this user that have ended without
// run-job being there: killed through the ResourceManager, failed, or done after
// a submit that did not wait. What the ResourceManager does not know stays: it
// may be another cluster's.
func (c *Cluster) sweep(ctx context.Context, fs files.FileSystem) error {
	entries, err := fs.List(ctx, path.Dir(stagingFolder(fs, c.Staging, "x")))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		id, err := yarn.ParseApplicationID(e.Name)
		if err != nil {
			continue
		}
		r, err := c.client.Report(ctx, id)
		switch {
		case errors.Is(err, yarn.ErrNotFound):
		case err != nil:
			return errors.Join(append(errs, err)...)
		case r.State.Done():
			errs = append(errs, c.remove(ctx, fs, e.Name))
		}
	}
	return errors.Join(errs...)
}
