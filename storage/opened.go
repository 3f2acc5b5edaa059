package storage

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
	"heddle/task"
)

// opened is a store with what it is made of.
type opened struct {
	*store
	spec    Spec
	id      Identity
	engine  engine.Engine // the innermost
	pending *pending
	// state is what the task has, without the changelog: pending, and what has
	// ended left out.
	state   engine.Engine
	sweeper *sweeper // nil: entries do not end
	// face is what the task sees.
	face     task.Store
	measured time.Time
	swept    int64
	log      *changelog // nil: none
	// folder is where the engine lies; nil: in memory.
	folder  *local.Folder
	options engine.Options
	logger  *slog.Logger
	// position is the offset of the restored state, in the changelog with the id
	// topic.
	position int64
	topic    system.TopicID
	beside   bool // another process writes to the changelog, which was warned of
	metrics  *storeMetrics
}

// empty throws away what the engine holds. Nothing may be pending.
func (st *opened) empty() error {
	err := st.engine.Close()
	if st.folder != nil {
		if err != nil {
			// It is thrown away because it is of no use.
			st.logger.Info("while closing local state that is not used", "folder", st.options.Dir, "error", err)
		}
		err = st.folder.Reset()
	}
	if err == nil {
		err = st.reopen()
	}
	return st.ailing(err)
}

// onDisk is the engine as one on disk; nil if it is in memory.
func (st *opened) onDisk() engine.OnDisk {
	if st.folder == nil {
		return nil
	}
	e, _ := st.engine.(engine.OnDisk)
	return e
}

// ailing adds to an error of a disk what a person can do about it.
func (st *opened) ailing(err error) error {
	return ailing(err, st.spec.Name, st.id.Task, st.path())
}

func (st *opened) path() string {
	if st.folder == nil {
		return ""
	}
	return st.folder.State()
}

// offset is that of the last record that belongs to the state, once all are
// acknowledged.
func (st *opened) offset() int64 {
	if offset, ok := st.log.acked(); ok {
		return offset
	}
	return st.position
}

// committed makes what is pending part of the committed state.
func (st *opened) committed(c Commit, now time.Time) error {
	if st.store.err != nil {
		return st.store.err
	}
	mark := []byte{} // of a store that nobody restores
	if st.log != nil {
		mark = AppendMark(nil, st.markOf(c))
	}
	if err := st.pending.Apply(nil, mark); err != nil {
		return st.broken("commit", err)
	}
	if err := st.sweep(now); err != nil {
		return st.broken("remove what has ended", err)
	}
	st.look(now)
	return nil
}

// markOf says which state is committed.
func (st *opened) markOf(c Commit) Mark {
	// Who is fenced off has no need to look, and transactions' ends are offsets.
	if !st.spec.Policy.ExactlyOnce {
		if alone, wrote, would := st.log.alone(); !alone {
			if !st.beside {
				st.beside = true
				st.logger.Warn("another process writes to this store's changelog, as a frozen container does that goes on beside its replacement; this process's local state and snapshots of the store are not used again, and the next start restores it from the changelog",
					"changelog", st.log.stream.String(), "partition", st.log.partition, "offset", wrote, "by itself it would be", would)
			}
			return Mark{Beside: true}
		}
	}
	return Mark{Topic: st.topic, Offset: st.offset(), Checkpoint: c.Checkpoint, At: c.Began}
}

// size is about what the store takes: its engine, and what is pending.
func (st *opened) size() int64 {
	size := st.pending.bytes
	switch e := st.engine.(type) {
	case engine.Measured:
		size += e.Held()
	case interface{ Size() int64 }:
		size += e.Size()
	}
	return size
}

// look looks at the size of the store now and then.
func (st *opened) look(now time.Time) {
	if !st.measured.IsZero() && now.Sub(st.measured) < measureEvery {
		return
	}
	st.measured = now
	size := st.size()
	if st.quota.measured(size) {
		st.logger.Warn("the store has used most of its quota; when it is full puts are refused",
			"bytes", size, "quota", st.quota.limit, "key", "heddle.stores."+st.spec.Name+".quota.bytes")
	}
	st.metrics.measured(size, st.engine)
}

// takeSnapshot offers the committed state to who keeps copies.
func (st *opened) takeSnapshot(ctx context.Context, keeper Snapshots) {
	if keeper == nil || st.log == nil || st.beside {
		return
	}
	if e := st.onDisk(); e != nil {
		if err := keeper.Take(ctx, st.id, e); err != nil {
			st.logger.Warn("no snapshot was taken", "error", err)
		}
	}
}

// close gives up the engine and its folder.
func (st *opened) close() error {
	err := st.engine.Close()
	if st.folder == nil {
		return err
	}
	if errors.Is(st.store.err, engine.ErrCorrupt) || errors.Is(err, engine.ErrCorrupt) {
		err = errors.Join(err, st.folder.Condemn(errors.Join(st.store.err, err).Error()))
	}
	if !st.spec.kept() {
		return errors.Join(err, st.folder.Remove())
	}
	return errors.Join(err, st.folder.Close())
}
