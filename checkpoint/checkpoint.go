package checkpoint

import (
	"context"

	"heddle/system"
)

// Checkpoint is one task's position (Samza: CheckpointV1, CheckpointV2).
type Checkpoint struct {
	// ID is "<milliseconds>-<nanoseconds modulo 1e6>" as Samza makes it.
	ID string
	// Inputs holds the offset of the last processed message by partition; the
	// next to read is that plus one. "" stands for Samza's null: none yet.
	Inputs map[system.Partition]string
	// Changelogs holds, by store name, the newest changelog offset that belongs
	// to the inputs' offsets.
	Changelogs map[string]Changelog
}

// Changelog is the position of one store's changelog in a Checkpoint.
type Changelog struct {
	Partition system.Partition
	// Offset is the last record that is part of the committed state; "" if
	// there was none.
	Offset string
}

// Log reads and writes checkpoints (Samza: CheckpointManager). Write may be
// called by several tasks at once.
type Log interface {
	// Start makes or checks what the checkpoints are kept in, and reads it.
	Start(ctx context.Context) error
	// Last gives the task's newest checkpoint; ok is false if there is none. It
	// answers from what Start read and Write wrote.
	Last(taskName string) (c Checkpoint, ok bool)
	// Write makes c the task's newest checkpoint; when it returns without an
	// error it is safe.
	Write(ctx context.Context, taskName string, c Checkpoint) error
	Close() error
}
