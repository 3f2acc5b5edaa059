//go:build grid

package endtoend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
	"heddle/system/files"
)

// kept is what `state snapshots list --json` says of a store of a task.
type kept struct {
	Store, Task          string
	Snapshots            int
	Taken, Bytes, Stored int64
	Configured           bool
	Problem              string
}

func keptOf(t testing.TB, r result) map[string]kept {
	t.Helper()
	if r.code != 0 || r.stderr != "" {
		t.Fatal(r)
	}
	out := map[string]kept{}
	for line := range strings.Lines(r.stdout) {
		var k kept
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out[k.Store+"/"+k.Task] = k
	}
	return out
}

// refused checks a command that ends with an error: by its code, and with one line.
func refused(t testing.TB, r result, code int, says ...string) {
	t.Helper()
	if r.code != code || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "run-job: ") {
		t.Errorf("want exit code %d and one line: %s", code, r)
	}
	for _, s := range says {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("it does not say %q: %s", s, r)
		}
	}
}

// TestSnapshotsOnHDFSListedAndRemoved: a job on YARN keeps snapshots on HDFS. They are listed while
// one is being written, when one is damaged, and beside another job's; they are removed when the job
// does not run, and nothing else is.
func TestSnapshotsOnHDFSListedAndRemoved(t *testing.T) {
	g := grid.Use(t)
	b := newGroupBy(t, g, "yarn")
	fs := hdfs(t)
	root := "/heddle-test/" + b.count.name
	t.Cleanup(func() { _ = fs.RemoveAll(t.Context(), root) })
	c := b.count
	c.set("task.window.ms", "300")
	c.set("heddle.snapshot.uri", root)
	c.set("heddle.snapshot.interval.ms", "300")
	c.set("heddle.snapshot.bytes.per.second", "60000") // so that one is being written at any time
	snapshots := func(args ...string) result {
		t.Helper()
		args = append([]string{"state", "snapshots", args[0]}, append(c.config(), args[1:]...)...) // a later --config wins
		return try(t, args...)
	}
	if got := keptOf(t, snapshots("list", "--json")); len(got) != 0 {
		t.Errorf("before the first start: %v", got)
	}
	const keys = 8000
	var all []*kgo.Record
	views := func() {
		var now []*kgo.Record
		for i := range keys {
			now = append(now, &kgo.Record{Topic: b.byUser, Partition: int32(i % 4), Key: fmt.Appendf(nil, "u%d", i),
				Value: fmt.Appendf(nil, `{"user_id":"u%d","page":"/%d"}`, i, len(all))})
		}
		g.Produce(t, now...)
		all = append(all, now...)
	}
	views()
	id := c.submit()
	folder := root + "/heddle-v1/" + c.name + "-1"
	taskFolder := func(p int) string { return fmt.Sprintf("%s/counts/Partition+%d", folder, p) }
	beingWritten := 0
	grid.Eventually(t, commandLimit, "each task has a snapshot, and some are listed while one is written", func() (bool, string) {
		views()
		writing := func() bool {
			for p := range 4 {
				for _, kind := range []string{"/files", "/manifests"} {
					for _, name := range list(t, fs, taskFolder(p)+kind) {
						if files.IsTemporary(path.Base(name)) {
							return true
						}
					}
				}
			}
			return false
		}
		before := writing()
		got := keptOf(t, snapshots("list", "--json"))
		if before && writing() {
			beingWritten++
		}
		whole := 0
		for _, k := range got {
			if k.Problem != "" || !k.Configured || k.Store != "counts" {
				t.Errorf("while it runs: %+v", k)
			}
			if k.Taken > 0 && k.Bytes > 0 && k.Stored >= k.Bytes {
				whole++
			}
		}
		return whole == 4 && beingWritten > 1, fmt.Sprintf("%v, %d lists while one was written", got, beingWritten)
	})
	refused(t, snapshots("remove"), 3, id, "run-job kill "+id)
	if got := keptOf(t, snapshots("list", "--json")); len(got) != 4 {
		t.Errorf("a refused remove removed some: %v", got)
	}
	c.awaitRead(id, b.byUser)
	c.kill(id)

	// Damage the newest of a task, cut off one, and put another job's into a third folder; another
	// job's whole folder lies beside.
	newest := func(p int) string {
		names := list(t, fs, taskFolder(p)+"/manifests")
		return names[len(names)-1]
	}
	put := func(name string, content []byte) {
		t.Helper()
		if _, err := fs.Put(t.Context(), name, bytes.NewReader(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := content(t, fs, newest(0))
	put(newest(0), whole[:len(whole)/2])
	for _, name := range list(t, fs, taskFolder(1)+"/manifests") {
		put(name, nil)
	}
	other := root + "/heddle-v1/other-1/counts/Partition+0"
	put(other+"/manifests/"+path.Base(newest(2)), content(t, fs, newest(2)))
	put(folder+"/gone/Partition+7/manifests/"+path.Base(newest(2)), []byte("no manifest"))
	got := keptOf(t, snapshots("list", "--json"))
	// Without any that can be read the task's name is the folder's.
	k, older := got["counts/Partition 0"]
	if !older {
		k = got["counts/Partition+0"]
	}
	if !strings.Contains(k.Problem, path.Base(newest(0))) || !strings.Contains(k.Problem, "damaged") || k.Snapshots > 1 != older || k.Taken > 0 != older {
		t.Errorf("with a manifest that is cut off: %+v", k)
	}
	if k := got["counts/Partition+1"]; !strings.Contains(k.Problem, "damaged") || k.Taken != 0 {
		t.Errorf("with empty manifests: %+v of %v", k, got)
	}
	if k := got["gone/Partition+7"]; k.Configured || k.Problem == "" {
		t.Errorf("of a store that is no more: %+v", k)
	}
	if len(got) != 5 {
		t.Errorf("list: %v", got)
	}
	table := snapshots("list")
	if table.code != 0 || table.stderr != "" || !strings.Contains(table.stdout, "the job has no such store any more") || strings.Count(table.stdout, "\n") != 6 {
		t.Errorf("%s", table)
	}

	// Wrong usage, and services that are not there.
	for _, w := range []struct {
		code int
		args []string
		says string
	}{
		{2, []string{"list", "counts"}, "no argument"},
		{2, []string{"remove", "counts"}, "no argument"},
		{2, []string{"lst"}, "lst"},
		{2, []string{"remove", "--store=cunts"}, "there are some of counts, gone"},
		{2, []string{"list", "--storr=x"}, "storr"},
		{2, []string{"list", "--config", "heddle.snapshot.uri="}, "heddle.snapshot.uri is not set"},
		{2, []string{"list", "--config", "heddle.snapshot.uri=ftp://a/b"}, "heddle.snapshot.uri"},
		{3, []string{"list", "--config", "heddle.snapshot.uri=hdfs://127.0.0.1:1/x"}, "127.0.0.1:1"},
	} {
		refused(t, snapshots(w.args...), w.code, w.says)
	}

	removed := keptOf(t, result{code: 0, stdout: snapshots("remove", "--store=gone", "--json").stdout})
	if len(removed) != 1 || len(list(t, fs, folder+"/gone")) != 0 {
		t.Errorf("removed: %v", removed)
	}
	r := snapshots("remove")
	if r.code != 0 || !strings.Contains(r.stderr, "removed from the snapshots of "+c.name) || strings.Count(r.stdout, "\ncounts ") != 4 {
		t.Errorf("%s", r)
	}
	if left := list(t, fs, folder+"/counts"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if left := list(t, fs, other+"/manifests"); len(left) != 1 {
		t.Errorf("of the other job there is left: %v", left)
	}
	refused(t, snapshots("remove", "--store=counts"), 2, "the job has no snapshots in")
	if got := keptOf(t, snapshots("list", "--json")); len(got) != 0 {
		t.Errorf("after all were removed: %v", got)
	}

	// A job whose name and id read as this one's and more: its folder holds what is this job's.
	alike := fmt.Sprintf("%s/heddle-v1/%s-1-1/counts/Partition+0/manifests/%s", root, c.name, path.Base(list(t, fs, other+"/manifests")[0]))
	put(alike, whole)
	if k := keptOf(t, snapshots("list", "--json", "--config", "job.name="+c.name+"-1"))["counts/Partition+0"]; !strings.Contains(k.Problem, c.name+" (id 1)") || k.Snapshots != 0 {
		t.Errorf("what is another job's: %+v", k)
	}
	if r := snapshots("remove", "--config", "job.name="+c.name+"-1"); r.code != 0 || !strings.Contains(r.stderr, "is left alone") || len(list(t, fs, path.Dir(alike))) != 1 {
		t.Errorf("what is another job's: %s", r)
	}
	// No state was lost.
	id = c.submit()
	c.awaitRead(id, b.byUser)
	c.kill(id)
	b.checkTotals(t, g, viewsPerUser(t, all))
}
