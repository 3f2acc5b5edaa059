package local

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Clean removes the job's folders that nobody uses now and that are of no use:
// those whose store and task are no longer the job's (keep says so), those
// beside another, and those that nothing was written to for longer than
// retention allows. It removes what it can and warns of the rest.
func (j Job) Clean(keep func(Identity) bool, retention func(store string) time.Duration, now time.Time) {
	stores, err := os.ReadDir(j.Dir())
	if err != nil {
		return // nothing there
	}
	for _, store := range stores {
		dir := filepath.Join(j.Dir(), store.Name())
		tasks, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, task := range tasks {
			if task.IsDir() {
				j.clean(filepath.Join(dir, task.Name()), keep, retention, now)
			}
		}
		_ = os.Remove(dir) // if it is empty
	}
}

func (j Job) clean(dir string, keep func(Identity) bool, retention func(string) time.Duration, now time.Time) {
	// What is of use is not locked even for a moment: another container may be
	// about to open it, and would take a fresh one.
	if obsolete(dir, keep, retention, now) == "" {
		return
	}
	f, err := take(dir, Identity{})
	if err != nil {
		return // in use, or not ours to touch
	}
	why := obsolete(dir, keep, retention, now)
	if why == "" {
		_ = f.Close() // it was only looked at
		return
	}
	log := j.log(Identity{Store: filepath.Base(filepath.Dir(dir))})
	if err := f.Remove(); err != nil {
		log.Warn("old local state cannot be removed", "folder", dir, "error", err)
		return
	}
	log.Info("old local state removed", "folder", dir, "why", why)
}

func obsolete(dir string, keep func(Identity) bool, retention func(string) time.Duration, now time.Time) string {
	age := now.Sub(newest(dir))
	b, err := os.ReadFile(filepath.Join(dir, identityName))
	if err != nil {
		return "it was left while it was made"
	}
	id, err := decodeIdentity(b)
	limit := unknownRetention
	if err == nil {
		limit = retention(id.Store)
	}
	aside := strings.Contains(filepath.Base(dir), "~other-")
	switch {
	case age > limit:
		return fmt.Sprintf("nothing was written to it for %v", age.Round(time.Minute))
	case err != nil || aside:
		return ""
	case !keep(id):
		return fmt.Sprintf("the job has no store %q with a task %q any more", id.Store, id.Task)
	case strings.Contains(filepath.Base(dir), "~"):
		return "it was beside another that was in use"
	}
	return ""
}

// unknownRetention is how long what nobody can read is kept.
const unknownRetention = 24 * time.Hour

// newest is when something in a folder was written last.
func newest(dir string) time.Time {
	var at time.Time
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be seen does not count
		}
		// To look into a folder is to lock it, which is no sign of use.
		if d.Name() == lockFile || d.IsDir() {
			return nil
		}
		if i, err := d.Info(); err == nil && i.ModTime().After(at) {
			at = i.ModTime()
		}
		return nil
	})
	return at
}
