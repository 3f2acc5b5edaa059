package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/job"
)

func newCheckpoint() *cobra.Command {
	c := &cobra.Command{
		Use:     "checkpoint",
		Short:   "Show or set where a job goes on reading",
		Long:    "Show or set where a job goes on reading: the checkpoint of each of its tasks.",
		Example: `  bin/run-job.sh checkpoint show --config-path=job.properties`,
	}
	c.AddCommand(newCheckpointShow(), newCheckpointSet())
	return c
}

func printPositions(all []job.Position, asJSON bool) error {
	if asJSON {
		return job.PrintJSON(os.Stdout, all...)
	}
	return job.PrintPositions(os.Stdout, all)
}

func newCheckpointShow() *cobra.Command {
	var f flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Show each task's checkpoint, the ends of its inputs and the lag between",
		Long:  "Show each task's checkpoint (the offset of the last processed message), the ends of its\ninputs and the lag: how many offsets lie between, 0 when no message is left to be read.\nBetween messages it counts also transactions' markers and what was aborted or compacted.\nNothing is changed.",
		Example: `  bin/run-job.sh checkpoint show --config-path=job.properties
  bin/run-job.sh checkpoint show --config-path=job.properties --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			j, _, err := f.load(c, true)
			if err != nil {
				return err
			}
			all, err := j.Positions(c.Context())
			if err != nil {
				return err
			}
			return printPositions(all, asJSON)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func newCheckpointSet() *cobra.Command {
	var f flags
	var m job.Move
	var asJSON bool
	c := &cobra.Command{
		Use:   "set SYSTEM.STREAM",
		Short: "Set where the job goes on reading an input",
		Long:  "Set where the job goes on reading an input: at the oldest message, at the end that the\nstream has now, or at an offset. The job must not run (it would write its own checkpoints\nover these); stores keep what they hold.",
		Example: `  bin/run-job.sh checkpoint set kafka.clickevent --to=oldest --config-path=job.properties
  bin/run-job.sh checkpoint set kafka.clickevent --partition=2 --to=1700 --config-path=job.properties`,
		Args: exactly(1, "one input stream"),
		RunE: func(c *cobra.Command, args []string) error {
			m.Stream = args[0]
			if c.Flags().Changed("partition") && m.Partition < 0 {
				return job.Usage("--partition=%d: expected a partition of 0 or above", m.Partition)
			}
			if err := m.Check(); err != nil {
				return err
			}
			j, _, err := f.load(c, true)
			if err != nil {
				return err
			}
			all, err := j.MovePositions(c.Context(), m)
			if err != nil {
				return err
			}
			if !asJSON {
				fmt.Fprintf(stderr, "the next start of %s reads %s from %s\n", j.Name(), m.Stream, m.To)
			}
			return printPositions(all, asJSON)
		},
	}
	f.add(c)
	c.Flags().StringVar(&m.To, "to", "", "oldest, newest or the offset of the next message to be read")
	c.Flags().Int32Var(&m.Partition, "partition", -1, "only this partition (default all)")
	c.Flags().StringVar(&m.Task, "task", "", "only this task, by its name (default all that read the stream)")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}
