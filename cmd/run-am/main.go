// Run-am is the application master of a Heddle job. YARN starts it; see
// `run-job --help` for what people start.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"heddle/am"
	"heddle/job"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/security"
)

const help = `run-am is the application master of a Heddle job on YARN. It is started by YARN,
from the package that run-job made; its environment says which job it is for.

Example:
  bin/run-job.sh --config-path=JOB.properties --config job.factory.class=yarn
`

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "--help" || os.Args[1] == "-h") {
		fmt.Print(help)
		return
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "run-am: %v\n", err)
		os.Exit(job.ExitCode(err))
	}
}

func run() error {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	// YARN's SIGTERM comes when the application was killed or the node stops:
	// there is nothing to say to the ResourceManager then.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	conf, err := hadoopconf.Load(hadoopconf.DirsFromEnvironment(os.LookupEnv)...)
	if err != nil {
		return err
	}
	creds, err := security.ReadCredentialsFile(os.Getenv(security.EnvTokenFile))
	if err != nil {
		return fmt.Errorf("run-am is started by YARN, which sets %s: %w", security.EnvTokenFile, err)
	}
	end, err := am.RunOnYARN(ctx, am.Environment{Getenv: os.Getenv, HadoopConf: conf, Credentials: creds, Log: log})
	if err != nil {
		return err
	}
	log.Info("the application has ended", "status", end.Status, "diagnostics", end.Diagnostics)
	if end.Status == am.Failed {
		return errors.New(end.Diagnostics)
	}
	return nil
}
