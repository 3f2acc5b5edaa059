//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heddle/job"
)

// TestSnapshotsListAndRemove: a job's snapshots are listed while it runs, of
// stores that it does not have any more, too, and removed when it does not run.
func TestSnapshotsListAndRemove(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newSales(t, "")
	dir := t.TempDir()
	flags := []string{"--config-path=topn.properties", "--config", "heddle.snapshot.uri=file://" + dir}
	snapshots := func(args ...string) (out, errs string, code int) {
		return start(t, s.dir, append(append([]string{"state", "snapshots"}, args...), flags...)...)
	}
	if out, errs, code := snapshots("list", "--json"); code != 0 || out != "" {
		t.Errorf("before any: %d %s%s", code, out, errs)
	}
	j := runInForeground(t, s.dir, append([]string{"--config", "heddle.task.program=" + filepath.Join(binaries, "run-container"),
		"--config", "task.commit.ms=50", "--config", "heddle.snapshot.interval.ms=50"}, flags...)...)
	var all []job.KeptSnapshots
	read := func(out string) {
		all = nil
		for line := range strings.Lines(out) {
			var k job.KeptSnapshots
			if err := json.Unmarshal([]byte(line), &k); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, k)
		}
	}
	until(t, "each task has a snapshot", func() (bool, string) {
		start(t, s.dir, "topic", "produce", "kafka.Sales", "--file=Sales.jsonl", "--config-path=topn.properties")
		out, errs, _ := snapshots("list", "--json")
		read(out)
		whole := 0
		for _, k := range all {
			if k.Taken > 0 {
				whole++
			}
		}
		return whole == 4, out + errs + j.out.String()
	})
	for _, k := range all {
		if k.Store != "sales" || !strings.HasPrefix(k.Task, "Partition ") || k.Snapshots < 1 || k.Bytes <= 0 || k.Stored <= 0 || !k.Configured {
			t.Errorf("%+v", k)
		}
	}
	if err := j.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-j.ended
	// A store of before.
	old := filepath.Join(dir, "heddle-v1", "top-products-1", "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(dir, "heddle-v1", "top-products-1", "sales"))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(old, "Partition+0", "manifests")); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := snapshots("list"); code != 0 || !strings.Contains(out, "the job has no such store any more") || strings.Count(out, "sales ") < 4 {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if _, errs, code := snapshots("remove", "--store=other"); code != 2 || !strings.Contains(errs, "there are some of old, sales") {
		t.Errorf("%d %s", code, errs)
	}
	out, errs, code := snapshots("remove", "--json", "--store=old")
	if read(out); code != 0 || len(all) != 1 || all[0].Store != "old" || all[0].Configured {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if out, errs, code = snapshots("remove"); code != 0 || !strings.Contains(errs, "removed from the snapshots of top-products") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if out, errs, code = snapshots("list", "--json"); code != 0 || out != "" {
		t.Errorf("after all were removed: %d %s%s", code, out, errs)
	}
}
