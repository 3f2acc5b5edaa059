package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"text/tabwriter"
	"time"

	"heddle/coordinator"
	"heddle/system/files"
	"heddle/yarn"
)

// State is what `status --json` prints; the contract names its fields. What the
// application master says is added while it can be asked.
type State struct {
	ApplicationID string              `json:"applicationId"`
	Name          string              `json:"name"`
	User          string              `json:"user"`
	Queue         string              `json:"queue"`
	State         string              `json:"state"`
	FinalStatus   string              `json:"finalStatus"`
	TrackingURL   string              `json:"trackingUrl"`
	Diagnostics   string              `json:"diagnostics"`
	StartedAt     int64               `json:"startedAt"`
	FinishedAt    int64               `json:"finishedAt"`
	Containers    Containers          `json:"containers"`
	Job           *coordinator.Status `json:"job,omitempty"`
	// Unanswered is why the application master of a running application could not
	// be asked.
	Unanswered string `json:"unanswered,omitempty"`
	// Process is the process of a job on this machine, which has no
	// ApplicationID.
	Process int `json:"process,omitempty"`
}

// Containers counts containers.
type Containers struct {
	Wanted  int `json:"wanted"`
	Running int `json:"running"`
}

// Status describes an application.
func (c *Cluster) Status(ctx context.Context, w Which) (State, error) {
	r, err := c.find(ctx, w)
	if err != nil {
		return State{}, err
	}
	s := State{
		ApplicationID: r.ID.String(), Name: r.Name, User: r.User, Queue: r.Queue, State: string(r.State),
		FinalStatus: string(r.FinalStatus), TrackingURL: r.TrackingURL, Diagnostics: r.Diagnostics,
		StartedAt: milli(r.Submitted), FinishedAt: milli(r.Finished),
	}
	if r.State != yarn.StateRunning {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var job coordinator.Status
	err = c.ask(ctx, r, func(o coordinator.Operator) (err error) { job, err = o.Status(ctx); return err })
	s.heard(job, err)
	return s, nil
}

// heard adds what the application master says of its job, or why it says
// nothing. What it says itself goes before what YARN remembers of its attempts.
func (s *State) heard(job coordinator.Status, err error) {
	if err != nil {
		s.Unanswered = err.Error()
		return
	}
	s.Job = &job
	s.Containers = Containers{job.Containers.Wanted, job.Containers.Running}
	if job.Diagnostics != "" {
		s.Diagnostics = job.Diagnostics
	}
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// ExitCode is that of the status command: 1 for an application that failed.
func (s State) ExitCode() int {
	if s.FinalStatus == string(yarn.FinalFailed) {
		return ExitFailed
	}
	return ExitDone
}

// Print writes the state for people.
func (s State) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("application", s.ApplicationID)
	row("job", s.Name)
	if s.Process > 0 {
		row("process", strconv.Itoa(s.Process))
	}
	row("user", s.User)
	row("queue", s.Queue)
	row("state", s.State)
	row("final status", s.FinalStatus)
	row("tracking URL", s.TrackingURL)
	if s.StartedAt > 0 {
		row("started", time.UnixMilli(s.StartedAt).Format(time.DateTime))
	}
	if s.FinishedAt > 0 {
		row("finished", time.UnixMilli(s.FinishedAt).Format(time.DateTime))
	}
	if s.Job != nil {
		row("containers", fmt.Sprintf("%d of %d running, %d failures", s.Job.Containers.Running, s.Job.Containers.Wanted, s.Job.Containers.Failures))
		row("tasks", fmt.Sprintf("%d of %d running", s.Job.Tasks.Running, s.Job.Tasks.Total))
		row("messages", fmt.Sprintf("%d in (%.0f/s), %d out (%.0f/s), %d commits", s.Job.Totals.Processed, s.Job.ProcessedPerSecond, s.Job.Totals.Sent, s.Job.SentPerSecond, s.Job.Totals.Commits))
		row("lag", fmt.Sprintf("%s in %d of %s", Count(s.Job.Inputs.Lag, "message"), s.Job.Inputs.Known, Count(int64(s.Job.Inputs.Partitions), "partition")))
		if in := s.Job.SideInputs; in.Partitions > 0 {
			row("side inputs", fmt.Sprintf("%s behind in %d of %s", Count(in.Lag, "message"), in.Known, Count(int64(in.Partitions), "partition")))
		}
	}
	if s.Job != nil {
		for _, c := range s.Job.ContainerList {
			if s.Job.Silent(c) {
				row("silent", fmt.Sprintf("container %s was not heard of for %s; what is said of it is as old",
					c.ID, time.Duration(s.Job.Now-c.LastReport).Round(1000)*time.Millisecond))
			}
		}
	}
	if s.Unanswered != "" {
		row("no answer", s.Unanswered+"; if its node is lost, YARN starts another application master once it has noticed")
	}
	if s.Diagnostics != "" {
		row("diagnostics", Cause(s.Diagnostics))
	}
	return t.Flush()
}

// List gives the applications of a type; all those that have not ended, and
// with all also the others.
func (c *Cluster) List(ctx context.Context, types []string, all bool) ([]State, error) {
	f := yarn.ApplicationFilter{Types: types}
	if !all {
		f.States = live
	}
	reports, err := c.client.Reports(ctx, f)
	if err != nil {
		return nil, err
	}
	out := []State{}
	for _, r := range reports {
		out = append(out, State{ApplicationID: r.ID.String(), Name: r.Name, User: r.User, Queue: r.Queue, State: string(r.State),
			FinalStatus: string(r.FinalStatus), TrackingURL: r.TrackingURL, StartedAt: milli(r.Submitted), FinishedAt: milli(r.Finished)})
	}
	return out, nil
}

// PrintList writes a table.
func PrintList(w io.Writer, all []State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APPLICATION\tJOB\tUSER\tSTATE\tFINAL STATUS\tSTARTED")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ApplicationID, s.Name, s.User, s.State, s.FinalStatus, time.UnixMilli(s.StartedAt).Format(time.DateTime))
	}
	return t.Flush()
}

// PrintJSON writes one object a line.
func PrintJSON[T any](w io.Writer, all ...T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// Kill stops an application gracefully, by its master, and by force through the
// ResourceManager when that takes longer than patience (task.shutdown.ms).
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
	if err := c.askStop(ctx, r, reason); err != nil {
		say.Step("the application master could not be asked to stop (%v); killing %s through the ResourceManager", err, r.ID)
		return c.force(ctx, r.ID, reason, say)
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
			say.Step("%s stopped after %.1f s", r.ID, time.Since(began).Seconds())
			c.cleanUp(ctx, r.ID, say)
			return nil
		}
		say.Moving("%s is stopping, %.0f s", r.ID, time.Since(began).Seconds())
		select {
		case <-tick.C:
		case <-limit.C:
			say.Done()
			say.Warn("%s did not stop within %s (task.shutdown.ms and %s); killing it", r.ID, patience+killMargin, killMargin)
			return c.force(ctx, r.ID, reason, say)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Cluster) askStop(ctx context.Context, r yarn.ApplicationReport, reason string) error {
	if r.State != yarn.StateRunning {
		return fmt.Errorf("it is %s", r.State)
	}
	secret, err := c.secretOf(ctx, r.ID.String())
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.ask(bounded, r, func(o coordinator.Operator) error { return o.Stop(bounded, secret, reason) })
}

func (c *Cluster) force(ctx context.Context, id yarn.ApplicationID, reason string, say *Say) error {
	if err := c.client.Kill(ctx, id, reason); err != nil {
		return err
	}
	c.cleanUp(ctx, id, say)
	return nil
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
