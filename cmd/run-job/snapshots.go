package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/job"
)

func newStateSnapshots() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshots",
		Short: "List or remove the snapshots of a job's stores",
		Long: `List or remove the snapshots of a job's stores: what lies below heddle.snapshot.uri, also of
stores and tasks that the job does not have any more. Nothing but this command removes those.`,
		Example: `  bin/run-job.sh state snapshots list --config-path=job.properties
  bin/run-job.sh state snapshots remove --config-path=job.properties`,
	}
	c.AddCommand(newSnapshotsList(), newSnapshotsRemove())
	return c
}

func printSnapshots(all []job.KeptSnapshots, asJSON bool) error {
	if asJSON {
		return job.PrintJSON(os.Stdout, all...)
	}
	return job.PrintSnapshots(os.Stdout, all)
}

func newSnapshotsList() *cobra.Command {
	var f flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots of each store and task: how many, the newest, what they take",
		Long:  "List the snapshots of each store and task: how many there are, when the newest was taken and up\nto which offset of the changelog, its size, and what all of them take. Nothing is changed.",
		Example: `  bin/run-job.sh state snapshots list --config-path=job.properties
  bin/run-job.sh state snapshots list --config-path=job.properties --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			j, _, err := f.load(c, true)
			if err != nil {
				return err
			}
			all, err := j.Snapshots(c.Context())
			if err != nil {
				return err
			}
			return printSnapshots(all, asJSON)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}

func newSnapshotsRemove() *cobra.Command {
	var f flags
	var store string
	var asJSON bool
	c := &cobra.Command{
		Use:   "remove",
		Short: "Remove the snapshots of a job that does not run, or of one of its stores",
		Long:  "Remove the snapshots of a job that does not run, or of one of its stores, be it still configured\nor not, and list what was removed. No state is lost: changelogs have all of it, and a start\nwithout local state reads them whole.",
		Example: `  bin/run-job.sh state snapshots remove --config-path=job.properties
  bin/run-job.sh state snapshots remove --store=counts --config-path=job.properties --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			j, _, err := f.load(c, true)
			if err != nil {
				return err
			}
			all, err := j.RemoveSnapshots(c.Context(), store)
			if err != nil {
				return err
			}
			if !asJSON {
				fmt.Fprintf(stderr, "removed from the snapshots of %s:\n", j.Name())
			}
			return printSnapshots(all, asJSON)
		},
	}
	f.add(c)
	c.Flags().StringVar(&store, "store", "", "only this store (default all)")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return c
}
