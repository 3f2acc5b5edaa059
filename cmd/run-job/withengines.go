package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"heddle/job"
	"heddle/job/program"
	"heddle/storage/engine"
)

// enginesTag is the build tag of a run-job that holds the engines for stores on
// disk. They are a third of what it would compile, for the few commands that read
// or write such a store themselves, so the usual one leaves them out.
const enginesTag = "engines"

// withEngines gives nil if this run-job holds the engine for stores on disk. Else
// it builds one that does and puts it in this process's place, with the same
// arguments, environment and files: then it does not return. The checks that need
// no engine come before it.
func withEngines(ctx context.Context) error {
	if slices.Contains(engine.Names(), engine.Pebble) {
		return nil
	}
	checkout := job.FindPlace().Checkout
	if checkout == "" {
		return job.Usage("this run-job was built without the engines for stores on disk; run bin/run-job.sh of a checkout, or build it with go build -tags %s ./cmd/run-job", enginesTag)
	}
	binary := filepath.Join(checkout, "build", "run-job-engines")
	said := building()
	if _, err := os.Stat(binary); err != nil && said != io.Discard {
		fmt.Fprintln(said, "building run-job with the engines for stores on disk (once)")
	}
	if err := program.Build(ctx, checkout, "./cmd/run-job", binary, program.Target{Tags: enginesTag}, said); err != nil {
		return err
	}
	err := syscall.Exec(binary, append([]string{binary}, os.Args[1:]...), os.Environ())
	return fmt.Errorf("run %s: %w", binary, err)
}
