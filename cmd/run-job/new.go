package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"heddle/job"
	"heddle/job/scaffold"
)

func newInit() *cobra.Command {
	var checkout string
	c := &cobra.Command{
		Use:   "init NAME",
		Short: "Make a new job of one's own: a folder with a program, properties and sample input",
		Long:  "Make a new job of one's own: a folder with a Go program of one small task, a properties\nfile with an embedded Kafka, sample input and a README. It runs as it is.",
		Example: `  bin/run-job.sh init page-views
  cd page-views && ../bin/run-job.sh --config-path=page-views.properties`,
		Args: exactly(1, "the new job's name"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			name := filepath.Base(dir)
			if err := scaffold.CheckName(name); err != nil {
				return job.Usage("init: %w", err)
			}
			if err := scaffold.CheckFolder(dir); err != nil {
				return job.Usage("init: %w", err)
			}
			if checkout == "" {
				checkout = job.FindPlace().Checkout
			}
			if checkout == "" {
				return job.Usage("init: the new job is built with the sources of Heddle; name a checkout with --heddle=DIR, or use bin/run-job.sh of one")
			}
			root, err := filepath.Abs(checkout)
			if err != nil {
				return err
			}
			files, err := scaffold.Job{Name: name, Checkout: root}.Files()
			if err != nil {
				return job.Usage("init: %w", err)
			}
			if err := scaffold.Write(dir, files); err != nil {
				return job.Usage("init: %w", err)
			}
			// In its folder, as its README has it: so that all find one heddle.home.
			fmt.Fprintf(stderr, "made the job %s in %s; run it with\n  cd %s && %s --config-path=%s\n", name, dir,
				dir, filepath.Join(root, "bin", "run-job.sh"), name+".properties")
			_, err = fmt.Fprintln(os.Stdout, dir)
			return err
		},
	}
	c.Flags().StringVar(&checkout, "heddle", "", "a checkout of Heddle (default the one that run-job.sh is part of)")
	return c
}
