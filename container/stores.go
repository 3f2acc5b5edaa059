package container

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"heddle/checkpoint"
	"heddle/container/events"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// openStores makes a task's stores and restores them to its checkpoint.
func (c *Container) openStores(t *instance) error {
	began := c.now()
	set, err := storage.Open(c.opts.Stores, storage.Options{
		TaskName:           t.name,
		ChangelogPartition: c.opts.Model.Tasks[t.name].ChangelogPartition,
		Outbox:             t.changelogs.box,
		Serdes: func(name string) (task.Serde, error) {
			return namedSerde(c.opts.Config, name, "serializers.registry."+name+".class")
		},
		Metrics: t.registry,
		Logger:  t.log,
		Ends:    c.changelogEnds,
		Now:     c.now,
	})
	if err != nil {
		return err
	}
	t.stores = set
	targets, err := c.restoreTargets(t)
	if err != nil {
		return err
	}
	if err := set.Restore(c.begun, c.changelogSystems, targets, t.restores.note); err != nil {
		return err
	}
	for _, s := range c.opts.Stores {
		if s.Logged() {
			t.logged = append(t.logged, s.Name)
		}
	}
	if len(t.logged) > 0 {
		c.events.Event(events.Restored{
			Container: c.opts.Model.ID, Task: t.name, Stores: t.logged,
			Records: t.restores.records(), Took: c.now().Sub(began),
		})
	}
	return nil
}

// restoreTargets is what the task's checkpoint says of its stores.
func (c *Container) restoreTargets(t *instance) (map[string]storage.Target, error) {
	if c.opts.Checkpoints == nil {
		return nil, nil
	}
	last, ok := c.opts.Checkpoints.Last(t.name)
	if !ok {
		return nil, nil
	}
	committed := checkpoint.IDTime(last.ID)
	targets := map[string]storage.Target{}
	for _, s := range c.opts.Stores {
		mark, ok := last.Changelogs[s.Name]
		switch {
		case !ok || !s.Logged():
		case mark.Partition.StreamID() != s.Changelog:
			t.log.Warn("the store had another changelog at the last commit, which is not read any more",
				"store", s.Name, "then", mark.Partition.StreamID().String(), "now", s.Changelog.String())
		default:
			targets[s.Name] = storage.Target{Offset: mark.Offset, Committed: committed}
		}
	}
	return targets, nil
}

// findChangelogs readies what restoring needs: the systems that hold
// changelogs, and their ends, asked for once.
func (c *Container) findChangelogs() error {
	c.changelogSystems = map[string]system.System{}
	for _, s := range c.opts.Stores {
		if name := s.Changelog.System; s.Logged() && c.changelogSystems[name] == nil {
			sys, err := c.opts.System(name)
			if err != nil {
				return fmt.Errorf("changelog of store %q: %w", s.Name, err)
			}
			c.changelogSystems[name] = sys
		}
	}
	c.changelogEnds = storage.SharedEnds(c.changelogSystems)
	return nil
}

// changelogPositions are the stores' positions as a checkpoint holds them.
func (t *instance) changelogPositions() map[string]checkpoint.Changelog {
	if len(t.logged) == 0 {
		return nil
	}
	m := map[string]checkpoint.Changelog{}
	for name, p := range t.stores.Positions() {
		m[name] = checkpoint.Changelog{Partition: p.Partition, Offset: p.Offset}
	}
	return m
}

// restores is how far the restore of a task's stores has come. Any goroutine
// reads it.
type restores struct {
	mu    sync.Mutex
	state map[string]storage.Progress
}

func (r *restores) note(p storage.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == nil {
		r.state = map[string]storage.Progress{}
	}
	r.state[p.Store] = p
}

func (r *restores) records() (n int64) {
	for _, p := range r.all() {
		n += p.Records
	}
	return n
}

func (r *restores) all() []storage.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []storage.Progress
	for _, p := range r.state {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b storage.Progress) int { return strings.Compare(a.Store, b.Store) })
	return out
}
