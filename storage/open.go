package storage

import (
	"errors"
	"fmt"
	"slices"

	"heddle/storage/engine"
	_ "heddle/storage/engine/memory" // what is not configured to lie on disk
	"heddle/system"
)

// open puts the layers of one store on top of each other.
func open(spec Spec, o Options, outboxes map[string]system.Outbox) (_ *opened, err error) {
	keys, err := o.serde(spec.KeySerde)
	if err != nil {
		return nil, fmt.Errorf("stores.%s.key.serde: %w", spec.Name, err)
	}
	values, err := o.serde(spec.ValueSerde)
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
		if st.log, err = openChangelog(spec.Changelog, o, outboxes); err != nil {
			return nil, err
		}
	}
	if err := st.openEngine(o); err != nil {
		return nil, err
	}
	st.openPending(o)
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
	st.metrics = newStoreMetrics(o.Metrics, spec, st.engine)
	st.face = st.store
	if spec.AccessLogRatio > 0 && st.log != nil {
		st.face = newAccessLogged(st, o)
	}
	if st.metrics != nil {
		st.face = &clocked{Store: st.face, now: o.Now, timers: st.metrics.calls}
	}
	return st, nil
}

// openChangelog readies the way out of a store's changes. outboxes are those of the
// task's stores, one for each system.
func openChangelog(stream system.StreamID, o Options, outboxes map[string]system.Outbox) (*changelog, error) {
	out, ok := outboxes[stream.System]
	if !ok {
		if o.Outbox == nil {
			return nil, fmt.Errorf("it has a changelog, but there is no way out to system %q", stream.System)
		}
		var err error
		if out, err = o.Outbox(stream.System); err != nil {
			return nil, fmt.Errorf("changelog %s: %w", stream, err)
		}
		outboxes[stream.System] = out
	}
	return &changelog{stream: stream, partition: o.ChangelogPartition, out: out}, nil
}

// openPending lays what is written between two commits over the engine.
func (st *opened) openPending(o Options) {
	st.pending = newPending(st.engine)
	st.pending.soft = st.options.WriteBufferBytes
	if o.testBuffer > 0 {
		st.pending.soft = o.testBuffer
	}
	st.pending.hard = spillFactor * st.pending.soft
	if st.pending.need = o.NeedCommit; o.NoCommits {
		st.pending.need, st.pending.hard = nil, st.pending.soft
	}
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
