package snapshot

import (
	"context"
	"log/slog"
	"time"

	"heddle/system/files"
	"heddle/task"
)

// Options say where snapshots lie and when they are taken.
type Options struct {
	// Open opens the file system; it is called when it is first needed, and again
	// after it failed. The keeper closes it.
	Open func(ctx context.Context) (files.FileSystem, error)
	// Root is the folder in it below which all snapshots lie
	// (heddle.snapshot.uri).
	Root string
	// Scratch is a folder on the disk of the stores for copies that are not
	// uploaded yet, which other processes may use at the same time.
	Scratch string
	// Interval is the time between two snapshots of a store
	// (heddle.snapshot.interval.ms); 0 stands for 10 minutes.
	Interval time.Duration
	// Retain is how many complete snapshots are kept (heddle.snapshot.retain); 0
	// stands for 2.
	Retain int
	// BytesPerSecond bounds uploads, and the reading of local files for their
	// checksums before them (heddle.snapshot.bytes.per.second); 0: no bound.
	BytesPerSecond int64
	// Metrics is the container's registry.
	Metrics task.Metrics
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Defaults of Options.
const (
	DefaultInterval = 10 * time.Minute
	DefaultRetain   = 2
)
