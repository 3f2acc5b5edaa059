//go:build grid

package endtoend

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// TestStateOnDiskIsCleared: what lies on the disk of a node on YARN follows the configuration: with
// another number of containers it is used by whoever has the task now; a folder that a living process
// has locked is left alone, with one warning; that of a store that is no more, and of a task that lives
// elsewhere and was not written to for the retention, is removed. The totals are the true ones.
func TestStateOnDiskIsCleared(t *testing.T) {
	g := grid.Use(t)
	base := t.TempDir()
	t.Setenv("LOGGED_STORE_BASE_DIR", base)
	b := newGroupBy(t, g, "yarn")
	j := b.count
	spare := j.name + "-spare"
	t.Cleanup(func() { g.DeleteTopics(t, spare) })
	j.set("stores.spare.factory", "pebble")
	j.set("stores.spare.key.serde", "string")
	j.set("stores.spare.msg.serde", "long")
	j.set("stores.spare.changelog", "kafka."+spare)
	job := filepath.Join(base, "heddle-v1", j.name+"-1")
	folder := func(store string, p int) string { return filepath.Join(job, store, fmt.Sprintf("Partition_%d", p)) }
	there := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	view := ownUsers(b.byUser, 4)
	var all []*kgo.Record
	feed := func() {
		var now []*kgo.Record
		for range 2000 {
			now = append(now, view(len(all)+len(now)))
		}
		g.Produce(t, now...)
		all = append(all, now...)
	}
	run := func(what string, containers int) (log string) {
		t.Helper()
		j.set("job.container.count", fmt.Sprint(containers))
		feed()
		id := j.submit()
		j.awaitRead(id, b.byUser)
		log = j.run(0, "logs").stdout
		j.kill(id)
		b.checkTotals(t, g, viewsPerUser(t, all))
		for _, line := range restoredLine.FindAllString(log, -1) {
			if i := strings.Index(line, "msg="); strings.Contains(line, "counts") {
				t.Logf("%s: %s", what, line[i:])
			}
		}
		return log
	}
	sources := func(log string) map[string]int {
		_, got, _ := restores(log)
		return got
	}
	run("first", 1)
	for p := range 4 {
		if !there(folder("counts", p)) || !there(folder("spare", p)) {
			t.Fatalf("no state of task %d: %v", p, whatLies(t, job))
		}
	}

	// Another number of containers: the tasks find what they had.
	if got := sources(run("two containers", 2)); !maps.Equal(got, map[string]int{`"local state"`: 8}) {
		t.Errorf("with two containers the stores were restored from %v", got)
	}

	// Somebody has a folder.
	lock, err := os.OpenFile(filepath.Join(folder("counts", 1), "LOCK"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	before := whatLies(t, folder("counts", 1))
	log := run("a folder is locked", 2)
	if n := strings.Count(log, "the local state is in use by a living process and is left alone"); n != 1 {
		t.Errorf("%d warnings of a folder that is locked:\n%s", n, tailOf(log))
	}
	if got := sources(log); !maps.Equal(got, map[string]int{`"local state"`: 7, "changelog": 1}) {
		t.Errorf("beside a locked folder the stores were restored from %v", got)
	}
	if after := whatLies(t, folder("counts", 1)); !maps.Equal(before, after) {
		t.Errorf("a folder that is locked was touched: %v, now %v", before, after)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}

	// The store is taken out; state of a task that lives elsewhere is old; that beside the locked one is
	// of no use any more.
	j.set("stores.spare.factory", "")
	j.set("stores.spare.key.serde", "")
	j.set("stores.spare.msg.serde", "")
	j.set("stores.spare.changelog", "")
	j.set("stores.counts.changelog.delete.retention.ms", "3600000")
	old := time.Now().Add(-2 * time.Hour)
	if err := os.CopyFS(filepath.Join(job, "counts", "Partition_3~other-1"), os.DirFS(folder("counts", 3))); err != nil {
		t.Fatal(err)
	}
	for name := range whatLies(t, filepath.Join(job, "counts", "Partition_3~other-1")) {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	log = run("without the store", 2)
	if got := sources(log); !maps.Equal(got, map[string]int{`"local state"`: 4}) {
		t.Errorf("the stores were restored from %v", got)
	}
	for _, gone := range []string{filepath.Join(job, "spare"), folder("counts", 1) + "~2", filepath.Join(job, "counts", "Partition_3~other-1")} {
		if there(gone) {
			t.Errorf("%s is still there\n%s", gone, tailOf(log))
		}
	}
	if n := strings.Count(log, "old local state removed"); n != 6 {
		t.Errorf("%d folders were removed, want 4 of the store, one beside another and an old one", n)
	}
	for p := range 4 {
		if !there(folder("counts", p)) {
			t.Errorf("the state of task %d is gone", p)
		}
	}
}
