package coordinator

import (
	"context"
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
	// Stream is the job's coordinator stream, open for what comes later.
	Stream *Stream
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
	name, err := config.CoordinatorSystem(cfg)
	if err != nil {
		return nil, err
	}
	sys, ok := systems[name]
	if !ok {
		return nil, fmt.Errorf("the coordinator's system %q is not defined", name)
	}
	stream, err := OpenStream(ctx, sys, config.JobName.Of(cfg), config.JobID.Of(cfg))
	if err != nil {
		return nil, err
	}
	s := &Started{Stream: stream}
	if err := s.start(ctx, cfg, systems, log); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return s, nil
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
	positions, err := checkpoint.New(cfg, systems, checkpoint.Options{Logger: log})
	if err != nil {
		return err
	}
	if err := positions.Start(ctx); err != nil {
		return err
	}
	if err := positions.Close(); err != nil {
		return err
	}
	if err := s.changelogs(ctx, cfg, systems); err != nil {
		return err
	}
	return s.Stream.Write(ctx, w.Changelog...)
}

// changelogs makes or checks the changelog topics.
func (s *Started) changelogs(ctx context.Context, cfg config.Config, systems map[string]system.System) error {
	topics, err := Changelogs(ctx, cfg, systems, s.Model)
	if err != nil {
		return err
	}
	warnings, err := storage.Create(ctx, systems, topics)
	for _, w := range warnings {
		s.warn(w)
	}
	if err != nil {
		return &PlanError{err}
	}
	return nil
}

// Changelogs gives the changelog topics that the model needs.
func Changelogs(ctx context.Context, cfg config.Config, systems map[string]system.System, m jobmodel.JobModel) ([]storage.Topic, error) {
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
	return storage.ChangelogTopics(cfg, specs, m.ChangelogPartitions(), brokers)
}

func (s *Started) warn(text string) {
	if text != "" {
		s.Warnings = append(s.Warnings, text)
	}
}
