// Run-job runs, submits and looks after Heddle jobs; `run-job --help` tells how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"heddle/internal/launch"
	"heddle/job"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// stderr is where the commands' warnings, steps and log go.
var stderr = job.Hold(os.Stderr)

func run(args []string) int {
	if gone := launch.Parent(); gone != nil {
		// As if it had been told to stop: dev, whose run this is, was killed.
		go func() {
			<-gone
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		}()
	}
	root := newRoot()
	root.SetArgs(args)
	ctx := context.Background()
	// A run in one process or as processes stops gracefully by itself; every
	// other command just ends.
	if !isRun(root, args) {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
	}
	// Warnings and the log of the checks come after the error, which is the first
	// line.
	defer stderr.Release()
	err := root.ExecuteContext(ctx)
	var silent job.Silent
	switch {
	case err == nil:
		return job.ExitDone
	case errors.As(err, &silent):
		return silent.Code
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return job.ExitDone
	}
	fmt.Fprintf(os.Stderr, "run-job: %v\n", err)
	return job.ExitCode(err)
}
