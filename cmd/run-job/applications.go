package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"heddle/config"
	"heddle/job"
)

// which reads the application that a command is about: its id, or the job's
// configuration.
func which(c *cobra.Command, f *flags, args []string) (job.Which, *job.Job, error) {
	if len(args) > 1 {
		return job.Which{}, nil, job.Usage("%s: one application at a time; see %s --help", c.Name(), c.CommandPath())
	}
	if len(args) == 1 && isProperties(args[0]) {
		return job.Which{}, nil, job.Usage("%s: %s is no application id; a properties file is given with --config-path=%s", c.Name(), args[0], args[0])
	}
	if len(args) == 1 {
		return job.Which{Application: args[0]}, nil, nil
	}
	if len(f.paths) == 0 && len(f.overrides) == 0 {
		return job.Which{}, nil, job.Usage("%s: give an application id, or the job's --config-path", c.Name())
	}
	src, err := f.source()
	if err != nil {
		return job.Which{}, nil, err
	}
	j, err := job.LoadSystems(c.Context(), src, job.FindPlace(), job.NewSay(io.Discard, true), f.log())
	if err != nil {
		return job.Which{}, nil, err
	}
	if config.JobName.Of(j.Config) == "" {
		return job.Which{}, nil, job.Usage("%s: job.name is not set in the configuration", c.Name())
	}
	return job.Which{Name: j.Name()}, j, nil
}

// onCluster opens the cluster for a command.
func onCluster(f *flags, do func(*job.Cluster) error) error {
	cl, err := job.OpenCluster(f.log())
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(cl)
}

func statusByConfig(c *cobra.Command, f *flags, asJSON bool) error { return status(c, f, nil, asJSON) }

func status(c *cobra.Command, f *flags, args []string, asJSON bool) error {
	w, j, err := which(c, f, args)
	if err != nil {
		return err
	}
	if j != nil && !j.Elsewhere(c.Context()) {
		h, err := j.Here(c.Context())
		if err != nil {
			return err
		}
		return printedState(h.State(), asJSON)
	}
	return onCluster(f, func(cl *job.Cluster) error {
		s, err := cl.Status(c.Context(), w)
		if err != nil {
			return err
		}
		return printedState(s, asJSON)
	})
}

func printedState(s job.State, asJSON bool) error {
	if err := printed(os.Stdout, asJSON, s, s.Print); err != nil {
		return err
	}
	if code := s.ExitCode(); code != job.ExitDone {
		return job.Silent{Code: code}
	}
	return nil
}

func newStatus() *cobra.Command {
	var f flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "status [APPLICATION]",
		Short: "Tell how a job is: its state, containers, rates and lag",
		Long:  "Tell how a job is. It is named by its application id, or by the job's configuration: then\nit is the newest application of that name, or the one that runs on this machine.\nThe exit code is 1 for one that failed.",
		Example: `  bin/run-job.sh status application_1700000000000_0001
  bin/run-job.sh status --config-path=job.properties --json`,
		RunE: func(c *cobra.Command, args []string) error { return status(c, &f, args, asJSON) },
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return c
}

func killByConfig(c *cobra.Command, f *flags) error { return kill(c, f, nil) }

func kill(c *cobra.Command, f *flags, args []string) error {
	w, j, err := which(c, f, args)
	if err != nil {
		return err
	}
	patience, staging := config.TaskShutdown.Default(), ""
	if j != nil {
		patience, staging = config.TaskShutdown.Of(j.Config), config.YarnStagingDirectory.Of(j.Config)
		if !j.Elsewhere(c.Context()) {
			h, err := j.Here(c.Context())
			if err != nil {
				return err
			}
			return h.Kill(c.Context(), patience, job.NewSay(stderr, false))
		}
	}
	return onCluster(f, func(cl *job.Cluster) error {
		cl.Staging = staging
		return cl.Kill(c.Context(), w, patience, job.NewSay(stderr, false))
	})
}

func newKill() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "kill [APPLICATION]",
		Short: "Stop a job: gracefully, and by force after task.shutdown.ms",
		Long:  "Stop a job on YARN. Its application master stops the containers gracefully (what is in\nflight is finished and committed); after task.shutdown.ms it is killed through the\nResourceManager. A job on this machine, named by its configuration, is stopped the same way.",
		Example: `  bin/run-job.sh kill application_1700000000000_0001
  bin/run-job.sh kill --config-path=job.properties`,
		RunE: func(c *cobra.Command, args []string) error { return kill(c, &f, args) },
	}
	f.add(c)
	return c
}

func newList() *cobra.Command {
	var f flags
	var asJSON, all bool
	var types []string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the jobs on YARN",
		Example: `  bin/run-job.sh list
  bin/run-job.sh list --all --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			return onCluster(&f, func(cl *job.Cluster) error {
				states, err := cl.List(c.Context(), types, all)
				if err != nil {
					return err
				}
				if asJSON {
					return job.PrintJSON(os.Stdout, states...)
				}
				return job.PrintList(os.Stdout, states)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&all, "all", false, "also those that have ended")
	c.Flags().StringSliceVar(&types, "type", []string{config.YarnApplicationType.Default()}, "application types (yarn.application.type)")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "log what happens below")
	return c
}

func newLogs() *cobra.Command {
	var f flags
	var l job.Logs
	c := &cobra.Command{
		Use:   "logs [APPLICATION]",
		Short: "Print the logs of a job: its application master's and every container's",
		Long:  "Print the logs of a job on YARN: those of the application master and of every container.\nWhile the application runs they come from its nodes, those of ended containers too; after\nits end from the cluster's file system, if yarn.log-aggregation-enable puts them there. Of a job on this\nmachine it is the log that --detach or --wait began.",
		Example: `  bin/run-job.sh logs application_1700000000000_0001
  bin/run-job.sh logs --follow --config-path=job.properties
  bin/run-job.sh logs --config-path=job.properties --file stderr`,
		RunE: func(c *cobra.Command, args []string) error {
			w, j, err := which(c, &f, args)
			if err != nil {
				return err
			}
			if j != nil && !j.Elsewhere(c.Context()) {
				return j.LogsHere(c.Context(), l.Follow, os.Stdout)
			}
			return onCluster(&f, func(cl *job.Cluster) error { return cl.Logs(c.Context(), w, l, os.Stdout) })
		},
	}
	f.add(c)
	c.Flags().BoolVarP(&l.Follow, "follow", "f", false, "go on until the application ends")
	c.Flags().StringVar(&l.Container, "container", "", "only this container (container_...)")
	c.Flags().StringSliceVar(&l.Files, "file", nil, "names of log files (default stdout and stderr)")
	return c
}
