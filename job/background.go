package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"heddle/config"
	"heddle/internal/launch"
)

// runInBackground starts a job of this machine in a session of its own, which
// outlives run-job and its terminal, and returns once it has begun (--detach) or
// runs (--wait). What is wrong before that is run-job's own error.
func (j *Job) runInBackground(ctx context.Context, o RunOptions) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch h, lives, err := living(ctx, j.below().holder); {
	case err != nil:
		return err
	case lives && !(o.Replace && h.Doing == ""):
		return j.claimed(ctx, h, "")
	}
	before, err := launch.AddressOf(j.home(), j.Name())
	if err != nil && !errors.Is(err, launch.ErrNoAddress) {
		return err
	}
	log, err := j.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := o.Again()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start of the job in the background: %w", err)
	}
	j.say.Release()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	told := false
	for {
		select {
		case err := <-ended:
			return j.endedEarly(err)
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
			<-ended                                 //nolint:errcheck // it was told to end
			return failedError{errors.New("interrupted: the start of the job was withdrawn"), ExitFailed}
		case <-tick.C:
		}
		a, err := launch.AddressOf(j.home(), j.Name())
		if err != nil || a == before {
			continue
		}
		h := &Here{job: j, address: a}
		if h.ask(ctx) != nil {
			continue
		}
		if !told {
			told = true
			j.say.Step("started   job %s in the background as process %d; its page is %sui/, its log %s", j.Name(), a.PID, a.URL, j.logFile())
		}
		if c := h.status.Containers; !o.Detach && (c.Wanted == 0 || c.Running < c.Wanted) {
			j.say.Moving("containers %d of %d running", c.Running, c.Wanted)
			continue
		}
		j.say.Done()
		_, err = fmt.Fprintln(o.Stdout, a.PID)
		return err
	}
}

// endedEarly is the end of a run in the background before it was seen running.
func (j *Job) endedEarly(err error) error {
	j.say.Done()
	if err == nil {
		j.say.Step("finished  job %s; its log is %s", j.Name(), j.logFile())
		return nil
	}
	code := ExitFailed
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		code = exit.ExitCode()
	}
	text := cmp.Or(j.loggedCause(), err.Error())
	return failedError{fmt.Errorf("%s (log: %s)", text, j.logFile()), code}
}

// loggedCause is the error that the log of the run in the background ends with;
// "" if it cannot be read or has none.
func (j *Job) loggedCause() (text string) {
	b, _ := os.ReadFile(j.logFile())
	for line := range strings.Lines(string(b)) {
		if cause, ok := strings.CutPrefix(line, "run-job: "); ok {
			text = strings.TrimSpace(cause)
		}
	}
	return text
}

// onThisMachine says if the job's factory runs it here.
func (j *Job) onThisMachine() bool { return j.Factory != config.YARN }
