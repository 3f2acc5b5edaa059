package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/internal/heard"
	"heddle/internal/launch"
)

// until asks again and again, within a bound that a busy machine keeps.
func until(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		var yes bool
		if yes, last = ok(); yes {
			return
		}
	}
	t.Fatalf("%s: never; last seen: %s", what, last)
}

// folder is a folder with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// folderOfOneClick has a job of the factory that reads one message at each start
// and sends to a topic with one partition.
func folderOfOneClick(t *testing.T, factory string) string {
	t.Helper()
	return folder(t, map[string]string{
		"job.properties": goodJob + "systems.kafka.samza.key.serde=string\njob.factory.class=" + factory + "\nstreams.pageviews.samza.system=kafka\nstreams.pageviews.partition.count=1\n",
		"in.jsonl":       `{"user":"a","latencyMs":1}` + "\n",
	})
}

// A job of this machine that was started in the background is found by its
// configuration, as one on YARN is.
func TestInTheBackground(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			dir := folderOfOneClick(t, factory)
			const file = "--config-path=job.properties"
			for i, how := range []string{"--wait", "--detach"} {
				out, errs, code := start(t, dir, how, file)
				pid, err := strconv.Atoi(strings.TrimSpace(out))
				if code != 0 || err != nil {
					t.Fatalf("%s: %d %q %s", how, code, out, errs)
				}
				t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
				if !strings.Contains(errs, "job j_1 in the background as process "+strconv.Itoa(pid)) || !strings.Contains(errs, "run/j_1.log") {
					t.Errorf("%s says: %s", how, errs)
				}
				until(t, "it runs", func() (bool, string) {
					var s struct {
						Process    int
						State      string
						Containers struct{ Wanted, Running int }
						Job        struct{ Totals struct{ Processed int } }
					}
					out, errs, code := start(t, dir, "status", "--json", file)
					if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || s.Process != pid {
						t.Fatalf("status: %v %d %s %s", err, code, out, errs)
					}
					if how == "--wait" && s.Containers.Running != 1 {
						t.Fatalf("--wait has ended before it runs: %s", out)
					}
					return s.Containers.Running == 1 && s.Job.Totals.Processed == 1, out
				})
				if _, errs, code := start(t, dir, how, file); code != 3 || !strings.Contains(errs, "runs already as process "+strconv.Itoa(pid)) {
					t.Errorf("a second start: %d %s", code, errs)
				}
				if _, errs, code := start(t, dir, "kill", file); code != 0 || !strings.Contains(errs, "stopped after") {
					t.Errorf("kill: %d %s", code, errs)
				}
				if launch.Runs(pid) {
					t.Errorf("process %d runs after kill", pid)
				}
				if out, errs, code := start(t, dir, "logs", file); code != 0 || !strings.Contains(out, "running") {
					t.Errorf("logs: %d %s %s", code, out, errs)
				}
				if _, errs, code := start(t, dir, "status", file); code != 2 || !strings.Contains(errs, "does not run on this machine") {
					t.Errorf("status after the end: %d %s", code, errs)
				}
				// What was read is committed: each start adds one message and sends one user.
				out, errs, code = start(t, dir, "topic", "tail", "kafka.pageviews", "--until-end", "--json", file)
				if users := strings.Count(out, `"user":"a"`); code != 0 || users != i+1 {
					t.Errorf("%d results for %d messages: %s%s", users, i+1, out, errs)
				}
			}
			out, errs, code := start(t, dir, "--detach", "--until-caught-up", file)
			if code != 0 || !strings.Contains(errs, "job j_1") {
				t.Errorf("--detach --until-caught-up: %d %s %s", code, out, errs)
			}
			until(t, "nothing runs in the folder", func() (bool, string) {
				for _, cwd := range processFolders(t) {
					if cwd == dir {
						return false, cwd
					}
				}
				return true, ""
			})
			out, _, _ = start(t, dir, "topic", "tail", "kafka.pageviews", "--until-end", "--json", file)
			if users := strings.Count(out, `"user":"a"`); users != 3 {
				t.Errorf("%d results for 3 messages: %s", users, out)
			}
		})
	}
	t.Run("what is wrong", func(t *testing.T) {
		dir := folder(t, map[string]string{"job.properties": goodJob, "in.jsonl": "{}\n"})
		_, errs, code := start(t, dir, "--detach", "--config-path=job.properties", "--config", "task.class=latency.X")
		if first, _, _ := strings.Cut(errs, "\n"); code != 2 || !strings.Contains(first, `"latency.X"`) {
			t.Errorf("%d %s", code, errs)
		}
	})
}

// processFolders gives the current folders of all processes.
func processFolders(t *testing.T) (out []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if dir, err := os.Readlink(l); err == nil { // it may have ended
			out = append(out, dir)
		}
	}
	return out
}

// A change of the code is built and runs; what does not build leaves the job as
// it was; a change of the configuration counts as well.
func TestDevRunsWhatIsWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program three times")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, errs, code := start(t, dir, "init", "page-views", "--heddle="+root); code != 0 {
		t.Fatalf("init: %s", errs)
	}
	const file = "--config-path=page-views/page-views.properties"
	cmd := exec.Command(filepath.Join(binaries, "run-job"), "dev", file)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HEDDLE_CHECKOUT="+root, "CGO_ENABLED=0", "HADOOP_CONF_DIR=", "YARN_CONF_DIR=")
	var out heard.Text
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	says := func(text string, times int) {
		t.Helper()
		until(t, "dev says "+text, func() (bool, string) {
			select {
			case err := <-ended:
				t.Fatalf("dev has ended: %v\n%s", err, out.String())
			default:
			}
			return strings.Count(out.String(), text) >= times, out.String()
		})
	}
	edit := func(name, old, now string) {
		t.Helper()
		path := filepath.Join(dir, "page-views", name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(b), old, now, 1)
		if text == string(b) {
			t.Fatalf("%s has no %q", name, old)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// views is the sum that the job has sent, window after window.
	views := func() (sum int) {
		t.Helper()
		lines, errs, code := start(t, dir, "topic", "tail", "kafka.page-views-counts", "--until-end", "--json", file)
		if code != 0 {
			t.Fatalf("topic tail: %s", errs)
		}
		for line := range strings.Lines(lines) {
			var m struct{ Value struct{ Views int } }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			sum += m.Value.Views
		}
		return sum
	}
	b, err := os.ReadFile(filepath.Join(dir, "page-views", "views.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := bytes.Count(b, []byte("\n")) // appended to the input at each start
	sent := func(want int) {
		t.Helper()
		until(t, "the results", func() (bool, string) {
			got := views()
			return got == want, strconv.Itoa(got) + " of " + strconv.Itoa(want) + "\n" + out.String()
		})
	}

	says("commit: ", 1)
	sent(n)
	edit("count.go", "t.views[v.Page]++", "t.views[v.Page] += oops")
	says("the job is left as it was", 1)
	if !strings.Contains(out.String(), "undefined: oops") {
		t.Errorf("the compiler's words are missing: %s", out.String())
	}
	edit("count.go", "+= oops", "+= 100")
	says("done: ", 1)
	sent(n + 100*n)
	edit("page-views.properties", "task.window.ms=1000", "task.window.ms=200")
	says("done: ", 2)
	sent(n + 200*n)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("dev's end: %v", err)
	}
	if got := strings.Count(out.String(), "done: "); got != 3 {
		t.Errorf("%d runs ended in order, want 3: %s", got, out.String())
	}

	// The run of a dev that was killed ends, too.
	again := exec.Command(cmd.Path, cmd.Args[1:]...)
	again.Dir, again.Env = cmd.Dir, cmd.Env
	var says2 heard.Text
	again.Stdout, again.Stderr = &says2, &says2
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "dev runs again", func() (bool, string) {
		return strings.Contains(says2.String(), "commit: "), says2.String()
	})
	if _, errs, code := start(t, dir, file, "--config=heddle.task.program="+filepath.Join(dir, "page-views")); code != 3 || !strings.Contains(errs, "runs already as process") {
		t.Errorf("a start beside dev: %d %s", code, errs)
	}
	// A second dev has nothing to do there: it is refused, as a second start is.
	if _, errs, code := start(t, dir, "dev", file, "--config=heddle.task.program="+filepath.Join(dir, "page-views")); code != 3 || !strings.HasPrefix(errs, "run-job: dev: process "+strconv.Itoa(again.Process.Pid)+" is a dev of the job") {
		t.Errorf("a dev beside dev: %d %s", code, errs)
	}
	if err := again.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = again.Wait()
	nobodyIn(t, dir)
}
