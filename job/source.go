package job

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"heddle/config"
	"heddle/container"
	"heddle/job/program"
	"heddle/system"
)

// Source is where a job's configuration comes from.
type Source struct {
	// Paths are the properties files, in order; Overrides "key=value".
	Paths, Overrides []string
}

// Place is where run-job runs.
type Place struct {
	// Installed is the folder of run-job's own binary.
	Installed string
	// Checkout is the root of the checkout of Heddle that run-job was started
	// from; "" in a package.
	Checkout string
}

// FindPlace reads the place from the environment; bin/run-job.sh sets
// HEDDLE_CHECKOUT.
func FindPlace() Place {
	p := Place{Checkout: os.Getenv("HEDDLE_CHECKOUT")}
	if exe, err := os.Executable(); err == nil {
		p.Installed = filepath.Dir(exe)
	}
	return p
}

// Job is a job whose configuration was read and checked.
type Job struct {
	Config  config.Config
	Factory config.JobFactory
	// beside are the folders of the properties files of this machine, in order.
	beside []string
	place  Place
	log    *slog.Logger
	say    *Say
}

// Load reads and checks a job's configuration, without asking any service but
// for the topics of a regex rewriter.
func Load(ctx context.Context, from Source, place Place, say *Say, log *slog.Logger) (*Job, error) {
	j, err := read(ctx, from, place, say, log)
	if err != nil {
		return nil, err
	}
	warnings, err := config.Validate(j.Config)
	for _, w := range warnings {
		say.Warn("%s", w)
	}
	if err != nil {
		return nil, named(err, from.Paths)
	}
	j.Factory, err = config.Factory(j.Config)
	return j, err
}

// named gives the errors about keys that stand nowhere the file where they
// belong: the last one.
func named(err error, paths []string) error {
	if len(paths) == 0 {
		return err
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			_ = named(e, paths)
		}
	}
	var e *config.Error
	if errors.As(err, &e) && (e.Origin.Source == "" || e.Origin.Source == config.OriginDefault) {
		e.Origin = config.Origin{Source: paths[len(paths)-1]}
	}
	return err
}

// LoadSystems reads a configuration of which only the systems matter, for the
// topic commands.
func LoadSystems(ctx context.Context, from Source, place Place, say *Say, log *slog.Logger) (*Job, error) {
	j, err := read(ctx, from, place, say, log)
	if err != nil {
		return nil, err
	}
	_, err = config.ValidateKeys(j.Config)
	return j, err
}

func read(ctx context.Context, from Source, place Place, say *Say, log *slog.Logger) (*Job, error) {
	if len(from.Paths) == 0 && len(from.Overrides) == 0 {
		return nil, Usage("no configuration: give --config-path=FILE, for example bin/run-job.sh --config-path=examples/latency/latency.properties")
	}
	c, warnings, err := config.Load(ctx, config.LoadOptions{Paths: from.Paths, Overrides: from.Overrides})
	for _, w := range warnings {
		say.Warn("%s", w)
	}
	if err != nil {
		return nil, err
	}
	j := &Job{place: place, say: say, log: log}
	for _, p := range from.Paths {
		if path, ok := config.LocalPath(p); ok {
			j.beside = append(j.beside, filepath.Dir(path))
		}
	}
	j.Config, err = config.Rewrite(c, config.RewriteInput{Environ: os.Environ(), Topics: func(name string) ([]string, error) {
		return topicNames(ctx, c, name, log)
	}})
	return j, err
}

// topicNames lists a system's topics for a regex rewriter.
func topicNames(ctx context.Context, c config.Config, name string, log *slog.Logger) ([]string, error) {
	systems, err := container.OpenSystems(c, log)
	if err != nil {
		return nil, err
	}
	defer systems.Close()
	sys, err := systems.Get(name)
	if err != nil {
		return nil, err
	}
	admin, err := sys.Admin()
	if err != nil {
		return nil, err
	}
	all, err := admin.Describe(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for n := range all {
		names = append(names, n)
	}
	return names, nil
}

// Name is "<job.name>_<job.id>", the application's name on YARN, as Samza's.
func (j *Job) Name() string { return config.JobName.Of(j.Config) + "_" + config.JobID.Of(j.Config) }

// home is heddle.home.
func (j *Job) home() string { return config.HeddleHome.Of(j.Config) }

// findProgram finds the user's code.
func (j *Job) findProgram() (program.Program, error) {
	key := config.HeddleTaskProgram.Name()
	setting := config.HeddleTaskProgram.Of(j.Config)
	p, err := program.Find(program.Place{
		Setting: setting, Path: j.Config.Beside(key, setting), Beside: j.beside,
		Installed: j.place.Installed, Checkout: j.place.Checkout,
	})
	if err != nil && setting != "" {
		err = &config.Error{Origin: j.Config.Origin(key), Problem: err.Error()}
	}
	if err != nil {
		return p, usageError{err}
	}
	return p, nil
}

// Systems opens what the configuration defines.
func (j *Job) Systems() (container.Systems, error) { return container.OpenSystems(j.Config, j.log) }

// System opens the systems and gives one of them; closing all is left to done.
func (j *Job) System(name string) (sys system.System, done func(), err error) {
	all, err := j.Systems()
	if err != nil {
		return nil, nil, err
	}
	sys, err = all.Get(name)
	if err != nil {
		_ = all.Close()
		return nil, nil, usageError{err}
	}
	return sys, func() { _ = all.Close() }, nil
}
