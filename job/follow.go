package job

import (
	"context"
	"fmt"
	"strings"
	"time"

	"heddle/coordinator"
	"heddle/yarn"
)

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
