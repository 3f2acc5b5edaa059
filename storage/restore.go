package storage

import (
	"context"
	"fmt"

	"heddle/system"
)

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
	ends := s.o.ends(systems)
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
	ends = settled(ends, st.spec.Policy, log)
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
