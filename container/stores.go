package container

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/storage/local"
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
		c.events.Event(events.Restored{
			Container: c.opts.Model.ID, Task: t.name, Stores: t.logged,
			Records: t.restores.records(), Took: c.now().Sub(began),
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

// inTurn calls f once few enough others restore or fill.
func (s *stateFolders) inTurn(ctx context.Context, f func() error) error {
	select {
	case s.restoring <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.restoring }()
	return f()
}

// stateFolders is where stores on disk lie, and how many are restored at a
// time.
type stateFolders struct {
	logged, scratch *local.Job
	restoring       chan struct{}
}

// findState works out where stores on disk lie. Stores in memory ask for none
// of it.
func (c *Container) findState() error {
	c.disk.restoring = make(chan struct{}, min(max(2, runtime.GOMAXPROCS(0)), 4))
	if !slices.ContainsFunc(c.opts.Stores, storage.Spec.OnDisk) && !slices.ContainsFunc(c.side.specs, storage.Spec.OnDisk) {
		return nil
	}
	home := filepath.Join(config.HeddleHome.Of(c.opts.Config), "state")
	base, err := local.Base(c.opts.Getenv, config.JobStoreBaseDir.Of(c.opts.Config), home)
	if err != nil {
		return err
	}
	scratch := config.JobNonLoggedStoreBaseDir.Of(c.opts.Config)
	switch {
	case scratch != "":
	case c.opts.Getenv(local.EnvLocalDirs) != "":
		scratch = "state" // the container's work folder, which YARN removes
	default:
		scratch = home
	}
	job := func(base string) *local.Job {
		return &local.Job{Base: base, Name: c.settings.jobName, ID: c.settings.jobID, Logger: c.log}
	}
	c.disk.logged, c.disk.scratch = job(base), job(scratch)
	c.log.Info("state on disk", "folder", c.disk.logged.Dir())
	return nil
}

// jobTasks are the names of all tasks of a job.
func jobTasks(m jobmodel.JobModel) []string {
	names := []string{}
	for _, id := range sortedKeys(m.Containers) {
		names = append(names, m.Containers[id].TaskNames()...)
	}
	return names
}

// cleanState removes local state that is of no use any more. The tasks of this
// container hold theirs by now.
func (c *Container) cleanState() {
	if c.disk.logged == nil {
		return
	}
	retention := map[string]time.Duration{}
	for _, s := range c.opts.Stores {
		retention[s.Name] = s.Policy.DeleteRetention
	}
	shared := map[string]bool{}
	for _, s := range c.side.specs {
		retention[s.Name], shared[s.Name] = s.Policy.DeleteRetention, s.Shared
	}
	c.disk.logged.Clean(func(id local.Identity) bool {
		_, there := retention[id.Store]
		return there && (shared[id.Store] || c.opts.JobTasks == nil || slices.Contains(c.opts.JobTasks, id.Task))
	}, func(store string) time.Duration {
		if d := retention[store]; d > 0 {
			return d
		}
		return storage.DefaultDeleteRetention
	}, c.now())
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

func (r *restores) report() []coordinator.RestoreReport {
	var out []coordinator.RestoreReport
	for _, p := range r.all() {
		out = append(out, coordinator.RestoreReport{
			Store: p.Store, Done: p.Next - p.From, Total: p.To - p.From, LeftMs: p.Left.Milliseconds(),
			Source: string(p.Source), Downloaded: p.Downloaded, Download: p.Download,
		})
	}
	return out
}

// of is that of one store; empty if it is not restored.
func (r *restores) of(store string) storage.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[store]
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
