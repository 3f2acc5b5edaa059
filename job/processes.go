package job

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"heddle/am"
	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/yarn/security"
)

// submit writes the configuration into the job's coordinator stream.
func submit(ctx context.Context, c config.Config, systems map[string]system.System, say *Say) error {
	name, err := config.CoordinatorSystem(c)
	if err != nil {
		return err
	}
	stream, err := coordinator.OpenStream(ctx, systems[name], config.JobName.Of(c), config.JobID.Of(c))
	if err != nil {
		return err
	}
	_, warning, err := stream.Ensure(ctx, c)
	if warning != "" {
		say.Warn("%s", warning)
	}
	if err == nil {
		err = stream.Submit(ctx, c)
	}
	return errors.Join(err, stream.Close())
}

// runProcesses runs the application master's part here and each container as a
// child process (Samza: ProcessJobFactory).
func (j *Job) runProcesses(ctx context.Context, o RunOptions, run *localRun) error {
	r, c, err := j.start(ctx, o, run)
	if err != nil {
		return err
	}
	defer r.close()
	if err := submit(ctx, c, r.systems, j.say); err != nil {
		return err
	}
	secret, err := coordinator.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.home(), 0o700); err != nil {
		return fmt.Errorf("folder for the containers' credentials (heddle.home): %w", err)
	}
	dir, err := os.MkdirTemp(j.home(), "processes-*")
	if err != nil {
		return fmt.Errorf("folder for the containers' credentials (heddle.home): %w", err)
	}
	defer os.RemoveAll(dir)
	log := j.log
	if o.Quiet {
		log = slog.New(slog.DiscardHandler)
	}
	forget := func() {}
	defer func() { forget() }()
	app := am.NewApplication(am.Options{
		Config: c, Systems: r.systems, Secret: secret, Host: "localhost", Log: log,
		Who: coordinator.Job{Name: config.JobName.Of(c), ID: config.JobID.Of(c), User: os.Getenv("USER"), Factory: "process"},
		Cluster: func(url string, _ jobmodel.JobModel) (am.Cluster, error) {
			j.say.Step("job %s runs as processes of this machine; its page is %sui/", j.Name(), url)
			told, err := launch.TellAddress(j.home(), j.Name(), url)
			if err != nil {
				return nil, err
			}
			forget = told
			return &am.Processes{Name: "local_" + config.JobName.Of(c), Output: o.Stdout, Command: func(l am.Launch) (*exec.Cmd, error) {
				cmd, err := containerCommand(r.program, dir, url, secret, c, l)
				if err == nil {
					run.tether.Tie(cmd)
				}
				return cmd, err
			}}, nil
		},
	})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopOnSignals(ctx, cancel, func(why string) { app.Stop(ctx, why, false) })
	end, err := app.Run(ctx)
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case end.Status == am.Failed:
		return fmt.Errorf("the job failed: %s", end.Diagnostics)
	case len(end.AtStop) > 0:
		return fmt.Errorf("the job was told to stop, and failed then: %s", strings.Join(end.AtStop, "; "))
	}
	return nil
}

// sameSignal is how close two signals are that count as one.
const sameSignal = 100 * time.Millisecond

// stopOnSignals calls stop at the first SIGINT or SIGTERM and cancels at the
// second.
func stopOnSignals(ctx context.Context, cancel context.CancelCauseFunc, stop func(why string)) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		var first time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-signals:
				switch now := time.Now(); {
				case first.IsZero():
					first = now
					go stop("signal: " + s.String())
				case now.Sub(first) > sameSignal:
					cancel(errors.New("ended at once by a second signal"))
					return
				}
			}
		}
	}()
}

// containerCommand is the command of one container's process.
func containerCommand(program, dir, url string, secret []byte, c config.Config, l am.Launch) (*exec.Cmd, error) {
	creds := &security.Credentials{}
	creds.AddSecret(launch.SecretCredential, []byte(coordinator.DeriveCredential(secret, l.Processor)))
	if err := launch.AddConfig(creds, c); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, l.In.ID)
	if err := creds.WriteFile(file); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(withoutLaunch(os.Environ()),
		launch.EnvContainerID+"="+l.Processor, launch.EnvCoordinatorURL+"="+url,
		launch.EnvExecutionID+"="+l.In.ID, security.EnvTokenFile+"="+abs)
	return cmd, nil
}

// withoutLaunch leaves out of an environment what says that its process is a
// container.
func withoutLaunch(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == launch.EnvContainerID || name == launch.EnvCoordinatorURL || name == launch.EnvExecutionID || name == security.EnvTokenFile
	})
}
