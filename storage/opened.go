package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	_ "heddle/storage/engine/memory" // what is not configured to lie on disk
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

// open puts the layers of one store on top of each other.
func open(spec Spec, o Options, outboxes map[string]system.Outbox) (_ *opened, err error) {
	find := func(name string) (task.Serde, error) {
		if name == "" {
			return serde.Bytes{}, nil
		}
		return o.Serdes(name)
	}
	keys, err := find(spec.KeySerde)
	if err != nil {
		return nil, fmt.Errorf("stores.%s.key.serde: %w", spec.Name, err)
	}
	values, err := find(spec.ValueSerde)
	if err != nil {
		return nil, fmt.Errorf("stores.%s.msg.serde: %w", spec.Name, err)
	}
	st := &opened{spec: spec, position: NoOffset, logger: o.Logger.With("store", spec.Name), id: Identity{
		Store: spec.Name, Task: o.TaskName, Partition: o.ChangelogPartition, Engine: spec.Engine, Layout: layout,
		KeySerde: fmt.Sprintf("%T", keys), ValueSerde: fmt.Sprintf("%T", values),
	}}
	if spec.FromSide() {
		st.id.Changelog = sideIdentity(spec)
	}
	var rule *expiry // those of a store from side inputs end with its streams
	if !spec.FromSide() {
		rule = newExpiry(spec.TTL, o.Now)
	}
	if rule != nil {
		st.id.Layout = ttlLayout
	}
	if spec.Logged() {
		st.id.Changelog = spec.Changelog.String()
		out, ok := outboxes[spec.Changelog.System]
		if !ok {
			if o.Outbox == nil {
				return nil, fmt.Errorf("it has a changelog, but there is no way out to system %q", spec.Changelog.System)
			}
			if out, err = o.Outbox(spec.Changelog.System); err != nil {
				return nil, fmt.Errorf("changelog %s: %w", spec.Changelog, err)
			}
			outboxes[spec.Changelog.System] = out
		}
		st.log = &changelog{stream: spec.Changelog, partition: o.ChangelogPartition, out: out}
	}
	if err := st.openEngine(o); err != nil {
		return nil, err
	}
	st.pending = newPending(st.engine)
	st.pending.soft = st.options.WriteBufferBytes
	if o.testBuffer > 0 {
		st.pending.soft = o.testBuffer
	}
	st.pending.hard = spillFactor * st.pending.soft
	if st.pending.need = o.NeedCommit; o.NoCommits {
		st.pending.need, st.pending.hard = nil, st.pending.soft
	}
	st.state = rule.over(st.pending)
	inner := st.state
	if st.log != nil {
		st.pending.between = AppendMark(nil, Mark{Between: true})
		inner = logged{inner, st.log}
	}
	st.store = newStore(spec, inner, keys, values)
	st.store.ailing = st.ailing
	st.store.expiry, st.sweeper = rule, newSweeper(rule)
	st.store.living, _ = st.state.(*expiring)
	if st.cache != nil && spec.ObjectBytes > 0 {
		st.cache.maxBytes = max(spec.ObjectBytes/int64(o.Tasks), minObjectBytes)
	}
	if st.cache != nil && o.testObjects > 0 {
		st.cache.maxBytes = o.testObjects
	}
	st.sizes = newSizeRule(spec, st.logger)
	st.quota.limit, st.store.size = spec.QuotaBytes, st.size
	st.metrics = newStoreMetrics(o.Metrics, spec)
	st.face = st.store
	if spec.AccessLogRatio > 0 && st.log != nil {
		st.face = newAccessLogged(st, o)
	}
	return st, nil
}

// layout names how entries are laid out in the engine.
const layout = "plain"

// minWriteBuffer is what a store's share of the write buffer does not go below
// when many tasks share it.
const minWriteBuffer = 512 << 10

// minObjectBytes is the same for a store's cache of objects.
const minObjectBytes = 64 << 10

// openEngine opens the engine in its folder, if it has one.
func (st *opened) openEngine(o Options) error {
	buffer := st.spec.WriteBufferBytes
	if buffer == 0 {
		buffer = defaultWriteBuffer
	}
	st.options = engine.Options{
		Share: st.spec.Name, CacheBytes: st.spec.CacheBytes - st.spec.CacheBytes/2,
		RowBytes:         st.spec.CacheBytes / 2 / int64(o.Tasks),
		WriteBufferBytes: max(buffer/int64(o.Tasks), minWriteBuffer),
		Compression:      st.spec.Compression, BlockSize: st.spec.BlockBytes, WAL: st.spec.WAL,
		MemTables: st.spec.WriteBuffers, Compactions: st.spec.Compactions, OpenFiles: st.spec.OpenFiles,
		Logger: st.logger,
	}
	var err error
	known := slices.Contains(engine.Names(), st.spec.Engine)
	if !known && st.spec.Engine != engine.Pebble {
		return fmt.Errorf("stores.%s.factory: %w", st.spec.Name, engine.Missing(st.spec.Engine))
	}
	if st.spec.Engine == engine.Memory || !known {
		if st.engine, err = engine.Open(engine.Memory, st.options); err != nil {
			return fmt.Errorf("stores.%s.factory: %w", st.spec.Name, err)
		}
		return nil
	}
	folders := o.Folders
	if !st.spec.kept() {
		folders = o.Scratch
	}
	if folders == nil {
		return fmt.Errorf("its engine %q lies on disk, and there is no folder for it", st.spec.Engine)
	}
	if st.folder, err = folders.Open(st.id); err != nil {
		return st.ailing(err)
	}
	st.id = st.folder.Identity()
	st.options.Dir = st.folder.State()
	if !st.spec.kept() || st.spec.CleanAtStart {
		err = st.folder.Reset()
	}
	if err == nil {
		err = st.reopen()
	}
	if damaged(err) {
		st.logger.Warn("the local state is damaged; it is removed and restored from elsewhere", "folder", st.options.Dir, "error", err)
		if err = st.folder.Reset(); err == nil {
			err = st.reopen()
		}
	}
	if err != nil {
		return errors.Join(st.ailing(err), st.folder.Close())
	}
	return nil
}

// damaged tells if the files in a folder of this store are of no use. That they
// look like another program's is damage, too: the folder's identity was checked.
func damaged(err error) bool {
	return errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrForeign)
}

// reopen opens the engine in its folder.
func (st *opened) reopen() error {
	e, err := engine.Open(st.spec.Engine, st.options)
	if err != nil {
		return fmt.Errorf("engine %q (stores.%s.factory): %w", st.spec.Engine, st.spec.Name, err)
	}
	st.engine = e
	if st.pending != nil {
		st.pending.Engine = e
	}
	return nil
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
