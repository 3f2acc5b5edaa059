package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/yarn/hadoopconf"
)

// Here is a run of a job on this machine, as a process or as processes, that
// was found by the job's configuration.
type Here struct {
	job     *Job
	address launch.Address
	status  coordinator.Status
	// holder is the run-job that runs it.
	holder launch.Holder
}

// what names the run.
func (h *Here) what() string {
	if h.address.URL == "" {
		return fmt.Sprintf("process %d, which is starting", h.address.PID)
	}
	return fmt.Sprintf("process %d (%sui/)", h.address.PID, h.address.URL)
}

// errNotHere: the job does not run on this machine.
var errNotHere = errors.New("it does not run on this machine")

// Elsewhere says if a command about the job is one for YARN: its factory says
// so, or it does not run here and there is a cluster where it may.
func (j *Job) Elsewhere(ctx context.Context) bool {
	if f, err := config.Factory(j.Config); err != nil || f == config.YARN {
		return true
	}
	_, err := j.Here(ctx)
	return errors.Is(err, errNotHere) && len(hadoopconf.DirsFromEnvironment(os.LookupEnv)) > 0
}

// Here finds the run of the job on this machine.
func (j *Job) Here(ctx context.Context) (*Here, error) {
	a, err := launch.AddressOf(j.home(), j.Name())
	if err != nil && !errors.Is(err, launch.ErrNoAddress) {
		return nil, err
	}
	holder, held, claimErr := launch.HolderOf(j.home(), j.Name())
	if claimErr != nil {
		return nil, claimErr
	}
	h := &Here{job: j, address: a, holder: holder}
	if err == nil && h.ask(ctx) == nil {
		return h, nil
	}
	if held && holder.Alive() && holder.Doing == "" {
		h.address = launch.Address{PID: holder.PID}
		h.status = coordinator.Status{State: coordinator.JobStarting}
		return h, nil
	}
	last := ""
	if _, err := os.Stat(j.logFile()); err == nil {
		last = "; the log of its last run in the background is " + j.logFile()
	}
	return nil, usageError{fmt.Errorf("job %s: %w, with heddle.home=%s%s", j.Name(), errNotHere, j.home(), last)}
}

// ask fetches the status; an error if what answers is not this job.
func (h *Here) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := coordinator.Operator{UI: h.address.URL + "ui/"}.Status(ctx)
	if err == nil && s.JobName+"_"+s.JobID != h.job.Name() {
		err = fmt.Errorf("%s belongs to another job now", h.address.URL)
	}
	h.status = s
	return err
}

// State describes the run as an application is described.
func (h *Here) State() State {
	s := h.status
	if h.address.URL == "" {
		return State{Name: h.job.Name(), State: s.State, Process: h.address.PID}
	}
	return State{
		Name: h.job.Name(), User: s.User, State: s.State, FinalStatus: s.FinalStatus, TrackingURL: h.address.URL + "ui/",
		Diagnostics: s.Diagnostics, StartedAt: s.StartedAt, Process: h.address.PID,
		Containers: Containers{s.Containers.Wanted, s.Containers.Running}, Job: &s,
	}
}

// Kill stops the run gracefully, and by force when that takes longer than
// patience (task.shutdown.ms); a run that had to be forced is an error, as one that
// failed when it was told to stop.
func (h *Here) Kill(ctx context.Context, patience time.Duration, say *Say) error {
	began, pid := time.Now(), h.address.PID
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return refusedError{fmt.Errorf("stop process %d of job %s: %w", pid, h.job.Name(), err)}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience + killMargin)
	defer limit.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-limit.C:
			say.Done()
			return h.force(patience)
		}
		// The address is forgotten a moment before the process ends, and run-job
		// ends a moment after the program that it runs.
		if over, err := h.over(); over || err != nil {
			say.Done()
			if err == nil {
				err = h.failure(began)
			}
			if err != nil {
				return err
			}
			say.Step("job %s (process %d) stopped after %.1f s", h.job.Name(), pid, time.Since(began).Seconds())
			return nil
		}
		say.Moving("job %s is stopping, %.0f s", h.job.Name(), time.Since(began).Seconds())
	}
}

// force ends the processes at once. Its error is that it had to be.
func (h *Here) force(patience time.Duration) error {
	for _, pid := range []int{h.address.PID, h.holder.PID} {
		if pid <= 0 {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return refusedError{fmt.Errorf("kill process %d of job %s: %w", pid, h.job.Name(), err)}
		}
	}
	return failedError{fmt.Errorf("the job %s (process %d) did not stop within %s (task.shutdown.ms and %s) and was killed: what it had not committed is read again by its next start",
		h.job.Name(), h.address.PID, patience+killMargin, killMargin), ExitFailed}
}

// over says if the run has ended; another may have begun.
func (h *Here) over() (bool, error) {
	if launch.Runs(h.address.PID) {
		return false, nil
	}
	now, held, err := launch.HolderOf(h.job.home(), h.job.Name())
	return err == nil && (!held || now.PID != h.holder.PID), err
}

// failure is an error if the run that was told to stop then has failed.
func (h *Here) failure(told time.Time) error {
	end, _, err := launch.HolderOf(h.job.home(), h.job.Name())
	if err != nil || end.PID != h.holder.PID || !end.Ended || end.Code == ExitDone {
		return err
	}
	text := end.Error
	if info, err := os.Stat(h.job.logFile()); text == "" && err == nil && info.ModTime().After(told) {
		if text = h.job.loggedCause(); text != "" {
			text += " (log: " + h.job.logFile() + ")"
		}
	}
	if text == "" {
		text = "the terminal of its run-job says why"
	}
	return failedError{fmt.Errorf("the job %s (process %d) was told to stop, and failed with exit code %d: %s", h.job.Name(), h.address.PID, end.Code, text), ExitFailed}
}
