package job

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"heddle/coordinator"
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
