package storage

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heddle/system"
)

// preparation is what a restore does before it reads the changelog.
type preparation struct {
	st       *opened
	target   *Target
	ends     system.Ends
	now      func() time.Time
	log      *slog.Logger
	keeper   Snapshots // nil: there are no snapshots
	progress func(Progress)
}

// run makes the plan and leaves the engine as the plan wants it: with the local
// state, that of a snapshot, or nothing, as the source says. The mark is that of
// what is kept.
func (p *preparation) run(ctx context.Context) (Plan, *Mark, Source, error) {
	st := p.st
	for source := FromLocalState; ; source = FromSnapshot {
		mark, dropped, err := st.mark()
		if err != nil {
			return Plan{}, nil, source, err
		}
		plan, err := p.plan(mark)
		if err != nil || plan.Keep && (source == FromSnapshot || !plan.far() || !p.fetches()) {
			return plan, mark, source, err
		}
		if plan.Keep {
			found, err := p.fetch(ctx, func(m Mark, bytes int64) string { return p.notNearer(plan, m, bytes) })
			switch {
			case err != nil:
				return plan, nil, FromSnapshot, err
			case found:
				p.log.Info("the local state is far behind; a snapshot is nearer and replaces it", "local offset", mark.Offset)
				continue
			case !st.folder.Fresh:
				return plan, mark, source, nil
			}
			// The snapshot had replaced it, and proved damaged.
			plan, err = p.plan(nil)
			return plan, nil, FromChangelog, err
		}
		if plan.Dropped != "" {
			dropped = plan.Dropped
		}
		if dropped != "" {
			level := slog.LevelInfo
			if plan.Unexpected {
				level = slog.LevelWarn
			}
			p.log.Log(ctx, level, "the "+string(source)+" is not used", "folder", st.path(), "why", dropped)
			if err := st.empty(); err != nil {
				return plan, nil, FromChangelog, err
			}
		}
		if source == FromSnapshot || !p.fetches() || plan.From == plan.To {
			return plan, nil, FromChangelog, nil
		}
		found, err := p.fetch(ctx, func(m Mark, _ int64) string { return p.useless(m) })
		if err != nil {
			return plan, nil, FromSnapshot, err
		}
		if !found {
			return plan, nil, FromChangelog, nil
		}
	}
}

// plan is that for a state with this mark; nil: for none.
func (p *preparation) plan(mark *Mark) (Plan, error) {
	return MakePlan(p.target, mark, p.ends, p.st.spec.Policy, p.now())
}

// useless says why a state with this mark is none that the plan keeps.
func (p *preparation) useless(mark Mark) string {
	plan, err := p.plan(&mark)
	if err != nil {
		return err.Error()
	}
	return plan.Dropped
}

// fetches tells if the store could come from a snapshot.
func (p *preparation) fetches() bool { return p.keeper != nil && p.st.onDisk() != nil }

// notNearer is useless, for a snapshot that is to replace the local state of a
// plan.
func (p *preparation) notNearer(local Plan, mark Mark, bytes int64) string {
	plan, err := p.plan(&mark)
	switch {
	case err != nil:
		return err.Error()
	case plan.Dropped != "":
		return plan.Dropped
	case !nearer(local, plan, bytes):
		return fmt.Sprintf("the local state is near enough: %d offsets are left to read from it, and %d from the snapshot, of %d bytes", local.left(), plan.left(), bytes)
	}
	return ""
}

// mark is what the engine says of its state, nil if it is empty; dropped says
// why it holds something that is of no use.
func (st *opened) mark() (mark *Mark, dropped string, err error) {
	b, err := st.engine.Mark()
	if err != nil {
		return nil, "", err
	}
	if len(b) == 0 {
		if st.folder == nil || st.folder.Fresh {
			return nil, "", nil
		}
		return nil, "the process that wrote it ended before its first commit, or while it restored", nil
	}
	m, err := ParseMark(b)
	if err != nil {
		return nil, err.Error(), nil //nolint:nilerr // of no use, which is no failure
	}
	return &m, "", nil
}

// fetch fills the engine's folder from a snapshot.
func (p *preparation) fetch(ctx context.Context, useless func(Mark, int64) string) (found bool, err error) {
	st := p.st
	// Beside it first: a part of a snapshot must never look like a state.
	dir, err := st.folder.Staging()
	if err != nil {
		return false, err
	}
	found, err = p.keeper.Fetch(ctx, Wanted{ID: st.id, Dir: dir, Useless: useless, Progress: func(done, total int64) {
		now := st.progressOf()
		now.Source, now.Downloaded, now.Download = FromSnapshot, done, total
		p.progress(now)
	}})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		p.log.Warn("no snapshot can be used; the store is restored from the changelog alone", "error", err)
	}
	if err != nil || !found {
		return false, nil //nolint:nilerr // it was warned of, and the changelog has all of it
	}
	if err := st.engine.Close(); err != nil {
		return false, err
	}
	if err := st.folder.Adopt(); err != nil {
		return false, err
	}
	err = st.reopen()
	if damaged(err) {
		p.log.Warn("the snapshot is damaged; the store is restored from the changelog alone", "error", err)
		if err = st.folder.Reset(); err == nil {
			err = st.reopen()
		}
	}
	return err == nil && !st.folder.Fresh, err
}
