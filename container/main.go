package container

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	ossignal "os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"heddle/config"
	"heddle/internal/launch"
	"heddle/storage/engine"
	"heddle/task"
)

// Tasks are the tasks of a program, by the names that task.class may have. A
// task may stand under several names.
type Tasks map[string]task.Factory

// Main is the whole of a program of tasks:
//
//	func main() {
//		container.Main(container.Tasks{"clicks.Count": func() task.Task { return &count{} }})
//	}
//
// It does not return. The program runs as a container when its environment says
// so (SAMZA_CONTAINER_ID, as run-am sets it), runs a whole job in its process
// with --run-local, and lists its tasks with --list-tasks; run-job does all of
// that for its user. Exit codes: 0 done, 1 failed, 2 wrong usage or
// configuration, 3 a service could not be reached.
func Main(tasks Tasks, options ...Option) {
	signals := make(chan os.Signal, 4)
	ossignal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	p := &program{
		tasks: tasks, args: os.Args[1:], name: programName(os.Args[0]), getenv: os.Getenv,
		stdout: os.Stdout, stderr: os.Stderr, signals: signals, orphaned: launch.Parent(), now: time.Now, exit: os.Exit,
	}
	for _, o := range options {
		o(p)
	}
	if p.orphaned != nil {
		p.outlivesItsReader(os.Stdout)
	}
	os.Exit(p.run())
}

// Option adds to a program what is not a task.
type Option func(*program)

// WithSideInput holds a function that fills stores from side inputs, under the
// name that stores.NAME.side.inputs.processor.factory gives.
func WithSideInput(name string, f task.SideInput) Option {
	return func(p *program) {
		if p.sideInputs == nil {
			p.sideInputs = map[string]task.SideInput{}
		}
		p.sideInputs[name] = f
	}
}

func programName(path string) string {
	if i := strings.LastIndexAny(path, `/\`); i >= 0 {
		return path[i+1:]
	}
	return path
}

// program is one call of a program of tasks; everything from outside is a
// field.
type program struct {
	tasks          Tasks
	sideInputs     map[string]task.SideInput
	args           []string
	name           string
	getenv         func(string) string
	stdout, stderr io.Writer
	signals        <-chan os.Signal
	// orphaned is closed when the run-job that this process is a part of is gone;
	// nil if there is none.
	orphaned <-chan struct{}
	// unread is closed when nobody reads any more what is printed; nil if that is
	// not known.
	unread <-chan struct{}
	now    func() time.Time
	// failpoint is Options.Failpoint of a container.
	failpoint func(taskName string, s Step) error
	// exit ends the process at once; nil in tests.
	exit func(code int)
}

const helpText = `%[1]s holds tasks of Heddle jobs: %[2]s.

It is run for you: bin/run-job.sh --config-path=JOB.properties finds the program
by heddle.task.program (or beside the properties file) and the task by
task.class, and runs it here or on a cluster.

Usage:
  %[1]s --list-tasks            print the names of the tasks, and of the engines
                                for stores, as JSON
  %[1]s --run-local FILE        run the whole job in this process; FILE holds its
                                resolved configuration, one JSON object
      --quiet                   plain log lines, also on a terminal
      --until-caught-up         commit and end with 0 once every input is read
                                to the end that it had at the start
  %[1]s                         run as a container of a job: the environment
                                says which (SAMZA_CONTAINER_ID,
                                SAMZA_COORDINATOR_URL, HADOOP_TOKEN_FILE_LOCATION)

Example:
  bin/run-job.sh --config-path=examples/latency/latency.properties
`

// run does what the arguments and the environment ask for and gives the exit
// code.
func (p *program) run() int {
	err := p.do()
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errTerminated):
		return exitTerminated
	}
	// Others look for the cause on stderr; the log is on stdout.
	fmt.Fprintf(p.stderr, "%s: %v\n", p.speaker(), err)
	code := exitCode(err)
	if code == exitUsage && p.orphaned != nil {
		return exitConfig // run-job has to tell it from a panic in a goroutine of the task's
	}
	return code
}

// speaker is who an error comes from, for the user: a program that run-job runs
// is its part, under a file name that nobody gave.
func (p *program) speaker() string {
	if p.orphaned != nil {
		return "run-job"
	}
	return p.name
}

func (p *program) do() error {
	flags := flag.NewFlagSet(p.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var (
		list  = flags.Bool("list-tasks", false, "")
		local = flags.String("run-local", "", "")
		quiet = flags.Bool("quiet", false, "")
		until = flags.Bool("until-caught-up", false, "")
	)
	switch err := flags.Parse(p.args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := fmt.Fprintf(p.stdout, helpText, p.name, strings.Join(p.names(), ", "))
		return err
	case err != nil:
		return usage("%v; see %s --help", err, p.name)
	case flags.NArg() > 0:
		return usage("unknown argument %q; see %s --help", flags.Arg(0), p.name)
	}
	switch {
	case *list:
		return json.NewEncoder(p.stdout).Encode(map[string][]string{
			"tasks": p.names(), "engines": engine.Names(), "sideInputs": append([]string{}, sortedKeys(p.sideInputs)...),
		})
	case *local != "":
		return p.runLocal(*local, localFlags{quiet: *quiet, untilCaughtUp: *until})
	case p.getenv(launch.EnvContainerID) != "":
		return p.runContainer()
	}
	return usage("nothing to do: this program holds the tasks %s and is run by bin/run-job.sh --config-path=JOB.properties; see %s --help", strings.Join(p.names(), ", "), p.name)
}

func (p *program) names() []string {
	names := []string{}
	for n := range p.tasks {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// factory gives the task of task.class.
func (p *program) factory(c config.Config) (task.Factory, error) {
	class, err := config.TaskClass.Get(c)
	if err != nil {
		return nil, err
	}
	if f, ok := p.tasks[class]; ok && f != nil {
		return f, nil
	}
	name := config.TaskClass.Name()
	problem := fmt.Sprintf("%q is not registered in the program %s", class, p.name)
	if class == "" {
		problem = "is not set"
	}
	there := "none is registered: call container.Main with the tasks"
	if len(p.tasks) > 0 {
		there = "registered are: " + strings.Join(p.names(), ", ")
	}
	return nil, &config.Error{Key: name, Origin: c.Origin(name), Problem: problem, Hint: there}
}
