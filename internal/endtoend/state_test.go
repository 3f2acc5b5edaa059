//go:build grid

package endtoend

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
	"heddle/storage/local"
)

// restored is what a task's log says of the restore of its store.
type restored struct {
	source  string
	records int64
}

var restoredLine = regexp.MustCompile(`msg="store restored" .*task="([^"]+)" .*records=(\d+) .*source=("[a-z ]+"|[a-z]+)`)

// restores reads, of the containers that run now, what their tasks restored.
func (j *job) restores(application string) map[string]restored {
	j.t.Helper()
	got := map[string]restored{}
	for _, c := range j.awaitRunning(application).ContainerList {
		r := try(j.t, "logs", application, "--container="+c.ExecutionID)
		if r.code != 0 {
			j.t.Fatal(r)
		}
		for _, m := range restoredLine.FindAllStringSubmatch(r.stdout, -1) {
			n, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				j.t.Fatal(err)
			}
			got[m[1]] = restored{source: strings.Trim(m[3], `"`), records: n}
		}
	}
	return got
}

// killByID kills the process of one container of the job, and waits as killContainer does.
func (j *job) killByID(application, container string) {
	j.t.Helper()
	execution := ""
	for _, c := range j.awaitRunning(application).ContainerList {
		if c.ID == container {
			execution = c.ExecutionID
		}
	}
	found := j.g.Processes(j.t, "run-container", application)
	slices.SortFunc(found, func(a, b grid.Process) int { return a.PID - b.PID }) // as killContainer counts
	i := slices.IndexFunc(found, func(p grid.Process) bool { return p.Container == execution })
	if i < 0 {
		j.t.Fatalf("no process of container %s (%s): %v", container, execution, found)
	}
	killContainer(j.t, j.g, j, application, i)
}

// ownUsers gives each user to one partition, as examples/groupby's first job does.
func ownUsers(topic string, partitions int32) func(i int) *kgo.Record {
	view := pageView(topic, partitions)
	return func(i int) *kgo.Record {
		r := view(i)
		r.Partition = int32(i*i%37) % partitions
		return r
	}
}

// whatLies lists the files below a folder with their sizes and times.
func whatLies(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			files[path] = fmt.Sprint(i.Size(), " ", i.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// writeFile writes a file and the folders above it.
func writeFile(t testing.TB, content string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// State on disk outlives the job below LOGGED_STORE_BASE_DIR: the next submit reads nothing of the
// changelog. Containers that are killed come back to their host and read only the tail; without their
// local state they read all of it. Every total is that of the input, whichever way it went. Folders of
// others are not touched, those that nobody needs any more are removed.
func TestStateOnDiskSurvivesKills(t *testing.T) {
	g := grid.Use(t)
	base := t.TempDir()
	t.Setenv("LOGGED_STORE_BASE_DIR", base)
	b := newGroupBy(t, g, "yarn")
	b.count.set("job.container.count", "2")
	b.count.set("job.host-affinity.enabled", "true")
	b.count.set("cluster-manager.container.request.timeout.ms", "60000") // the host is there, and may be busy
	state := filepath.Join(base, "heddle-v1", b.count.name+"-1", "counts")

	// What Samza leaves in the same base, and another job of ours.
	writeFile(t, "17", base, b.count.name+"-1", "counts", "Partition_0", "OFFSET")
	writeFile(t, "table", base, b.count.name+"-1", "counts", "Partition_0-1700000000000-17", "000004.sst")
	writeFile(t, "table", base, "heddle-v1", "another-1", "counts", "Partition_0", "state", "000004.sst")
	others := func() map[string]string {
		all := whatLies(t, filepath.Join(base, b.count.name+"-1"))
		maps.Copy(all, whatLies(t, filepath.Join(base, "heddle-v1", "another-1")))
		return all
	}
	before := others()
	// And a task that the job has no more.
	old, err := local.Job{Base: base, Name: b.count.name, ID: "1"}.Open(local.Identity{Store: "counts", Task: "Partition 99"})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	view := ownUsers(b.byUser, 4)
	const first = 20_000
	records := make([]*kgo.Record, first)
	for i := range records {
		records[i] = view(i)
	}
	g.Produce(t, records...)
	id := b.count.submit()
	b.count.awaitRead(id, b.byUser)
	if _, err := os.Stat(filepath.Join(state, "Partition_99")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state of a task that is no more: %v", err)
	}
	b.count.kill(id)
	b.checkTotals(t, g, viewsPerUser(t, records))

	// A new application, over what the last one left.
	ends := g.EndOffsets(t, b.counts)
	live := produceLive(t, g, func(i int) *kgo.Record { return view(first + i) }, 40, 20*time.Millisecond)
	id = b.count.submit()
	for name, r := range b.count.restores(id) {
		t.Logf("new submit: %s: %+v", name, r)
		if r.source != "local state" || r.records != 0 {
			t.Errorf("new submit: %s read the changelog: %+v", name, r)
		}
	}
	home := b.count.hosts(id)
	for _, c := range []string{"0", "1"} {
		live.awaitMore(1000)
		b.count.killByID(id, c)
		b.count.awaitHosts(id, home)
	}
	now := g.EndOffsets(t, b.counts)
	kept := b.count.restores(id)
	for p := range int32(4) {
		r := kept[fmt.Sprint("Partition ", p)]
		t.Logf("killed: partition %d: %+v; the changelog had %d records at the submit, has %d now", p, r, ends[p], now[p])
		if r.source != "local state" || r.records > now[p]-ends[p] {
			t.Errorf("killed: partition %d did not read the tail alone: %+v, ends %d and %d", p, r, ends[p], now[p])
		}
	}
	if len(kept) != 4 {
		t.Errorf("restores: %v", kept)
	}

	// Both lose their disk.
	live.awaitMore(1000)
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"0", "1"} {
		b.count.killByID(id, c)
	}
	lost := b.count.restores(id)
	for p := range int32(4) {
		r := lost[fmt.Sprint("Partition ", p)]
		t.Logf("without local state: partition %d: %+v", p, r)
		if r.source != "changelog" || r.records == 0 {
			t.Errorf("without local state: partition %d was restored from elsewhere: %+v", p, r)
		}
	}

	records = slices.Concat(records, live.finish())
	b.count.awaitRead(id, b.byUser)
	b.count.kill(id)
	b.checkTotals(t, g, viewsPerUser(t, records))
	if after := others(); !maps.Equal(before, after) {
		t.Errorf("others' files were touched: %v, now %v", before, after)
	}
}
