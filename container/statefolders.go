package container

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/storage"
	"heddle/storage/local"
)

// stateFolders is where stores on disk lie, and how many are restored at a
// time.
type stateFolders struct {
	logged, scratch *local.Job
	restoring       chan struct{}
}

// findState works out where stores on disk lie. Stores in memory ask for none
// of it, but an earlier run may have left what is to be removed.
func (c *Container) findState() error {
	c.disk.restoring = make(chan struct{}, min(max(2, runtime.GOMAXPROCS(0)), 4))
	if !slices.ContainsFunc(c.opts.Stores, storage.Spec.OnDisk) && !slices.ContainsFunc(c.side.specs, storage.Spec.OnDisk) {
		c.disk.logged = c.stateLeft()
		return nil
	}
	logged, err := c.loggedState()
	if err != nil {
		return err
	}
	scratch := config.JobNonLoggedStoreBaseDir.Of(c.opts.Config)
	switch {
	case scratch != "":
	case c.opts.Getenv(local.EnvLocalDirs) != "":
		scratch = "state" // the container's work folder, which YARN removes
	default:
		scratch = c.stateHome()
	}
	c.disk.logged, c.disk.scratch = logged, c.stateBelow(scratch)
	c.log.Info("state on disk", "folder", c.disk.logged.Dir())
	return nil
}

// stateHome is where state lies if nobody names another folder.
func (c *Container) stateHome() string {
	return filepath.Join(config.HeddleHome.Of(c.opts.Config), "state")
}

// stateBelow is the job's state below a base folder.
func (c *Container) stateBelow(base string) *local.Job {
	return &local.Job{Base: base, Name: c.settings.jobName, ID: c.settings.jobID, Logger: c.log}
}

// loggedState is where state with a changelog lies.
func (c *Container) loggedState() (*local.Job, error) {
	base, err := local.Base(c.opts.Getenv, config.JobStoreBaseDir.Of(c.opts.Config), c.stateHome())
	if err != nil {
		return nil, err
	}
	return c.stateBelow(base), nil
}

// stateLeft is where state of the job lies that has no store on disk any more;
// nil: there is none. On YARN nothing outlives the application but what lies in a
// folder that somebody named.
func (c *Container) stateLeft() *local.Job {
	named := c.opts.Getenv(local.EnvBase) != "" || config.JobStoreBaseDir.Of(c.opts.Config) != ""
	if !named && c.opts.Getenv(local.EnvLocalDirs) != "" {
		return nil
	}
	j, err := c.loggedState()
	if err != nil {
		return nil
	}
	if _, err := os.Stat(j.Dir()); err != nil {
		return nil
	}
	return j
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

// jobTasks are the names of all tasks of a job.
func jobTasks(m jobmodel.JobModel) []string {
	names := []string{}
	for _, id := range sortedKeys(m.Containers) {
		names = append(names, m.Containers[id].TaskNames()...)
	}
	return names
}
