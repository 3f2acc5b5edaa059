package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"heddle/system"
	"heddle/task"
)

// Set holds all stores of one task. The task's goroutine uses it.
type Set struct {
	o      Options
	stores []*opened // by name
	// lent are the stores that are filled from side inputs.
	lent []*lent
}

// Position says how far a changelog belongs to the committed state.
type Position struct {
	Partition system.Partition
	// Topic is the changelog's id; zero if the system gives none.
	Topic system.TopicID
	// Offset is that of the last record; "" if there was none.
	Offset string
}

// Open makes the stores of a task, empty. It does no reading.
func Open(specs []Spec, o Options) (*Set, error) {
	o = o.defaults()
	s := &Set{o: o}
	outboxes := map[string]system.Outbox{}
	logs := map[system.StreamID]string{}
	for _, spec := range specs {
		if other, ok := logs[spec.Changelog]; ok && spec.Logged() {
			return nil, errors.Join(fmt.Errorf("stores %q and %q have the same changelog %s: each needs its own; change stores.%s.changelog",
				other, spec.Name, spec.Changelog, spec.Name), s.Close())
		}
		st, err := open(spec, o, outboxes)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open store %q of task %q: %w", spec.Name, o.TaskName, err), s.Close())
		}
		logs[spec.Changelog] = spec.Name
		s.stores = append(s.stores, st)
	}
	slices.SortFunc(s.stores, func(a, b *opened) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	return s, nil
}

// Names are the names of the stores, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.stores)+len(s.lent))
	for _, st := range s.stores {
		names = append(names, st.spec.Name)
	}
	for _, l := range s.lent {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names
}

// Store gives a store by name; the error lists those there are.
func (s *Set) Store(name string) (task.Store, error) {
	for _, st := range s.stores {
		if st.spec.Name == name {
			return st.face, nil
		}
	}
	for _, l := range s.lent {
		if l.name == name {
			return l.face, nil
		}
	}
	if len(s.stores)+len(s.lent) == 0 {
		return nil, fmt.Errorf("store %q is not configured, nor is any other; set stores.%s.factory", name, name)
	}
	return nil, fmt.Errorf("store %q is not configured; there are %s; set stores.%s.factory", name, strings.Join(s.Names(), ", "), name)
}

// Flush hands every change down to the engines and to the outboxes of the
// changelogs. It is the first step of a commit; the outboxes' own Flush is the
// second, and only then does Positions say what the state consists of.
func (s *Set) Flush() error {
	for _, st := range s.stores {
		start := s.o.now()
		if err := st.Flush(); err != nil {
			return fmt.Errorf("task %q: %w", s.o.TaskName, err)
		}
		st.publish(s.o.now().Sub(start))
	}
	for _, l := range s.lent {
		l.publish(s.o.now())
	}
	return nil
}

// Positions gives, for each logged store, the changelog offset that belongs to
// its state. It is right only after Flush and the Flush of the outboxes, with
// no change in between: it is what the system acknowledged, never what it holds
// besides.
func (s *Set) Positions() map[string]Position {
	positions := map[string]Position{}
	for _, st := range s.stores {
		if st.log == nil {
			continue
		}
		p := Position{Topic: st.topic, Partition: system.Partition{
			System: st.spec.Changelog.System, Stream: st.spec.Changelog.Stream, Partition: st.log.partition}}
		if offset := st.offset(); offset != NoOffset {
			p.Offset = offsetText(offset)
		}
		positions[st.spec.Name] = p
	}
	return positions
}

// Commit is what made a state the committed one.
type Commit struct {
	// Checkpoint is the id of the checkpoint that is safe; "" if none is kept.
	Checkpoint string
	// Began is when the commit began: what its Flush did not hand to the
	// changelog was written later.
	Began time.Time
}

// Committed makes what is pending part of the engines' state, each with a mark
// that says of which commit. It is the last step of a commit, called when the
// checkpoint is safe, with no change of a store since Flush. If it fails, or is
// never reached, a restart finds an earlier state and makes up the rest from
// the changelog.
func (s *Set) Committed(ctx context.Context, c Commit) error {
	for _, st := range s.stores {
		began := s.o.now()
		if err := st.committed(c, began); err != nil {
			return fmt.Errorf("task %q: %w", s.o.TaskName, err)
		}
		st.applied(s.o.now().Sub(began))
		st.takeSnapshot(ctx, s.o.Snapshots)
	}
	return nil
}

// Close gives up the engines. What was not committed is gone, but for what the
// changelogs have; the outboxes stay open, for they were lent.
func (s *Set) Close() error {
	var errs []error
	for _, st := range s.stores {
		if err := st.ailing(st.close()); err != nil {
			errs = append(errs, fmt.Errorf("close store %q of task %q: %w", st.spec.Name, s.o.TaskName, err))
		}
		st.store.err = fmt.Errorf("store %q is closed", st.spec.Name)
	}
	for _, l := range s.lent {
		l.err = fmt.Errorf("store %q is closed", l.name)
	}
	s.stores, s.lent = nil, nil
	return errors.Join(errs...)
}
