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
	// Topics are the ids of the streams that the offsets are of, as far as they
	// are known: offsets of another topic of the same name mean nothing. Samza's
	// formats have no place for them. They are a header of the record, and files
	// do not hold them.
	Topics map[system.StreamID]system.TopicID
}

// Remade tells if the stream, whose topic has this id now, was another one at
// the checkpoint: it was deleted and made anew since.
func (c Checkpoint) Remade(stream system.StreamID, now system.TopicID) bool {
	return c.Topics[stream].Other(now)
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

// Transactional is a Log whose checkpoints can be a part of their task's
// transaction: then the task writes them itself, and tells the Log when that is
// safe.
type Transactional interface {
	Log
	// Refresh reads the checkpoints of these tasks that were committed since
	// Start, for Last to give. A task that has taken over its transactional id
	// finds its newest: from then on nobody else writes one.
	Refresh(ctx context.Context, taskNames []string) error
	// Inherit is Refresh for tasks that are at-least-once now, and perhaps were
	// exactly-once in a run before, which may have been killed, or frozen, with
	// transactions open: it ends those, and nobody can write under the tasks'
	// transactional ids any more. It does nothing, and took is false, where no
	// transaction is open on the checkpoints, the caller knows of none elsewhere
	// (open), and the tasks' newest checkpoints were not written exactly-once.
	Inherit(ctx context.Context, taskNames []string, open bool) (took bool, err error)
	// Records are what makes c the task's newest checkpoint once it is
	// committed, for an outbox on the log's system.
	Records(taskName string, c Checkpoint) []system.Record
	// Committed tells that Records of c were committed.
	Committed(taskName string, c Checkpoint)
}
