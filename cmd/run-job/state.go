package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/coordinator"
	"heddle/job"
)

const stateHelp = `Read the stores of a running job, through its application master, or rebuild a store from
its changelog.

A query shows the state as of each task's last commit, all of it at one moment for each
task, or with --live what the tasks see now. Keys are typed as they are read: a text for the
serde string, a number for integer, long and double, JSON for json, and for what is neither
{"base64":"..."}. They are ordered as they are encoded.

heddle.state.queries=false switches queries off.`

func newState() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Read the stores of a running job, or rebuild one from its changelog",
		Long:  stateHelp,
		Example: `  bin/run-job.sh state list --config-path=job.properties
  bin/run-job.sh state get counts alice --config-path=job.properties
  bin/run-job.sh state restore counts --all --dir=/tmp/counts --config-path=job.properties
  bin/run-job.sh state range counts --dir=/tmp/counts --limit=10`,
	}
	c.AddCommand(newStateList(), newStateGet(), newStateRange(), newStateCount(), newStateDump(), newStateRestore(), newStateSnapshots())
	return c
}

func newStateList() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the stores of a running job: their serdes, sizes, and how far they are restored",
		Long:  "List the stores of a running job: their serdes, sizes, and how far they are restored. How many\nentries a store on disk has is not known; run-job state count counts them.",
		Example: `  bin/run-job.sh state list --config-path=job.properties
  bin/run-job.sh state list --application=application_1700000000000_0001 --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := f.running(c)
			if err != nil {
				return err
			}
			stores, err := r.Stores(c.Context())
			if err != nil {
				return err
			}
			if f.asJSON {
				return job.PrintJSON(os.Stdout, stores...)
			}
			return job.PrintStores(os.Stdout, stores)
		},
	}
	f.flags.add(c)
	c.Flags().StringVar(&f.application, "application", "", "the application on YARN, instead of the job's --config-path")
	c.Flags().BoolVar(&f.asJSON, "json", false, "one JSON object a line")
	return c
}

func newStateGet() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "get STORE KEY",
		Short: "Print the value of a key",
		Long:  "Print the value of a key. Without --task the tasks are asked first whose input partition\nthe key falls on, then, if they do not have it, all others. No output means that no task has\nthe key.",
		Example: `  bin/run-job.sh state get counts alice --config-path=job.properties
  bin/run-job.sh state get counts 17 --task="Partition 3" --live --json --config-path=job.properties`,
		Args: exactly(2, "a store and a key"),
		RunE: func(c *cobra.Command, args []string) error {
			f.query.Store, f.query.Key = args[0], &args[1]
			if f.query.AllTasks && f.query.Task != "" {
				return job.Usage("--task and --all-tasks contradict each other; give one of them")
			}
			n, err := f.show(c)
			if err == nil && n == 0 {
				fmt.Fprintf(stderr, "no task has the key %s\n", args[1])
			}
			return err
		},
	}
	f.add(c)
	c.Flags().BoolVar(&f.query.AllTasks, "all-tasks", false, "every task that has the key, not only those whose input partition it falls on")
	return c
}

func newStateRange() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "range STORE",
		Short: "Print the entries of a range of keys",
		Long:  "Print the entries of a range of keys, task by task, in the order of the encoded keys.\nWithout bounds it is the whole store.",
		Example: `  bin/run-job.sh state range counts --prefix=al --config-path=job.properties
  bin/run-job.sh state range counts --from=a --to=b --limit=10 --json --config-path=job.properties`,
		Args: exactly(1, "one store"),
		RunE: func(c *cobra.Command, args []string) error {
			f.query.Store = args[0]
			if f.query.Limit < 0 {
				return job.Usage("--limit=%d: expected a number of 0 or above", f.query.Limit)
			}
			if err := f.readRange(c); err != nil {
				return err
			}
			n, err := f.show(c)
			if err == nil && n == 0 {
				fmt.Fprintln(stderr, "no task has an entry in this range")
			}
			return err
		},
	}
	f.add(c)
	f.addRange(c)
	c.Flags().Int64Var(&f.query.Limit, "limit", 0, "stop after so many entries; 0: no bound")
	return c
}

func newStateCount() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "count STORE",
		Short: "Count the entries of a store, or of a range of its keys",
		Example: `  bin/run-job.sh state count counts --config-path=job.properties
  bin/run-job.sh state count counts --prefix=al --json --config-path=job.properties`,
		Args: exactly(1, "one store"),
		RunE: func(c *cobra.Command, args []string) error {
			f.query.Store = args[0]
			if err := f.readRange(c); err != nil {
				return err
			}
			r, err := f.source(c)
			if err != nil {
				return err
			}
			say := job.NewSay(stderr, f.asJSON)
			n, err := r.Count(c.Context(), f.query, func(n int64) { say.Moving("%d entries", n) })
			say.Done()
			if err != nil {
				return err
			}
			return printed(os.Stdout, f.asJSON, n, n.Print)
		},
	}
	f.add(c)
	f.addRange(c)
	return c
}

func newStateDump() *cobra.Command {
	var f stateFlags
	var out string
	c := &cobra.Command{
		Use:   "dump STORE",
		Short: "Print all entries of a store, as JSON",
		Long:  "Print all entries of a store, one JSON object a line: task, key and value. It works page by\npage, with little memory whatever the store's size; each task's entries are those of one\ncommit.",
		Example: `  bin/run-job.sh state dump counts --config-path=job.properties --out=counts.jsonl
  bin/run-job.sh state dump counts --task="Partition 0" --config-path=job.properties | wc -l`,
		Args: exactly(1, "one store"),
		RunE: func(c *cobra.Command, args []string) error {
			f.query.Store = args[0]
			r, err := f.source(c)
			if err != nil {
				return err
			}
			return dumpTo(out, args[0], func(p *job.EntryPrinter, moving func(int64)) (int64, error) {
				var n int64
				return r.Entries(c.Context(), f.query, func(page coordinator.StatePage) error {
					n += int64(len(page.Entries))
					moving(n)
					return p.Print(page.Entries)
				})
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&out, "out", "", "the file to write, which is there only if it is whole; stdout if not set")
	return c
}

// dumpTo writes a dump to a file, with progress, or to stdout.
func dumpTo(path, store string, dump func(p *job.EntryPrinter, moving func(int64)) (int64, error)) error {
	if path == "" {
		_, err := dump(job.NewEntryPrinter(os.Stdout, true), func(int64) {})
		return err
	}
	file, err := job.CreateOut(path)
	if err != nil {
		return err
	}
	say := job.NewSay(stderr, false)
	n, err := dump(job.NewEntryPrinter(file, true), func(n int64) { say.Moving("%s: %d entries", store, n) })
	say.Done()
	if err = file.Done(err); err == nil {
		say.Step("%d entries of %s to %s", n, store, path)
	}
	return err
}
