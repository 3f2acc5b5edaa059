package main

import (
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"heddle/job"
)

// watchEvery is the time between two looks at a job's files.
const watchEvery = 300 * time.Millisecond

func newDev() *cobra.Command {
	var f flags
	var quiet bool
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a job on this machine, and anew whenever its code or configuration changes",
		Long:  "Run a job in one process of this machine, and stop, build and start it anew whenever a\nfile of its program or of its configuration changes. It goes on from its checkpoint; what\nis preloaded is appended at each start. What does not build, or is not valid, leaves the\njob running as it was.",
		Example: `  bin/run-job.sh dev --config-path=page-views/page-views.properties
  bin/run-job.sh dev --config-path=job.properties --config task.window.ms=500`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			f.overrides = append(f.overrides, "job.factory.class=thread")
			src, err := f.source()
			if err != nil {
				return err
			}
			d := job.Dev{Source: src, Place: job.FindPlace(), Log: f.log(), Say: job.NewSay(stderr, false), Building: building(), Every: watchEvery,
				Command: func() *exec.Cmd {
					cmd := exec.Command(self, f.arguments(quiet)...)
					cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
					return cmd
				}}
			return d.Run(c.Context())
		},
	}
	f.add(c)
	c.Flags().BoolVar(&quiet, "quiet", false, "plain log lines, no progress")
	return c
}

// arguments gives the flags for a run-job of the same configuration.
func (f *flags) arguments(quiet bool) []string {
	var args []string
	for _, p := range f.paths {
		args = append(args, "--config-path="+p)
	}
	for _, o := range f.overrides {
		args = append(args, "--config="+o)
	}
	if f.verbose {
		args = append(args, "--verbose")
	}
	if quiet {
		args = append(args, "--quiet")
	}
	return args
}
