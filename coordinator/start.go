package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
)

// Started is what a start of a job has worked out and written down.
type Started struct {
	Model jobmodel.JobModel
	// Stream is the job's coordinator stream, and Checkpoints what tells how far
	// its tasks have come; both are open for what comes later, until Close.
	Stream      *Stream
	Checkpoints checkpoint.Log
	// Hosts gives the host that each container ran on last, if it is known.
	Hosts map[string]string
	// Warnings are for people.
	Warnings []string
}

// Start does what every start of a job does before its first container, in
// Samza's order (ClusterBasedJobCoordinator): it reads the coordinator stream,
// makes the JobModel and writes the assignments, makes or checks the checkpoint
// and changelog topics, and writes the changelog mapping. The coordinator
// stream has to be there: Stream.Submit wrote the configuration into it.
//
// cfg holds the secrets; they stay in it.
func Start(ctx context.Context, cfg config.Config, systems map[string]system.System, log *slog.Logger) (*Started, error) {
	sys, err := coordinatorSystem(cfg, systems)
	if err != nil {
		return nil, err
	}
	stream, err := OpenStream(ctx, sys, config.JobName.Of(cfg), config.JobID.Of(cfg))
	if err != nil {
		return nil, err
	}
	s := &Started{Stream: stream}
	if err := s.start(ctx, cfg, systems, log); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the stream and the checkpoints; the systems stay open.
func (s *Started) Close() error {
	var err error
	if s.Checkpoints != nil {
		err = s.Checkpoints.Close()
	}
	return errors.Join(err, s.Stream.Close())
}

func (s *Started) start(ctx context.Context, cfg config.Config, systems map[string]system.System, log *slog.Logger) error {
	snap, err := s.Stream.Read(ctx)
	if err != nil {
		return err
	}
	s.Hosts = snap.Locality()
	prev, err := snap.Previous()
	if err != nil {
		return err
	}
	model, w, err := BuildModel(ctx, cfg, systems, prev)
	if err != nil {
		return err
	}
	s.Model = model
	s.warn(w.Warning)
	if err := s.Stream.Write(ctx, w.Assignments...); err != nil {
		return err
	}
	if s.Checkpoints, err = checkpoint.New(cfg, systems, checkpoint.Options{Logger: log}); err != nil {
		return err
	}
	if err := s.Checkpoints.Start(ctx); err != nil {
		return fmt.Errorf("checkpoints: %w", err)
	}
	if err := s.changelogs(ctx, cfg, systems, w.ChangelogPartitions); err != nil {
		return err
	}
	return s.Stream.Write(ctx, w.Changelog...)
}

// changelogs makes or checks the changelog topics.
func (s *Started) changelogs(ctx context.Context, cfg config.Config, systems map[string]system.System, partitions int32) error {
	topics, err := changelogTopics(ctx, cfg, systems, partitions)
	if err != nil {
		return err
	}
	warnings, err := storage.Create(ctx, systems, topics)
	for _, w := range warnings {
		s.warn(w)
	}
	if err != nil && !errors.Is(err, system.ErrUnreachable) {
		return &PlanError{err}
	}
	return err
}

// Plan works out, before anything is changed, what a start of the job would
// make: its JobModel, as far as is known now, and the changelog topics with the
// partitions that they are to have. It reads the coordinator stream, if there is
// one: a job that ran before keeps its tasks and changelog partitions, so that
// without looking there a plan would differ from the start.
func Plan(ctx context.Context, cfg config.Config, systems map[string]system.System) (jobmodel.JobModel, []storage.Topic, error) {
	prev, err := readPrevious(ctx, cfg, systems)
	if err != nil {
		return jobmodel.JobModel{}, nil, err
	}
	m, w, err := BuildModel(ctx, cfg, systems, prev)
	if err != nil {
		return jobmodel.JobModel{}, nil, err
	}
	topics, err := changelogTopics(ctx, cfg, systems, w.ChangelogPartitions)
	return m, topics, err
}

// readPrevious gives what the coordinator stream holds of earlier starts;
// nothing if there is no stream.
func readPrevious(ctx context.Context, cfg config.Config, systems map[string]system.System) (Previous, error) {
	sys, err := coordinatorSystem(cfg, systems)
	if err != nil {
		return Previous{}, err
	}
	stream, err := OpenStream(ctx, sys, config.JobName.Of(cfg), config.JobID.Of(cfg))
	if err != nil {
		return Previous{}, err
	}
	// Asked first, since reading a topic that is missing may make it, on a broker
	// that makes topics by itself.
	admin, err := sys.Admin()
	if err != nil {
		return Previous{}, stream.wrap("look for", err)
	}
	found, err := admin.Describe(ctx, stream.topic)
	if err != nil && !errors.Is(err, system.ErrNoStream) {
		return Previous{}, stream.wrap("look for", err)
	}
	if _, ok := found[stream.topic]; !ok {
		return Previous{}, nil
	}
	snap, err := stream.Read(ctx)
	if err != nil {
		return Previous{}, err
	}
	return snap.Previous()
}

func coordinatorSystem(cfg config.Config, systems map[string]system.System) (system.System, error) {
	name, err := config.CoordinatorSystem(cfg)
	if err != nil {
		return nil, err
	}
	sys, ok := systems[name]
	if !ok {
		return nil, &PlanError{fmt.Errorf("the coordinator's system %q is not defined", name)}
	}
	return sys, nil
}

func changelogTopics(ctx context.Context, cfg config.Config, systems map[string]system.System, partitions int32) ([]storage.Topic, error) {
	specs, err := storage.Specs(cfg)
	if err != nil {
		return nil, err
	}
	brokers := map[string]int{}
	for _, spec := range specs {
		name := spec.Changelog.System
		if _, known := brokers[name]; known || !spec.Logged() {
			continue
		}
		sys, ok := systems[name]
		if !ok {
			return nil, &PlanError{fmt.Errorf("stores.%s.changelog: the system %q is not defined", spec.Name, name)}
		}
		admin, err := sys.Admin()
		if err != nil {
			return nil, err
		}
		if brokers[name], err = admin.Brokers(ctx); err != nil {
			return nil, err
		}
	}
	return storage.ChangelogTopics(cfg, specs, partitions, brokers)
}

func (s *Started) warn(text string) {
	if text != "" {
		s.Warnings = append(s.Warnings, text)
	}
}
