package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heddle/storage/engine"
	"heddle/system"
	"heddle/task"
)

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
	ask := s.o.ends(systems)
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
	f.p.pace(now.Sub(f.began))
	f.progress(f.p)
	if now.Sub(f.logged) < tellEvery {
		return
	}
	f.logged = now
	f.s.st.logger.Info("reading side inputs", "offsets", next, "of", f.p.To, "per second", int64(f.p.Rate), "left", f.p.Left.Round(time.Second).String())
}
