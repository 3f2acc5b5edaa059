package storage

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

// Side is a store that is filled from side inputs instead of by a task (Samza:
// TaskSideInputStorageManager, TaskSideInputHandler). It has no changelog: its
// side inputs are where it comes from. Entries and the place in the side inputs
// are applied together, with a mark, so that what is found on disk is always what
// the messages up to its mark make.
//
// One goroutine fills it, by Fill and then Take; tasks read it through the Set
// that it is lent to, at the same time and without locks.
type Side struct {
	o       Options
	st      *opened
	process task.SideInput // nil: a message is the entry
	// undecoded tells that messages which cannot be decoded are passed over.
	undecoded bool
	places    map[system.Partition]*place
	// shown is what others see of places.
	shown atomic.Pointer[[]shownPlace]
	// passed counts messages that made no entry: without a key, or undecoded.
	passed int64
	// unkept counts messages whose entries a killed process would lose.
	unkept int
}

// place is where the store is in one partition.
type place struct {
	source *task.Source
	sidePlace
	// position and end are for others: next, and where the partition ended last.
	position, end atomic.Int64
}

type shownPlace struct {
	partition system.Partition
	at        *place
}

// SideProgress is how far a store is in one partition of its side inputs.
type SideProgress struct {
	Partition system.Partition
	// Next is the first offset that is not in the store, End where the partition
	// ended when it was last asked.
	Next, End int64
}

// FromSide tells if the store is filled from side inputs.
func (s Spec) FromSide() bool { return len(s.SideInputs) > 0 }

// kept tells if what lies on disk is used again by the next start.
func (s Spec) kept() bool { return s.Logged() || s.FromSide() }

// sideIdentity stands in place of the changelog: where the entries are from, and
// what made them.
func sideIdentity(s Spec) string {
	id := "side inputs"
	for _, in := range s.SideInputs {
		id += " " + in.String()
	}
	if s.SideProcessor != "" {
		id += " by " + s.SideProcessor
	}
	return id
}

// OpenSide makes the store, with what is found of it on disk. o.TaskName is the
// task's, or names the container for a shared one.
func OpenSide(spec Spec, process task.SideInput, undecoded bool, o Options) (*Side, error) {
	o = o.defaults()
	// Reads go past a cache, which would have to hear of each change.
	spec.CacheEntries, spec.WriteBatch = 0, 0
	o.NeedCommit, o.Metrics, o.Snapshots = nil, nil, nil
	st, err := open(spec, o, nil)
	if err != nil {
		return nil, fmt.Errorf("open store %q of %s: %w", spec.Name, o.TaskName, err)
	}
	st.pending.soft, st.pending.hard = 0, 0
	return &Side{o: o, st: st, process: process, undecoded: undecoded, places: map[system.Partition]*place{}}, nil
}

// Name is the store's.
func (s *Side) Name() string { return s.st.spec.Name }

// Fill reads the side inputs to the ends that they have now. It is called once,
// before the store is lent. progress may be nil; all partitions together are one
// progress.
func (s *Side) Fill(ctx context.Context, sources []*task.Source, systems map[string]system.System, progress func(Progress)) error {
	if progress == nil {
		progress = func(Progress) {}
	}
	err := s.fill(ctx, sources, systems, progress)
	if err != nil && s.st.folder != nil && errors.Is(err, engine.ErrCorrupt) {
		// The files may prove damaged only while they are read.
		s.st.logger.Warn("the local state is damaged; it is removed and the side inputs are read again", "folder", s.st.path(), "error", err)
		if err = s.st.empty(); err == nil {
			err = s.fill(ctx, sources, systems, progress)
		}
	}
	if err != nil {
		return fmt.Errorf("fill store %q of %s from its side inputs: %w", s.Name(), s.o.TaskName, s.st.ailing(err))
	}
	return nil
}

func (s *Side) fill(ctx context.Context, sources []*task.Source, systems map[string]system.System, progress func(Progress)) error {
	began := s.o.now()
	ask := s.o.Ends
	if ask == nil {
		ask = func(ctx context.Context, id system.StreamID) ([]system.Ends, error) { return askEnds(ctx, systems, id) }
	}
	ends := map[system.Partition]system.Ends{}
	s.places = map[system.Partition]*place{}
	for _, src := range sources {
		part := system.Partition{System: src.System, Stream: src.Stream, Partition: src.Partition}
		all, err := ask(ctx, part.StreamID())
		if err != nil {
			return err
		}
		if int(part.Partition) >= len(all) {
			return fmt.Errorf("%s has only %d partitions now, fewer than when the job was planned; was it deleted and made anew?: %w", part.StreamID(), len(all), system.ErrNoStream)
		}
		ends[part] = all[part.Partition]
		s.places[part] = &place{source: src}
	}
	plan, err := s.prepare(ctx, ends)
	if err != nil {
		return err
	}
	f := &filling{s: s, began: began, logged: began, progress: progress, p: Progress{Store: s.Name()}}
	for _, p := range plan.places {
		at := s.places[p.partition]
		at.sidePlace = p
		at.position.Store(p.next)
		at.end.Store(ends[p.partition].Stable)
		f.p.To += max(ends[p.partition].Stable-p.next, 0)
		if at.at.IsZero() {
			// A message that is read from now on cannot have lost its deletion before
			// this and the retention have passed, also if a later start reads on.
			at.at = began
		}
	}
	var shown []shownPlace
	for _, part := range sortedPartitions(s.places) {
		shown = append(shown, shownPlace{part, s.places[part]})
	}
	s.shown.Store(&shown)
	progress(f.p) // there may be nothing to tell for long
	if err := f.run(ctx, plan, systems, ends); err != nil {
		return err
	}
	if s.st.folder != nil {
		s.st.folder.Fresh = false
	}
	if s.passed > 0 {
		s.st.logger.Warn("side inputs: messages without a key, or that cannot be decoded, made no entry", "messages", s.passed)
	}
	s.st.logger.Info("store filled from its side inputs", "messages", f.p.Records, "bytes", f.p.Bytes, "local state", plan.keep,
		"partitions", len(s.places), "took", s.o.now().Sub(began).Round(time.Millisecond).String())
	f.p.Done, f.p.Left = true, 0
	progress(f.p)
	return nil
}

// prepare decides about the local state, and empties the engine if it is of no
// use.
func (s *Side) prepare(ctx context.Context, ends map[system.Partition]system.Ends) (sidePlan, error) {
	b, err := s.st.engine.Mark()
	if err != nil {
		return sidePlan{}, err
	}
	var local []sidePlace
	dropped := ""
	switch {
	case len(b) > 0:
		if local, err = parseSideMark(b); err != nil {
			dropped = err.Error()
		} else if local == nil {
			local = []sidePlace{}
		}
	case s.st.folder != nil && !s.st.folder.Fresh:
		dropped = "the process that wrote it ended before it was filled"
	}
	plan := planSide(local, ends, s.st.spec.Policy.DeleteRetention, s.o.now())
	if plan.dropped != "" {
		dropped = plan.dropped
	}
	if dropped == "" {
		return plan, nil
	}
	if plan.unexpected {
		s.st.logger.Warn("the local state is not used; the side inputs are read again", "folder", s.st.path(), "why", dropped)
	} else {
		s.st.logger.Info("the local state is not used; the side inputs are read again", "folder", s.st.path(), "why", dropped)
	}
	if ctx.Err() != nil {
		return plan, ctx.Err()
	}
	return plan, s.st.empty()
}

// filling is one run of Fill.
type filling struct {
	s             *Side
	began, logged time.Time
	progress      func(Progress)
	p             Progress
	load          engine.Load // nil: in batches
}

func (f *filling) run(ctx context.Context, plan sidePlan, systems map[string]system.System, ends map[system.Partition]system.Ends) error {
	s := f.s
	if e := s.st.onDisk(); e != nil && !plan.keep && s.process == nil && f.p.To >= bulkFrom {
		var err error
		if f.load, err = e.Load(); err != nil {
			return err
		}
	}
	err := f.read(ctx, plan, systems, ends)
	switch {
	case err != nil && f.load != nil:
		return errors.Join(err, f.load.Abort())
	case err != nil:
		return err
	case f.load != nil:
		s.unkept = 0
		return f.load.Finish(s.mark())
	}
	if err := s.apply(); err != nil {
		return err
	}
	return s.keep()
}

func (f *filling) read(ctx context.Context, plan sidePlan, systems map[string]system.System, ends map[system.Partition]system.Ends) error {
	for _, from := range plan.places {
		part, to := from.partition, ends[from.partition].Stable
		f.p.Changelog = part
		at, base := f.s.places[part], f.p.Next
		if from.next < to {
			sys := systems[part.System]
			if sys == nil {
				return fmt.Errorf("system %q is not configured", part.System)
			}
			next, err := sys.Read(ctx, part.Stream, part.Partition, from.next, to, func(batch []task.Message) error {
				if err := f.take(at, batch); err != nil {
					return err
				}
				f.tell(base + at.next - from.next)
				return nil
			})
			if err != nil {
				return err
			}
			if next < to {
				return fmt.Errorf("reading %s ended at offset %d of %d", part, next, to)
			}
		}
		at.next, at.at = max(from.next, to), f.began
		at.position.Store(at.next)
		f.p.Next = base + max(to-from.next, 0)
	}
	return nil
}

func (f *filling) take(at *place, batch []task.Message) error {
	for i := range batch {
		f.p.Records++
		f.p.Bytes += int64(len(batch[i].KeyBytes) + len(batch[i].ValueBytes))
	}
	return f.s.takeMessages(at, batch, f.load)
}

// tell says how far it is.
func (f *filling) tell(next int64) {
	f.p.Next = next
	now := f.s.o.now()
	f.p.Left = 0
	if took := now.Sub(f.began); took > 0 && next > 0 {
		f.p.Rate = float64(next) / took.Seconds()
		f.p.Left = time.Duration(float64(f.p.To-next) / f.p.Rate * float64(time.Second))
	}
	f.progress(f.p)
	if now.Sub(f.logged) < tellEvery {
		return
	}
	f.logged = now
	f.s.st.logger.Info("reading side inputs", "offsets", next, "of", f.p.To, "per second", int64(f.p.Rate), "left", f.p.Left.Round(time.Second).String())
}

// maxSideBatch is how much of the side inputs is applied at once.
const maxSideBatch = 4 << 20

// takeMessages makes entries of messages of one partition, in order.
func (s *Side) takeMessages(at *place, batch []task.Message, load engine.Load) error {
	for i := range batch {
		m := &batch[i]
		if m.Offset < at.next {
			continue
		}
		m.Source = at.source
		s.unkept++
		if err := s.entry(m, load); err != nil {
			var undecoded *task.DecodeError
			if !s.undecoded || !errors.As(err, &undecoded) {
				return fmt.Errorf("%s, partition %d, offset %d: %w", at.partition.StreamID(), at.partition.Partition, m.Offset, err)
			}
			s.passed++
		}
		at.next = m.Offset + 1
		if s.st.pending.bytes > maxSideBatch {
			if err := s.apply(); err != nil {
				return err
			}
		}
	}
	if load != nil {
		at.position.Store(at.next)
		return nil
	}
	return s.apply()
}

// entry puts what one message says into the store.
func (s *Side) entry(m *task.Message, load engine.Load) error {
	if s.process != nil {
		return s.process(m, s.st.store)
	}
	if m.KeyBytes == nil {
		s.passed++
		return nil
	}
	key, err := recoded(m.KeyBytes, m.Source.KeySerde, s.st.keys, m.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	var value []byte
	if m.ValueBytes != nil {
		if value, err = recoded(m.ValueBytes, m.Source.ValueSerde, s.st.values, m.Value); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	if load != nil {
		return load.Add(key, value)
	}
	return s.st.pending.Apply([]engine.Write{{Key: string(key), Value: value}}, nil)
}

// recoded is a key or a value as the store encodes it. Without a serde of the
// stream, or with the same one, the bytes are taken as they are.
func recoded(raw []byte, from, to task.Serde, decode func() (any, error)) ([]byte, error) {
	if _, plain := to.(serde.Bytes); plain || from == nil || reflect.TypeOf(from) == reflect.TypeOf(to) {
		return raw, nil
	}
	v, err := decode()
	if err != nil {
		return nil, err
	}
	return to.Append([]byte{}, v)
}

// apply makes what was taken visible, with its places.
func (s *Side) apply() error {
	if err := s.st.pending.Apply(nil, s.mark()); err != nil {
		return s.st.ailing(err)
	}
	for _, p := range s.places {
		p.position.Store(p.next)
	}
	return nil
}

// keepEvery bounds the messages that are read again after the process was killed.
const keepEvery = 50_000

// keep writes to the disk what was applied, once it is much: until then an engine
// on disk has it in memory.
func (s *Side) keep() error {
	if s.unkept < keepEvery {
		return nil
	}
	s.unkept = 0
	if e := s.st.onDisk(); e != nil {
		return s.st.ailing(e.Flush())
	}
	return nil
}

func (s *Side) mark() []byte {
	places := make([]sidePlace, 0, len(s.places))
	for _, p := range s.places {
		places = append(places, p.sidePlace)
	}
	return appendSideMark(nil, places)
}

// Next is the offset from which a partition is to be read after Fill.
func (s *Side) Next(p system.Partition) (next int64, ok bool) {
	at, ok := s.places[p]
	if !ok {
		return 0, false
	}
	return at.next, true
}

// Take takes what was fetched of one partition after Fill.
func (s *Side) Take(b system.Batch) error {
	at := s.places[system.Partition{System: b.Source.System, Stream: b.Source.Stream, Partition: b.Source.Partition}]
	if at == nil {
		return nil
	}
	before := at.next
	err := s.takeMessages(at, b.Messages, nil)
	if err == nil {
		at.next = max(at.next, b.Next)
		at.end.Store(b.HighWatermark)
		if b.Next >= b.HighWatermark {
			at.at = s.o.now()
		}
		if at.next != before {
			err = s.apply()
		}
	}
	if err == nil {
		err = s.keep()
	}
	if err != nil {
		return fmt.Errorf("side input of store %q of %s: %w", s.Name(), s.o.TaskName, err)
	}
	return nil
}

// Places tells how far the store is, by partition; nothing before Fill has looked
// at what there is. Any goroutine calls it, also while Fill runs.
func (s *Side) Places() []SideProgress {
	shown := s.shown.Load()
	if shown == nil {
		return nil
	}
	out := make([]SideProgress, 0, len(*shown))
	for _, p := range *shown {
		out = append(out, SideProgress{p.partition, p.at.position.Load(), p.at.end.Load()})
	}
	return out
}

// Close gives up the store. Nobody may read it any more. What it holds on disk
// is used by the next start.
func (s *Side) Close() error {
	if err := s.st.close(); err != nil {
		return fmt.Errorf("close store %q of %s: %w", s.Name(), s.o.TaskName, err)
	}
	return nil
}
