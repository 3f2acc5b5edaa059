package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/storage/engine/memory"
	"heddle/system"
	"heddle/task"
)

// Options are what the stores of one task share.
type Options struct {
	// TaskName is for messages.
	TaskName string
	// ChangelogPartition is the partition of every changelog that belongs to
	// the task (Samza: set-changelog). It is not the input's partition.
	ChangelogPartition int32
	// Outbox gives the task's way out to a system; it is asked once for each
	// system that a changelog lies on. It may be the one that the task's
	// messages go through.
	Outbox func(system string) (system.Outbox, error)
	// Serdes finds a serde by the name that the stores are configured with; nil
	// stands for serde.New.
	Serdes func(name string) (task.Serde, error)
	// Metrics is the task's registry; nil: nothing is counted.
	Metrics task.Metrics
	// Logger is the task's; nil: silence.
	Logger *slog.Logger
	// Ends gives changelogs' ends to Restore; nil: each Restore asks by itself.
	// SharedEnds is for containers with many tasks.
	Ends EndsFunc
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (o Options) now() time.Time { return o.Now() }

// Set holds all stores of one task. The task's goroutine uses it.
type Set struct {
	o      Options
	stores []*opened // by name
}

// opened is a store with what it is made of.
type opened struct {
	*store
	spec     Spec
	engine   engine.Engine // the innermost
	log      *changelog
	position string // of the restored state
	metrics  *storeMetrics
}

// Position says how far a changelog belongs to the committed state.
type Position struct {
	Partition system.Partition
	// Offset is that of the last record; "" if there was none.
	Offset string
}

// Open makes the stores of a task, empty. It does no reading.
func Open(specs []Spec, o Options) (*Set, error) {
	if o.Serdes == nil {
		o.Serdes = serde.New
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
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

// open puts the layers of one store on top of each other.
func open(spec Spec, o Options, outboxes map[string]system.Outbox) (*opened, error) {
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
	st := &opened{spec: spec}
	if spec.Logged() {
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
	if st.engine, err = openEngine(spec.Engine); err != nil {
		return nil, fmt.Errorf("stores.%s.factory: %w", spec.Name, err)
	}
	inner := st.engine
	if st.log != nil {
		inner = logged{inner, st.log}
	}
	st.store = newStore(spec, inner, keys, values)
	st.metrics = newStoreMetrics(o.Metrics, spec)
	return st, nil
}

// Names are the names of the stores, sorted.
func (s *Set) Names() []string {
	names := make([]string, len(s.stores))
	for i, st := range s.stores {
		names[i] = st.spec.Name
	}
	return names
}

// Store gives a store by name; the error lists those there are.
func (s *Set) Store(name string) (task.Store, error) {
	for _, st := range s.stores {
		if st.spec.Name == name {
			return st.store, nil
		}
	}
	if len(s.stores) == 0 {
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
		p := Position{
			Partition: system.Partition{System: st.spec.Changelog.System, Stream: st.spec.Changelog.Stream, Partition: st.log.partition},
			Offset:    st.position,
		}
		if offset, ok := st.log.acked(); ok {
			p.Offset = offsetText(offset)
		}
		positions[st.spec.Name] = p
	}
	return positions
}

// Close gives up the engines. What was not flushed is gone; the outboxes stay
// open, for they were lent.
func (s *Set) Close() error {
	var errs []error
	for _, st := range s.stores {
		if err := st.engine.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close store %q of task %q: %w", st.spec.Name, s.o.TaskName, err))
		}
		st.store.err = fmt.Errorf("store %q is closed", st.spec.Name)
	}
	s.stores = nil
	return errors.Join(errs...)
}

func openEngine(name string) (engine.Engine, error) {
	switch name {
	case engine.Memory, engine.Pebble:
		return memory.New(), nil
	}
	return nil, fmt.Errorf("engine %q is not known; there are %s and %s", name, engine.Memory, engine.Pebble)
}
