package container

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"heddle/checkpoint"
	"heddle/config"
)

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
