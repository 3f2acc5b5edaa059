package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"heddle/config"
	"heddle/container"
	"heddle/coordinator"
	"heddle/job/plan"
	"heddle/job/program"
	"heddle/jobmodel"
	"heddle/system"
)

// ready is a job that was checked against the services it needs and can be
// started.
type ready struct {
	systems container.Systems
	// program is the executable for this machine.
	program string
	tasks   []string
	create  []plan.Creation
	model   jobmodel.JobModel
}

func (r *ready) close() { _ = r.systems.Close() }

// check does everything that can be known before something is changed. It
// changes nothing but what is built below heddle.home.
func (j *Job) check(ctx context.Context, building io.Writer) (_ *ready, err error) {
	if err := j.checkDisk(); err != nil {
		return nil, err
	}
	p, err := j.findProgram()
	if err != nil {
		return nil, err
	}
	r := &ready{}
	if r.systems, err = j.Systems(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	// The compiler and the brokers take their time at the same time.
	built := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { built <- j.build(ctx, r, p, building) }()
	facts, factsErr := j.facts(ctx, r.systems)
	if err := errors.Join(<-built, factsErr); err != nil {
		return nil, err
	}
	if err := plan.Guarantee(j.Config, facts); err != nil {
		return nil, err
	}
	if r.create, err = plan.Topics(j.Config, facts); err != nil {
		return nil, err
	}
	return r, j.checkModel(ctx, r, facts)
}

func (j *Job) build(ctx context.Context, r *ready, p program.Program, building io.Writer) error {
	binary, err := p.Ready(ctx, j.home(), building)
	if err != nil {
		return usageError{err}
	}
	l, err := program.List(ctx, binary)
	if err != nil {
		return usageError{err}
	}
	r.program, r.tasks = binary, l.Tasks
	return errors.Join(plan.Task(j.Config, p.String(), l.Tasks), plan.Engines(j.Config, l.Engines), plan.SideInputs(j.Config, l.SideInputs))
}

// facts asks the systems of the job's streams what there is.
func (j *Job) facts(ctx context.Context, systems container.Systems) (plan.Facts, error) {
	f := plan.Facts{Systems: map[string]plan.SystemFacts{}}
	for _, name := range slices.Sorted(maps.Keys(systems)) {
		var s plan.SystemFacts
		if err := j.transactions(ctx, systems[name], &s); err != nil {
			return f, err
		}
		if home, err := config.CheckpointSystem(j.Config); err == nil && home == name && s.Transactions != nil {
			f.Systems[name] = s
			continue // plan.Guarantee refuses it; brokers without transactions answer little else
		}
		admin, err := systems[name].Admin()
		if err != nil {
			return f, err
		}
		if s.Streams, err = admin.Describe(ctx); err != nil {
			return f, err
		}
		if s.Brokers, err = admin.Brokers(ctx); err != nil {
			return f, err
		}
		if s.AutoCreates, err = admin.AutoCreates(ctx); err != nil {
			return f, err
		}
		s.Embedded = config.Embedded(j.Config, name)
		f.Systems[name] = s
	}
	return f, nil
}

// transactions adds what exactly-once wants to know of a system.
func (j *Job) transactions(ctx context.Context, sys system.System, s *plan.SystemFacts) (err error) {
	if !config.ExactlyOnce(j.Config) {
		return nil
	}
	tx, ok := sys.(system.Transactional)
	if !ok {
		s.Transactions = fmt.Errorf("the system %q has %w", sys.Name(), system.ErrNoTransactions)
		return nil
	}
	if s.Cluster, err = tx.Cluster(ctx); err != nil {
		return err
	}
	home, err := config.CheckpointSystem(j.Config)
	if err != nil || home != sys.Name() {
		return err
	}
	timeout, err := config.TransactionTimeout(j.Config)
	if err != nil {
		return err
	}
	s.Transactions = tx.CheckTransactions(ctx, system.TransactionOptions{
		ID: config.TransactionalID(j.Config, "Partition 0"), Name: "each task", Timeout: timeout,
	})
	return nil
}

// checkModel makes the JobModel that the containers will have, as far as it is
// known: more containers than tasks, a changelog with another number of
// partitions. Inputs that are still to be made count as if they were there.
func (j *Job) checkModel(ctx context.Context, r *ready, f plan.Facts) error {
	m, topics, err := coordinator.Plan(ctx, j.Config, withCreations(r.systems, r.create))
	if err != nil {
		return err
	}
	r.model = m
	for _, t := range topics {
		info, ok := f.Systems[t.System].Streams[t.Name]
		if !ok {
			continue
		}
		warning, err := t.Check(info)
		if err != nil {
			return usageError{err}
		}
		if warning != "" {
			j.say.Warn("%s", warning)
		}
	}
	if err := rehearse(ctx, r.systems, r.create, topics, f); err != nil {
		return err
	}
	warnings, err := plan.SideTopics(j.Config, f)
	for _, w := range warnings {
		j.say.Warn("%s", w)
	}
	return err
}
