package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/coordinator"
	"heddle/job"
)

// stateFlags are those of the commands that ask a running job.
type stateFlags struct {
	flags
	application     string
	dir             string
	live, committed bool
	asJSON          bool
	query           job.StateQuery
}

func (f *stateFlags) add(c *cobra.Command) {
	f.flags.add(c)
	c.Flags().StringVar(&f.application, "application", "", "the application on YARN, instead of the job's --config-path")
	c.Flags().StringVar(&f.dir, "dir", "", "what state restore left in this folder, instead of a running job")
	c.Flags().StringVar(&f.query.Task, "task", "", "only this task, by its name")
	c.Flags().BoolVar(&f.live, "live", false, "what the tasks see now, with what is not committed yet")
	c.Flags().BoolVar(&f.committed, "committed", false, "as of each task's last commit (the default)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "JSON")
}

// typed gives a flag's text, or nil if it was not given.
func typed(c *cobra.Command, name string) *string {
	if !c.Flags().Changed(name) {
		return nil
	}
	text := c.Flags().Lookup(name).Value.String()
	return &text
}

// addRange adds the flags of a range.
func (f *stateFlags) addRange(c *cobra.Command) {
	c.Flags().String("from", "", "the first key, in the order of the encoded keys")
	c.Flags().String("to", "", "the key behind the last one")
	c.Flags().String("prefix", "", "what all keys begin with")
}

func (f *stateFlags) readRange(c *cobra.Command) error {
	f.query.From, f.query.To, f.query.Prefix = typed(c, "from"), typed(c, "to"), typed(c, "prefix")
	if f.query.Prefix != nil && (f.query.From != nil || f.query.To != nil) {
		return job.Usage("--prefix excludes --from and --to; see %s --help", c.CommandPath())
	}
	return nil
}

// asked is what is asked: a running job, or a folder.
type asked interface {
	Entries(ctx context.Context, q job.StateQuery, each func(coordinator.StatePage) error) (int64, error)
	Count(ctx context.Context, q job.StateQuery, soFar func(int64)) (job.StateCount, error)
}

// source finds what is asked.
func (f *stateFlags) source(c *cobra.Command) (asked, error) {
	if f.dir == "" {
		return f.running(c)
	}
	if f.application != "" || len(f.paths) > 0 || len(f.overrides) > 0 {
		return nil, job.Usage("--dir needs no job: leave out --config-path, --config and --application")
	}
	if f.live || f.committed {
		return nil, job.Usage("--live and --committed are for a running job, not for the folder of --dir")
	}
	folder, err := job.OpenFolder(f.dir, f.query.Store)
	if err == nil {
		err = withEngines(c.Context())
	}
	return folder, err
}

// running finds the job.
func (f *stateFlags) running(c *cobra.Command) (*job.Running, error) {
	if f.live && f.committed {
		return nil, job.Usage("--live and --committed contradict each other; give one of them")
	}
	f.query.Live = f.live
	if f.application != "" {
		if len(f.paths) > 0 {
			return nil, job.Usage("--application and --config-path: give one of them")
		}
		cl, err := job.OpenCluster(f.log())
		if err != nil {
			return nil, err
		}
		defer cl.Close()
		return cl.RunningJob(c.Context(), job.Which{Application: f.application})
	}
	if len(f.paths) == 0 && len(f.overrides) == 0 {
		return nil, job.Usage("%s: give the job's --config-path, or --application with its id on YARN, or --dir with the folder of a restored store", c.Name())
	}
	_, j, err := which(c, &f.flags, nil)
	if err != nil {
		return nil, err
	}
	return j.RunningJob(c.Context())
}

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

// show prints what a query gives.
func (f *stateFlags) show(c *cobra.Command) (n int64, err error) {
	r, err := f.source(c)
	if err != nil {
		return 0, err
	}
	p := job.NewEntryPrinter(os.Stdout, f.asJSON)
	return r.Entries(c.Context(), f.query, func(page coordinator.StatePage) error { return p.Print(page.Entries) })
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
			_, err := f.show(c)
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
