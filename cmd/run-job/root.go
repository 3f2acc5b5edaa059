package main

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"heddle/job"
)

// flags are those of every command that reads a job's configuration.
type flags struct {
	paths, overrides []string
	factory          string
	verbose          bool
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.paths, "config-path", nil, "a properties file, as a path or URI; may be repeated, later ones win")
	c.Flags().StringArrayVar(&f.overrides, "config", nil, "key=value, over the files; may be repeated")
	c.Flags().StringVar(&f.factory, "config-factory", "", "accepted for Samza's sake: only "+propertiesFactory)
	c.Flags().BoolVar(&f.verbose, "verbose", false, "log what happens below")
}

const propertiesFactory = "org.apache.samza.config.factories.PropertiesConfigFactory"

func (f *flags) source() (job.Source, error) {
	if f.factory != "" && f.factory != propertiesFactory && f.factory != "PropertiesConfigFactory" {
		return job.Source{}, job.Usage("--config-factory=%s: only %s is known; give properties files with --config-path", f.factory, propertiesFactory)
	}
	return job.Source{Paths: f.paths, Overrides: f.overrides}, nil
}

// log is for what people do not read unless they look for a fault.
func (f *flags) log() *slog.Logger {
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelDebug
		stderr.Release()
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}

// building is where the compiler's words go: a terminal; elsewhere they are part
// of the error if the build fails.
func building() io.Writer {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return os.Stderr
	}
	return io.Discard
}

// load reads and checks the job's configuration.
func (f *flags) load(c *cobra.Command, quiet bool) (*job.Job, *job.Say, error) {
	src, err := f.source()
	if err != nil {
		return nil, nil, err
	}
	say := job.NewSay(stderr, quiet)
	j, err := job.Load(c.Context(), src, job.FindPlace(), say, f.log())
	return j, say, err
}

// isRun says if the arguments ask for a run, and not for one of the other
// commands.
func isRun(root *cobra.Command, args []string) bool {
	c, _, err := root.Find(args)
	return err == nil && c == root
}

const rootHelp = `Run-job runs a stream job that a .properties file describes: in one process on this
machine, as processes, or on Hadoop YARN, as job.factory.class says (thread, process,
yarn; none means thread). What is wrong is told before anything is changed.

Exit codes: 0 done; 1 the job failed; 2 wrong usage or configuration, also a missing
topic or package; 3 a service could not be reached or refused.`

func newRoot() *cobra.Command {
	var f flags
	var o job.RunOptions
	var operation string
	root := &cobra.Command{
		Use:   "run-job --config-path=FILE",
		Short: "Run stream jobs written in Go on this machine or on Hadoop YARN",
		Long:  rootHelp,
		Example: `  bin/run-job.sh --config-path=examples/latency/latency.properties
  bin/run-job.sh --config-path=job.properties --config job.factory.class=yarn --config yarn.queue=prod
  bin/run-job.sh --config-path=job.properties --until-caught-up
  bin/run-job.sh --operation=status --config-path=job.properties`,
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			switch operation {
			case "run":
			case "kill":
				return killByConfig(c, &f)
			case "status":
				return statusByConfig(c, &f, false)
			default:
				return job.Usage("--operation=%s: expected run, kill or status", operation)
			}
			if o.Wait && o.Detach {
				return job.Usage("--wait and --detach contradict each other; give one of them")
			}
			j, _, err := f.load(c, o.Quiet)
			if err != nil {
				return err
			}
			o.Stdout, o.Stderr, o.Building = os.Stdout, os.Stderr, building()
			self, err := os.Executable()
			if err != nil {
				return err
			}
			o.Again = func() *exec.Cmd {
				args := f.arguments(true)
				if o.UntilCaughtUp {
					args = append(args, "--until-caught-up")
				}
				if o.Replace {
					args = append(args, "--replace")
				}
				return exec.Command(self, args...)
			}
			return j.Run(c.Context(), o)
		},
	}
	f.add(root)
	root.Flags().StringVar(&operation, "operation", "run", "run, kill or status, as in Samza")
	root.Flags().BoolVar(&o.Wait, "wait", false, "end once all containers run (the default on YARN); on this machine the job goes on in the background")
	root.Flags().BoolVar(&o.Detach, "detach", false, "end once YARN has accepted the job; on this machine, once it has begun in the background")
	root.Flags().BoolVar(&o.UntilCaughtUp, "until-caught-up", false, "commit and end with 0 once every input is read to the end that it had")
	root.Flags().BoolVar(&o.Quiet, "quiet", false, "plain log lines, no progress")
	root.Flags().BoolVar(&o.Replace, "replace", false, "stop the job first if it runs already")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return job.Usage("%v; see %s --help", err, c.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(newStatus(), newKill(), newList(), newLogs(), newValidate(), newPackage(), newTopic(), newCheckpoint(), newState(), newInit(), newDev(), newReference())
	groups(root)
	return root
}

// groups makes groups of all commands below c that have others below them.
func groups(c *cobra.Command) {
	for _, c := range c.Commands() {
		if c.HasSubCommands() {
			group(c)
			groups(c)
		}
	}
}

// group makes a command that only has others below it refuse what is none of
// them, whatever flags stand behind it; alone it shows its help.
func group(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	c.FParseErrWhitelist.UnknownFlags = true
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(c, "command", args[0])
		}
		return c.Help()
	}
}

// unknown is the error for a word that is no command below c.
func unknown(c *cobra.Command, what, word string) error {
	var names []string
	for _, s := range c.Commands() {
		if s.IsAvailableCommand() {
			names = append(names, s.Name())
		}
	}
	near := ""
	if all := c.SuggestionsFor(word); len(all) > 0 {
		near = " (did you mean " + strings.Join(all, " or ") + "?)"
	}
	return job.Usage("unknown %s %q%s; commands are %s; see %s --help", what, word, near, strings.Join(names, ", "), c.CommandPath())
}

// noArgs refuses what is neither a flag nor a command.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if isProperties(args[0]) {
		return job.Usage("unknown command or argument %q; a properties file is given with --config-path=%s", args[0], args[0])
	}
	return unknown(c.Root(), "command or argument", args[0])
}

// isProperties tells if a word that stands alone is meant for --config-path.
func isProperties(word string) bool { return strings.HasSuffix(word, ".properties") }

// exactly refuses another number of arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return job.Usage("%s: expected %s; see %s --help", c.Name(), what, c.CommandPath())
		}
		return nil
	}
}

// printed writes as JSON or for people.
func printed[T any](w io.Writer, asJSON bool, v T, people func(io.Writer) error) error {
	if asJSON {
		return job.PrintJSON(w, v)
	}
	return people(w)
}
