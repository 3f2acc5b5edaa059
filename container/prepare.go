package container

import (
	"context"
	"errors"
	"log/slog"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/storage"
)

// plan is a job that is ready to run in this process: its model, and what
// stands in its topics.
type plan struct {
	model       jobmodel.JobModel
	specs       []storage.Spec
	checkpoints checkpoint.Log
}

// prepare does for a job in one process what the application master does on a
// cluster, in Samza's order: the coordinator stream, the JobModel, the
// checkpoint topic, the changelog topics.
func prepare(ctx context.Context, c config.Config, systems Systems, log *slog.Logger) (pl plan, err error) {
	if pl.specs, err = storage.Specs(c); err != nil {
		return pl, err
	}
	name, err := config.CoordinatorSystem(c)
	if err != nil {
		return pl, err
	}
	sys, err := systems.Get(name)
	if err != nil {
		return pl, err
	}
	stream, err := coordinator.OpenStream(ctx, sys, config.JobName.Of(c), config.JobID.Of(c))
	if err != nil {
		return pl, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	_, warning, err := stream.Ensure(ctx, c)
	if err != nil {
		return pl, err
	}
	warn(log, warning)
	if err := stream.Submit(ctx, c); err != nil {
		return pl, err
	}
	started, err := coordinator.Start(ctx, c, systems, log)
	if err != nil {
		return pl, err
	}
	for _, w := range started.Warnings {
		log.Warn(w)
	}
	pl.model, pl.checkpoints = started.Model, kept(started.Checkpoints, log)
	return pl, started.Stream.Close()
}

func warn(log *slog.Logger, text string) {
	if text != "" {
		log.Warn(text)
	}
}
