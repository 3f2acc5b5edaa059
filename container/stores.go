package container

import (
	"fmt"
	"strings"

	"heddle/checkpoint"
	"heddle/container/events"
	"heddle/storage"
	"heddle/system"
)

// openStores makes a task's stores and restores them to its checkpoint.
func (c *Container) openStores(t *instance) error {
	began := c.now()
	set, err := storage.Open(c.opts.Stores, storage.Options{
		TaskName:           t.name,
		ChangelogPartition: c.opts.Model.Tasks[t.name].ChangelogPartition,
		Outbox:             t.changelogs.box,
		Serdes:             c.storeSerde,
		Metrics:            t.registry,
		Logger:             t.log,
		Ends:               c.changelogEnds,
		Now:                c.now,

		Tasks:      len(c.opts.Model.Tasks),
		Folders:    c.disk.logged,
		Scratch:    c.disk.scratch,
		Snapshots:  c.snapshots,
		NeedCommit: t.askCommit,
		NoCommits:  c.settings.commit <= 0,
	})
	if err != nil {
		return err
	}
	t.stores = set
	targets, err := c.restoreTargets(t)
	if err != nil {
		return err
	}
	if err := c.restore(t, targets); err != nil {
		return err
	}
	for _, p := range t.stores.Positions() {
		t.knowTopic(p.Partition.StreamID(), p.Topic)
	}
	for _, s := range c.opts.Stores {
		if s.Logged() {
			t.logged = append(t.logged, s.Name)
		}
	}
	if len(t.logged) > 0 {
		took := c.now().Sub(began)
		c.opts.Metrics("").Gauge(containerMetrics, strings.ToLower(t.name)+"-restore-time").Set(float64(took.Milliseconds()))
		c.events.Event(events.Restored{
			Container: c.opts.Model.ID, Task: t.name, Stores: t.logged,
			Records: t.restores.records(), Took: took,
		})
	}
	return c.openSides(t)
}

// restore restores the task's stores. What one restore holds in memory is
// bounded, so few run at a time.
func (c *Container) restore(t *instance, targets map[string]storage.Target) error {
	return c.disk.inTurn(c.begun, func() error {
		return t.stores.Restore(c.begun, c.changelogSystems, targets, t.restores.note)
	})
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
			targets[s.Name] = storage.Target{Topic: last.Topics[s.Changelog], Offset: mark.Offset, Committed: committed}
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
	for _, s := range c.side.specs {
		for _, in := range s.SideInputs {
			if c.changelogSystems[in.System] != nil {
				continue
			}
			sys, err := c.opts.System(in.System)
			if err != nil {
				return fmt.Errorf("side input %s of store %q: %w", in, s.Name, err)
			}
			c.changelogSystems[in.System] = sys
		}
	}
	c.changelogEnds = storage.SharedEnds(c.changelogSystems)
	return nil
}

// knowTopic notes the id of a stream for the task's checkpoints.
func (t *instance) knowTopic(id system.StreamID, topic system.TopicID) {
	if topic == (system.TopicID{}) {
		return
	}
	if t.topics == nil {
		t.topics = map[system.StreamID]system.TopicID{}
	}
	t.topics[id] = topic
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
