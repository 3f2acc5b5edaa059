package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/task"
)

// TestStateOfStoresThatAreNoMore: when the last store on disk is taken out of the
// configuration, what it had on disk goes all the same.
func TestStateOfStoresThatAreNoMore(t *testing.T) {
	r := newRig(t, 1).store()
	r.until = true
	base := t.TempDir()
	r.set("stores.counts.factory", "pebble", "job.logged.store.base.dir", base)
	r.newTask = calls{process: countWord}.factory()
	r.fill(0, "a", "b", "a")
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(base, "heddle-v1", "test-1", "counts")
	if _, err := os.Stat(filepath.Join(state, "Partition_0", "IDENTITY")); err != nil {
		t.Fatal(err)
	}
	r.set("stores.counts.factory", "memory") // it may be set back: the folder stays for its retention
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(state, "Partition_0", "IDENTITY")); err != nil {
		t.Errorf("the state of a store that is one in memory now: %v", err)
	}
	for k := range r.settings {
		if strings.HasPrefix(k, "stores.") {
			delete(r.settings, k)
		}
	}
	r.newTask = calls{process: func(task.Context, *task.Message) error { return nil }}.factory()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state); err == nil || !strings.Contains(r.log.String(), `the job has no store \"counts\"`) {
		t.Errorf("the state of a store that is no more is still there (%v)\n%s", err, r.log)
	}
}
