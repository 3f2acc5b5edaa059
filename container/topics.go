package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/system"
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

// openCheckpoints gives the started log of checkpoints; nil for none.
func openCheckpoints(ctx context.Context, c config.Config, systems Systems, log *slog.Logger) (checkpoint.Log, error) {
	l, err := checkpoint.New(c, systems, checkpoint.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	if err := l.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoints: %w", err), l.Close())
	}
	return kept(l, log), nil
}

// kept is the log of checkpoints, or nil, with a warning, if none are kept.
func kept(l checkpoint.Log, log *slog.Logger) checkpoint.Log {
	if _, none := l.(checkpoint.None); none {
		log.Warn("no checkpoints are kept (task.checkpoint.factory=none): every start begins at samza.offset.default")
		return nil
	}
	return l
}

// preloadedOffsets reads heddle.run.preloaded.* of the inputs: the offsets of
// the first records that run-job appended at this start.
func preloadedOffsets(c config.Config) (map[system.Partition]int64, error) {
	inputs, err := config.Inputs(c)
	if err != nil {
		return nil, err
	}
	broadcast, err := config.BroadcastStreams(c)
	if err != nil {
		return nil, err
	}
	out := map[system.Partition]int64{}
	for _, in := range slices.Concat(inputs, broadcast) {
		text := config.HeddleRunPreloaded.Of(c, in.System, in.Stream)
		if text == "" {
			continue
		}
		for entry := range strings.SplitSeq(text, ",") {
			p, o, ok := strings.Cut(strings.TrimSpace(entry), ":")
			partition, err1 := strconv.ParseInt(p, 10, 32)
			offset, err2 := strconv.ParseInt(o, 10, 64)
			if !ok || err1 != nil || err2 != nil || partition < 0 || offset < 0 {
				key := config.HeddleRunPreloaded.Name(in.System, in.Stream)
				return nil, &config.Error{Key: key, Origin: c.Origin(key), Problem: fmt.Sprintf("%q: expected partition:offset,...", text)}
			}
			out[system.Partition{System: in.System, Stream: in.Stream, Partition: int32(partition)}] = offset
		}
	}
	return out, nil
}
