package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"heddle/am"
	"heddle/config"
	"heddle/internal/launch"
)

// RunOptions are the flags of a run.
type RunOptions struct {
	Quiet, UntilCaughtUp bool
	// Detach ends run-job once YARN has accepted the job; otherwise it waits
	// until the job runs.
	Detach bool
	// Wait ends run-job once all containers run. On YARN that is so unless Detach
	// is set; otherwise run-job is the job, or waits for its end, unless one of
	// the two starts it in the background.
	Wait bool
	// Again makes the command that runs the job in the foreground: what a start in
	// the background starts.
	Again func() *exec.Cmd
	// Replace stops a job of the same name that runs already, where this one is to
	// run.
	Replace bool
	Stdout  io.Writer
	Stderr  io.Writer
	// Building takes what the compiler prints.
	Building io.Writer
}

// Run runs the job where its factory says.
func (j *Job) Run(ctx context.Context, o RunOptions) error {
	if j.onThisMachine() && (o.Detach || o.Wait) {
		return j.runInBackground(ctx, o)
	}
	switch j.Factory {
	case config.YARN:
		return j.runOnYARN(ctx, o)
	case config.Process:
		return j.runHere(ctx, o, j.runProcesses)
	default:
		return j.runHere(ctx, o, j.runThread)
	}
}

// start checks the job and makes what it needs.
func (j *Job) start(ctx context.Context, o RunOptions, run *localRun) (*ready, config.Config, error) {
	if err := j.checkPreloads(); err != nil {
		return nil, config.Config{}, err
	}
	// A Ctrl-C before the job has begun just ends run-job; a second one also where
	// something does not look at the first.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	r, err := j.check(ctx, o.Building)
	var snapshots map[string]string
	if err == nil {
		snapshots, err = j.checkSnapshots(ctx, true)
	}
	if err == nil {
		var c *launch.Claim
		if c, err = j.claimOnToRun(ctx, o, r.systems); c != nil {
			run.hold(c)
		}
	}
	if ctx.Err() != nil {
		err = Silent{}
	}
	if err != nil {
		if r != nil {
			r.close()
		}
		return nil, config.Config{}, err
	}
	j.say.Release()
	run.changed = true
	keys, err := j.change(ctx, r)
	if ctx.Err() != nil {
		err = Silent{}
	}
	if err != nil {
		r.close()
		return nil, config.Config{}, err
	}
	if o.UntilCaughtUp {
		keys[config.HeddleRunUntilCaughtUp.Name()] = "true"
	}
	maps.Copy(keys, snapshots)
	return r, j.Config.With(keys), nil
}

// runThread runs the whole job in one process, that of the user's program
// (Samza: ThreadJobFactory).
func (j *Job) runThread(ctx context.Context, o RunOptions, run *localRun) error {
	r, c, err := j.start(ctx, o, run)
	if err != nil {
		return err
	}
	defer r.close()
	file, err := writeConfig(j.home(), c)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	args := []string{"--run-local", file}
	if o.Quiet {
		args = append(args, "--quiet")
	}
	cmd := exec.Command(r.program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, o.Stdout, o.Stderr
	run.tether.Tie(cmd)
	// The program gets a terminal's Ctrl-C itself; what run-job alone is sent is
	// passed on. Here it must not end run-job, which may serve the Kafka.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start of %s: %w", r.program, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case err := <-done:
			return exited(err)
		}
	}
}

// exited turns the end of the program, which has said what was wrong, into an
// exit code.
func exited(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	switch code := exit.ExitCode(); code {
	case ExitFailed, ExitUnreachable:
		return Silent{Code: code}
	case am.ExitConfig:
		return Silent{Code: ExitUsage}
	}
	// Also 2, with which Go's runtime ends a process that panicked.
	return failedError{fmt.Errorf("the job's process ended: %w", err), ExitFailed}
}

// Silent is an end with an exit code whose cause was printed already.
type Silent struct{ Code int }

func (s Silent) Error() string { return fmt.Sprintf("exit code %d", s.Code) }

// ExitCode is the code.
func (s Silent) ExitCode() int { return s.Code }

// writeConfig writes the resolved configuration, with its secrets, for the
// process that runs the job: a file that only the user can read, not an
// argument that everybody sees.
func writeConfig(home string, c config.Config) (string, error) {
	dir := filepath.Join(home, "run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder for the job's configuration (heddle.home): %w", err)
	}
	f, err := os.CreateTemp(dir, "job-*.json")
	if err != nil {
		return "", fmt.Errorf("file for the job's configuration (heddle.home): %w", err)
	}
	b, err := json.Marshal(c)
	if err == nil {
		_, err = f.Write(b)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("file for the job's configuration (heddle.home): %w", err)
	}
	return f.Name(), nil
}
