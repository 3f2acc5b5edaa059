package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/job"
)

func newStateRestore() *cobra.Command {
	var f flags
	var r job.Rebuild
	var all, asJSON bool
	var to string
	c := &cobra.Command{
		Use:   "restore STORE",
		Short: "Rebuild a store from its changelog into a folder, to look at it",
		Long: `Rebuild a store from its changelog into a new folder, to look at it. The job may run or
not, and nothing of it is changed: neither its topics nor its local state.

The state is that of each task's last checkpoint, or with --to=end what the changelog holds
to its end, also what no checkpoint knows of. get, range, count and dump read the folder with
--dir, without a job.`,
		Example: `  bin/run-job.sh state restore counts --all --dir=/tmp/counts --config-path=job.properties
  bin/run-job.sh state restore counts --task="Partition 3" --to=end --dir=/tmp/counts3 --json --config-path=job.properties
  bin/run-job.sh state get counts alice --dir=/tmp/counts`,
		Args: exactly(1, "one store"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Store = args[0]
			switch {
			case r.Dir == "":
				return job.Usage("restore: --dir is missing; name a new folder")
			case all == (r.Task != ""):
				return job.Usage("restore: give --task=NAME or --all")
			case to != job.ToCheckpoint && to != job.ToEnd:
				return job.Usage("--to=%s: expected %s or %s", to, job.ToCheckpoint, job.ToEnd)
			}
			r.ToEnd = to == job.ToEnd
			j, _, err := f.load(c, asJSON)
			if err != nil {
				return err
			}
			if err := withEngines(c.Context()); err != nil {
				return err
			}
			var done []job.RebuiltTask
			if err := j.RebuildStore(c.Context(), r, func(t job.RebuiltTask) error {
				done = append(done, t)
				if asJSON {
					return job.PrintJSON(os.Stdout, t)
				}
				return nil
			}); err != nil || asJSON {
				return err
			}
			if err := job.PrintRebuilt(os.Stdout, done); err != nil {
				return err
			}
			fmt.Fprintf(stderr, "read it with: run-job state range %s --dir=%s\n", r.Store, r.Dir)
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&r.Task, "task", "", "only this task, by its name")
	c.Flags().BoolVar(&all, "all", false, "all tasks")
	c.Flags().StringVar(&r.Dir, "dir", "", "the folder to write to: new or empty")
	c.Flags().StringVar(&to, "to", job.ToCheckpoint, "checkpoint: the state as of each task's last checkpoint; end: the changelog's end")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line, one for each task")
	return c
}
