package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// Progress tells how far the restore of one store has come.
type Progress struct {
	Store     string
	Changelog system.Partition
	// Source is what the store begins with; "" while that is not decided.
	Source Source
	// Downloaded of Download bytes of a snapshot have come.
	Downloaded, Download int64
	// Undoing tells the second part, the undoing of what came after the
	// checkpoint, from the first.
	Undoing bool
	// The records in [From, To) are read; Next is the next of them.
	From, Next, To int64
	// Records and Bytes (keys and values) were restored so far, and Undone
	// records undone.
	Records, Bytes, Undone int64
	// Rate is how many of the changelog's offsets are passed in a second, and
	// Left how long the rest takes at that rate; 0 while unknown.
	Rate float64
	Left time.Duration
	// Done is true once, at the end of the store's restore.
	Done bool
}

// Source is what a restore begins with. The rest comes from the changelog.
type Source string

// The sources of a restore.
const (
	FromChangelog  Source = "changelog" // nothing
	FromLocalState Source = "local state"
	FromSnapshot   Source = "snapshot"
)

// EndsFunc gives the ends of all partitions of a changelog.
type EndsFunc func(ctx context.Context, changelog system.StreamID) ([]system.Ends, error)

// SharedEnds asks the systems for the ends of each changelog only once, for
// all tasks of a container that are restored together. What the tasks write
// while others are still restored does not matter: each has its own partition.
func SharedEnds(systems map[string]system.System) EndsFunc {
	var mu sync.Mutex
	known := map[system.StreamID]func() ([]system.Ends, error){}
	return func(ctx context.Context, id system.StreamID) ([]system.Ends, error) {
		mu.Lock()
		ask, ok := known[id]
		if !ok {
			ask = sync.OnceValues(func() ([]system.Ends, error) { return askEnds(ctx, systems, id) })
			known[id] = ask
		}
		mu.Unlock()
		return ask()
	}
}

func askEnds(ctx context.Context, systems map[string]system.System, id system.StreamID) ([]system.Ends, error) {
	sys, ok := systems[id.System]
	if !ok {
		return nil, fmt.Errorf("changelog %s: system %q is not configured; set systems.%s.samza.factory", id, id.System, id.System)
	}
	admin, err := sys.Admin()
	if err != nil {
		return nil, err
	}
	return admin.Offsets(ctx, id.Stream)
}

// Restore fills the logged stores from their changelogs, and undoes what their
// changelogs hold beyond targets (by store name; a store that is missing there
// is unknown to the checkpoint). It has to be called once, before the stores
// are used. progress may be nil; it is called after each batch, and by
// any goroutine while a snapshot comes.
//
// What is undone is appended to the changelog: for each record behind the
// target, in order, the value that its key has at the target. A Kafka topic
// cannot be cut off. If what lies behind the target changes nothing, for it was
// undone before by a container that then died without a commit, it stays as it
// is: otherwise the changelog would double with each such start.
func (s *Set) Restore(ctx context.Context, systems map[string]system.System, targets map[string]Target, progress func(Progress)) error {
	ends := s.o.Ends
	if ends == nil {
		ends = func(ctx context.Context, id system.StreamID) ([]system.Ends, error) { return askEnds(ctx, systems, id) }
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	for _, st := range s.stores {
		if st.log == nil {
			continue
		}
		var target *Target
		if t, ok := targets[st.spec.Name]; ok {
			target = &t
		}
		if err := st.findLimit(ctx); err != nil {
			return fmt.Errorf("store %q of task %q: %w", st.spec.Name, s.o.TaskName, err)
		}
		if err := s.restore(ctx, st, systems[st.spec.Changelog.System], ends, target, progress); err != nil {
			return fmt.Errorf("restore store %q of task %q from the %v: %w", st.spec.Name, s.o.TaskName, st.log, err)
		}
	}
	return nil
}

func (s *Set) restore(ctx context.Context, st *opened, sys system.System, askEnds EndsFunc, target *Target, progress func(Progress)) error {
	began := s.o.now()
	all, err := askEnds(ctx, st.spec.Changelog)
	if err != nil {
		return err
	}
	if int(st.log.partition) >= len(all) {
		return fmt.Errorf("the topic has only %d partitions; it has to have one for each task: make it anew with more, or name another in stores.%s.changelog",
			len(all), st.spec.Name)
	}
	ends := all[st.log.partition]
	log := st.logger.With("changelog", st.spec.Changelog.String(), "partition", st.log.partition)
	keeper := s.o.Snapshots
	// Local state may be damaged, then a snapshot, then neither is there.
	for left := 2; ; left-- {
		p := preparation{st: st, target: target, ends: ends, now: s.o.now, log: log, keeper: keeper, progress: progress}
		plan, mark, source, err := p.run(ctx)
		if err == nil {
			r := &restorer{
				st: st, sys: sys, log: log, now: s.o.Now, began: began, ends: ends,
				target: target, mark: mark, source: source, progress: progress,
			}
			if err = r.run(ctx, plan); err == nil {
				return nil
			}
		}
		// The files may prove damaged only while they are read.
		if st.folder == nil || left == 0 || source == FromChangelog || !damaged(err) {
			return st.ailing(err)
		}
		log.Warn("the "+string(source)+" is damaged; it is removed, and the store is restored from elsewhere", "folder", st.path(), "error", err)
		if source == FromSnapshot {
			keeper = nil
		}
		if err := st.empty(); err != nil {
			return err
		}
	}
}

// progressOf is a store's progress before anything was read.
func (st *opened) progressOf() Progress {
	return Progress{Store: st.spec.Name, Changelog: system.Partition{
		System: st.spec.Changelog.System, Stream: st.spec.Changelog.Stream, Partition: st.log.partition}}
}

// restorer carries out the plan for one store.
type restorer struct {
	st       *opened
	sys      system.System
	log      *slog.Logger
	now      func() time.Time
	began    time.Time
	ends     system.Ends
	target   *Target
	mark     *Mark // of the state that is kept; nil: it begins empty
	source   Source
	progress func(Progress)
	p        Progress

	partStart, logged time.Time
	keyless           int64
	writes            []engine.Write
	last              int64 // offset of the newest of writes
	load              engine.Load
	stamped           []byte // of the record at hand
}

func (r *restorer) run(ctx context.Context, plan Plan) error {
	st := r.st
	if plan.Warning != "" {
		r.log.Warn("restore: " + plan.Warning)
	}
	r.p = st.progressOf()
	r.p.Source = r.source
	if err := r.replay(ctx, plan); err != nil {
		return err
	}
	st.position, st.topic, st.log.from = plan.Offset, r.ends.Topic, r.ends.Next
	if plan.Undoes() {
		changes, err := r.changes(ctx, plan.To, plan.End)
		if err == nil && changes {
			if st.spec.Policy.ExactlyOnce {
				r.log.Warn("restore: the changelog holds records behind the checkpoint that no transaction aborted, so it was written to at-least-once before; they are undone")
			}
			err = r.undo(ctx, plan.To, plan.End)
		}
		if err != nil {
			return fmt.Errorf("undo what came after the checkpoint: %w", err)
		}
	}
	if st.folder != nil {
		st.folder.Fresh = false
	}
	st.restored(r.p)
	if r.keyless > 0 {
		r.log.Warn("restore: records without a key were passed over; something else writes to this changelog", "records", r.keyless)
	}
	r.log.Info("store restored", "records", r.p.Records, "bytes", r.p.Bytes, "undone", r.p.Undone, "source", string(r.source),
		"offset", plan.Offset, "took", r.now().Sub(r.began).Round(time.Millisecond).String())
	r.p.Done, r.p.Left = true, 0
	r.progress(r.p)
	return nil
}

// read walks over the records in [from, to).
func (r *restorer) read(ctx context.Context, from, to int64, each func(m *task.Message) error) error {
	if from >= to {
		return nil
	}
	if r.sys == nil {
		return fmt.Errorf("system %q is not configured", r.st.spec.Changelog.System)
	}
	r.p.From, r.p.Next, r.p.To = from, from, to
	r.partStart = r.now()
	r.logged = r.partStart
	next, err := r.readBatches(ctx, from, to, func(batch []task.Message) error {
		for i := range batch {
			m := &batch[i]
			r.p.Next = m.Offset + 1
			if m.KeyBytes == nil {
				r.keyless++
				continue
			}
			if err := each(m); err != nil {
				return err
			}
		}
		if err := r.apply(); err != nil {
			return err
		}
		r.tell()
		return nil
	})
	if err != nil {
		return err
	}
	if next < to {
		return fmt.Errorf("reading ended at offset %d of %d", next, to)
	}
	r.p.Next = to
	return nil
}

// readBatches is system.Read, but that a topic which drops records by age may
// have dropped some since it was asked where it begins.
func (r *restorer) readBatches(ctx context.Context, from, to int64, each func([]task.Message) error) (int64, error) {
	next, err := r.sys.Read(ctx, r.st.spec.Changelog.Stream, r.st.log.partition, from, to, each)
	for r.st.spec.Policy.ByAge && errors.Is(err, system.ErrOutOfRange) {
		// What is dropped is older than what was read, so nothing comes twice.
		at := max(next, r.p.Next)
		next, err = r.sys.Read(ctx, r.st.spec.Changelog.Stream, r.st.log.partition, system.Oldest, to, each)
		if next <= at {
			break
		}
	}
	return next, err
}

// stored is a record's value as the engine holds it. It is valid until the next
// call, unless it is the record's own.
func (r *restorer) stored(m *task.Message) []byte {
	if r.st.expiry == nil {
		return m.ValueBytes
	}
	v := r.st.expiry.restored(r.stamped[:0], m.ValueBytes, m.Timestamp, r.began.UnixMilli())
	if v != nil {
		r.stamped = v
	}
	return v
}

// keep is a value that outlives the next call of stored.
func (r *restorer) keep(v []byte) []byte {
	if r.st.expiry == nil || v == nil {
		return v
	}
	return append([]byte{}, v...)
}

// tellEvery is how often the log hears how far a long restore is.
const tellEvery = 5 * time.Second

// tell says how far it is, and how long the rest takes.
func (r *restorer) tell() {
	now := r.now()
	if took := now.Sub(r.partStart); took > 0 {
		r.p.Rate = float64(r.p.Next-r.p.From) / took.Seconds()
	}
	r.p.Left = 0
	if r.p.Rate > 0 {
		r.p.Left = time.Duration(float64(r.p.To-r.p.Next) / r.p.Rate * float64(time.Second))
	}
	r.progress(r.p)
	if now.Sub(r.logged) < tellEvery {
		return
	}
	r.logged = now
	doing := "restoring"
	if r.p.Undoing {
		doing = "undoing what came after the checkpoint"
	}
	r.log.Info("restore", "doing", doing, "offset", r.p.Next, "to", r.p.To,
		"per second", int64(r.p.Rate), "left", r.p.Left.Round(time.Second).String())
}

// From this many offsets on, records go into an engine on disk in bulk. Over
// local state the bar is higher: a process that ends within a bulk loses it.
const (
	bulkFrom     = 50_000
	bulkFromOver = 5_000_000
)

// bulk begins a load if the plan is long enough for it.
func (r *restorer) bulk(plan Plan) (err error) {
	from := int64(bulkFrom)
	if plan.Keep {
		from = bulkFromOver
	}
	e := r.st.onDisk()
	if e == nil || plan.To-plan.From < from {
		return nil
	}
	r.load, err = e.Load()
	return err
}

func (r *restorer) replay(ctx context.Context, plan Plan) error {
	if plan.From >= plan.To && plan.Keep {
		return nil
	}
	if err := r.bulk(plan); err != nil {
		return err
	}
	err := r.read(ctx, plan.From, plan.To, func(m *task.Message) error {
		r.p.Records++
		r.p.Bytes += int64(len(m.KeyBytes) + len(m.ValueBytes))
		if r.load != nil {
			return r.load.Add(m.KeyBytes, r.stored(m))
		}
		// A string of its own: the batch's memory is not to be held.
		r.writes = append(r.writes, engine.Write{Key: string(m.KeyBytes), Value: r.keep(r.stored(m))})
		r.last = m.Offset
		if len(r.writes) == maxApply {
			return r.apply()
		}
		return nil
	})
	final := AppendMark(nil, r.final(plan))
	switch {
	case r.load != nil && err != nil:
		return errors.Join(err, r.load.Abort())
	case err != nil:
		return err
	case r.load != nil:
		return r.load.Finish(final)
	}
	return r.st.engine.Apply(nil, final)
}

// final is the mark of the restored state.
func (r *restorer) final(plan Plan) Mark {
	m := Mark{Topic: r.ends.Topic, Offset: plan.Offset, At: r.began}
	if plan.To < plan.End && r.target != nil {
		// What lies behind it was written after that.
		m.At = r.target.Committed
	}
	return m
}

// apply hands what was read to the engine. On the way from one state to
// another each state between is one of the changelog, too, and no older than
// the first; but one that began empty is of unknown age until its end.
func (r *restorer) apply() error {
	if len(r.writes) == 0 {
		return nil
	}
	var mark []byte
	if r.mark != nil {
		mark = AppendMark(nil, Mark{Topic: r.ends.Topic, Offset: r.last, Checkpoint: r.mark.Checkpoint, At: r.mark.At})
	}
	err := r.st.engine.Apply(r.writes, mark)
	clear(r.writes)
	r.writes = r.writes[:0]
	return err
}
