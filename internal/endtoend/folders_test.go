//go:build grid

package endtoend

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"heddle/internal/grid"
)

// environment is what a process was started with.
func environment(t testing.TB, p grid.Process) map[string]string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, e := range strings.Split(string(b), "\x00") {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	return env
}

// What local state relies on: a folder below LOCAL_DIRS is there for the application's next container
// on the node, and gone with the application; LOGGED_STORE_BASE_DIR of whoever submits reaches the
// containers as it is, and nothing of YARN's removes what is below.
func TestFoldersForState(t *testing.T) {
	g := grid.Use(t)
	base := filepath.Join(t.TempDir(), "kept $HOME `state`") // a folder's name is no shell text
	t.Setenv("LOGGED_STORE_BASE_DIR", base)
	l := newLatency(t, g, "yarn", 1)
	l.set("job.host-affinity.enabled", "true")
	l.set("cluster-manager.container.request.timeout.ms", "60000") // the host is there, and may be busy
	id := l.submit()
	l.awaitRunning(id)
	container := func() (grid.Process, string) {
		t.Helper()
		found := g.Processes(t, "run-container", id)
		if len(found) != 1 {
			t.Fatalf("run-container: %v", found)
		}
		env := environment(t, found[0])
		if got := env["LOGGED_STORE_BASE_DIR"]; got != base {
			t.Errorf("LOGGED_STORE_BASE_DIR is %q in the container, %q was set", got, base)
		}
		dirs := strings.Split(env["LOCAL_DIRS"], ",")
		if filepath.Base(dirs[0]) != id || filepath.Base(filepath.Dir(dirs[0])) != "appcache" {
			t.Fatalf("LOCAL_DIRS is %q", env["LOCAL_DIRS"])
		}
		if env["PWD"] != filepath.Join(dirs[0], found[0].Container) {
			t.Errorf("the work directory %s is not below LOCAL_DIRS %v", env["PWD"], dirs)
		}
		return found[0], dirs[0]
	}
	first, dir := container()
	file := filepath.Join(dir, "heddle-v1-probe", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
	killContainer(t, g, l.job, id, 0)
	second, again := container()
	if second.Container == first.Container || second.NodeManager != first.NodeManager || again != dir {
		t.Errorf("first %+v in %s, then %+v in %s", first, dir, second, again)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "state" {
		t.Errorf("the next container of the application finds %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, first.Container)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the work directory of the container that ended: %v", err)
	}
	l.kill(id)
	grid.Eventually(t, soon, "the application's folder is removed", func() (bool, string) {
		_, err := os.Stat(file)
		return errors.Is(err, fs.ErrNotExist), "it is there"
	})
}
