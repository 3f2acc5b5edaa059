//go:build grid

package endtoend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/internal/grid"
)

// TestFailedDiskIsAvoided: the folder for state on disk becomes useless on all nodes while a job on YARN
// runs with host affinity. Each start of its container ends with code 74, and the next one is on another
// node than it. Once the folder is mended the job goes on, and no total is lost.
func TestFailedDiskIsAvoided(t *testing.T) {
	soak(t)
	g := grid.Use(t)
	if n := len(g.Hosts(t)); n < 2 {
		t.Fatalf("two NodeManagers are needed, there are %d", n)
	}
	base := filepath.Join(t.TempDir(), "state")
	t.Setenv("LOGGED_STORE_BASE_DIR", base)
	b := newGroupBy(t, g, "yarn")
	j := b.count
	j.set("job.host-affinity.enabled", "true")
	live := produceLive(t, g, ownUsers(b.byUser, 4), 40, 20*time.Millisecond)
	id := j.submit()
	live.awaitMore(1000)

	// A file in the place of the folder fails root's processes, too.
	if err := errors.Join(os.Rename(base, base+"-kept"), os.WriteFile(base, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	g.KillProcess(t, g.Processes(t, "run-container", id)[0])
	type execution struct{ ExecutionContainerID, Host, Exit string }
	var ends struct{ Executions []execution }
	var failed []execution
	const want = 4
	grid.Eventually(t, soon, fmt.Sprintf("%d starts fail", want), func() (bool, string) {
		if err := ask(t, g, id, "executions", &ends); err != nil {
			return false, err.Error()
		}
		failed = nil
		for _, x := range ends.Executions {
			if strings.Contains(x.Exit, "(exit code 74)") {
				failed = append(failed, x)
			}
		}
		return len(failed) >= want, fmt.Sprintf("%+v", ends)
	})
	if err := errors.Join(os.Remove(base), os.Rename(base+"-kept", base)); err != nil {
		t.Fatal(err)
	}
	j.awaitRunning(id)
	if err := ask(t, g, id, "executions", &ends); err != nil {
		t.Fatal(err)
	}
	same, n := 0, 0
	for i, x := range ends.Executions {
		t.Logf("start %d on %s: %s", i+1, x.Host, x.Exit)
		if i > 0 && strings.Contains(ends.Executions[i-1].Exit, "(exit code 74)") {
			n++
			if x.Host == ends.Executions[i-1].Host {
				same++
			}
		}
	}
	t.Logf("%d starts after one that failed by its disk: %d of them on the same host", n, same)
	if same > 0 || n < want {
		t.Errorf("%d of %d starts were on the host whose disk had failed", same, n)
	}
	sent := live.finish()
	j.awaitRead(id, b.byUser)
	j.kill(id)
	b.checkTotals(t, g, viewsPerUser(t, sent))
}
