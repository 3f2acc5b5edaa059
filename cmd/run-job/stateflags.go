package main

import (
	"context"
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

// show prints what a query gives.
func (f *stateFlags) show(c *cobra.Command) (n int64, err error) {
	r, err := f.source(c)
	if err != nil {
		return 0, err
	}
	p := job.NewEntryPrinter(os.Stdout, f.asJSON)
	return r.Entries(c.Context(), f.query, func(page coordinator.StatePage) error { return p.Print(page.Entries) })
}
