package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"heddle/internal/heard"
)

const jobFile = "--config-path=job.properties"

// foreground is a run-job that was left running.
type foreground struct {
	cmd   *exec.Cmd
	out   heard.Text
	ended chan error
}

func runInForeground(t *testing.T, dir string, args ...string) *foreground {
	t.Helper()
	f := &foreground{cmd: exec.Command(filepath.Join(binaries, "run-job"), args...), ended: make(chan error, 1)}
	f.cmd.Dir = dir
	f.cmd.Env = append(os.Environ(), "HEDDLE_CHECKOUT=", "HADOOP_CONF_DIR=", "YARN_CONF_DIR=")
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.out
	// What lives on holds the pipes of its output, too.
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- f.cmd.Wait() }()
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	return f
}

// processed waits until the job that runs in dir has processed n messages, and
// gives the process that status names.
func processed(t *testing.T, dir string, n int) (pid int) {
	t.Helper()
	until(t, "it has processed the input", func() (bool, string) {
		var s struct {
			Process int
			Job     struct{ Totals struct{ Processed int } }
		}
		out, errs, _ := start(t, dir, "status", "--json", jobFile)
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			return false, out + errs
		}
		pid = s.Process
		return s.Job.Totals.Processed == n, out
	})
	return pid
}

func nobodyIn(t *testing.T, dir string) {
	t.Helper()
	until(t, "nothing runs in the folder", func() (bool, string) {
		for _, cwd := range processFolders(t) {
			if cwd == dir {
				return false, cwd
			}
		}
		return true, ""
	})
}

func messages(t *testing.T, dir, stream, part string) int {
	t.Helper()
	out, errs, code := start(t, dir, "topic", "tail", stream, "--until-end", "--json", jobFile)
	if code != 0 {
		t.Fatalf("topic tail %s: %s", stream, errs)
	}
	return strings.Count(out, part)
}

// A job runs once on a machine: a second start is refused before it has changed
// anything, or stops the first; what a killed run-job leaves ends by itself.
func TestOneRunOnAMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			dir := folderOfOneClick(t, factory)
			first := runInForeground(t, dir, jobFile)
			pid := processed(t, dir, 1)
			names := "job j_1 runs already as process " + strconv.Itoa(pid) + " (http"
			for _, how := range [][]string{{jobFile}, {"--detach", jobFile}, {"--until-caught-up", jobFile}} {
				_, errs, code := start(t, dir, how...)
				line, _, _ := strings.Cut(errs, "\n")
				if code != 3 || !strings.HasPrefix(line, "run-job: the ") || !strings.Contains(line, names) || !strings.Contains(line, "run-job kill") {
					t.Errorf("%q beside it: %d %s", how, code, errs)
				}
			}
			if _, errs, code := start(t, dir, "dev", jobFile); code != 3 || !strings.HasPrefix(errs, "run-job: dev: the job j_1 runs already as process "+strconv.Itoa(pid)+" (http") || !strings.Contains(errs, "run-job kill") {
				t.Errorf("dev beside it: %d %s", code, errs)
			}
			if n := messages(t, dir, "kafka.in", `"latencyMs"`); n != 1 {
				t.Errorf("%d messages are preloaded by 1 start", n)
			}
			if _, errs, code := start(t, dir, "checkpoint", "set", "kafka.in", "--to=oldest", jobFile); code != 3 || !strings.Contains(errs, "runs as process "+strconv.Itoa(pid)) || !strings.Contains(errs, "run-job kill") {
				t.Errorf("checkpoint set beside it: %d %s", code, errs)
			}
			if _, errs, code := start(t, dir, "state", "snapshots", "remove", "--config", "heddle.snapshot.uri=file://"+dir+"/s", jobFile); code != 3 || !strings.Contains(errs, "runs as process "+strconv.Itoa(pid)+" ") || !strings.Contains(errs, "would write new ones; stop it first") {
				t.Errorf("state snapshots remove beside it: %d %s", code, errs)
			}
			if got := processed(t, dir, 1); got != pid {
				t.Errorf("status names process %d now, not %d", got, pid)
			}

			second := runInForeground(t, dir, "--replace", jobFile)
			if err := <-first.ended; err != nil {
				t.Errorf("the end of the one that was replaced: %v\n%s", err, first.out.String())
			}
			if got := processed(t, dir, 1); got == pid {
				t.Errorf("process %d still runs", pid)
			}
			if err := second.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			// The next start waits for what is left, and takes over.
			if out, errs, code := start(t, dir, "--until-caught-up", jobFile); code != 0 {
				t.Errorf("after kill -9: %d %s%s", code, out, errs)
			}
			nobodyIn(t, dir)
			if n := messages(t, dir, "kafka.in", `"latencyMs"`); n != 3 {
				t.Errorf("%d messages are preloaded by 3 starts", n)
			}
			if n := messages(t, dir, "kafka.pageviews", `"user":"a"`); n != 3 {
				t.Errorf("%d results for 3 messages\n%s", n, second.out.String())
			}

			// Without a next start, what is left ends alike.
			third := runInForeground(t, dir, jobFile)
			processed(t, dir, 1)
			if err := third.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			nobodyIn(t, dir)
			if n := messages(t, dir, "kafka.pageviews", `"user":"a"`); n != 4 {
				t.Errorf("%d results for 4 messages: the last run was not stopped in order\n%s", n, third.out.String())
			}
			if _, errs, code := start(t, dir, "status", jobFile); code != 2 || !strings.Contains(errs, "does not run on this machine") {
				t.Errorf("status after the end: %d %s", code, errs)
			}
			if _, errs, code := start(t, dir, "checkpoint", "set", "kafka.in", "--to=newest", jobFile); code != 0 {
				t.Errorf("checkpoint set after the end: %d %s", code, errs)
			}
		})
	}
}

// When nobody reads any more what a run prints, as with "| head", it ends in order.
func TestAnUnreadRunEndsInOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := folderOfOneClick(t, "thread")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, "run-job"), jobFile)
	cmd.Dir, cmd.Stdout = dir, writer
	cmd.Env = append(os.Environ(), "HEDDLE_CHECKOUT=", "HADOOP_CONF_DIR=", "YARN_CONF_DIR=")
	var errs heard.Text
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	_ = writer.Close()
	for lines := bufio.NewScanner(reader); ; {
		if !lines.Scan() {
			t.Fatalf("it has ended: %v\n%s", lines.Err(), errs.String())
		}
		if strings.Contains(lines.Text(), "in: kafka.in") {
			break
		}
	}
	_ = reader.Close()
	if _, errs, code := start(t, dir, "topic", "produce", "kafka.in", "--file=in.jsonl", jobFile); code != 0 {
		t.Fatal(errs)
	}
	// It shows the message, and nobody reads that.
	if err := cmd.Wait(); err != nil {
		t.Errorf("its end: %v\n%s", err, errs.String())
	}
	if n := clicks(t, dir); n != 2 {
		t.Errorf("the results have %d clicks of 2\n%s", n, errs.String())
	}
}

// clicks sums up what the results say.
func clicks(t *testing.T, dir string) (sum int) {
	t.Helper()
	out, errs, code := start(t, dir, "topic", "tail", "kafka.pageviews", "--until-end", "--json", jobFile)
	if code != 0 {
		t.Fatalf("topic tail: %s", errs)
	}
	for line := range strings.Lines(out) {
		var m struct{ Value struct{ Clicks int } }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		sum += m.Value.Clicks
	}
	return sum
}

// A run of which nothing is left, neither run-job nor the program, has lost
// nothing: the next start reads again what was not committed.
func TestARunOfWhichNothingIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			dir := folderOfOneClick(t, factory)
			// The first time there is no checkpoint yet, the second time there is one.
			for round := range 2 {
				f := runInForeground(t, dir, jobFile)
				processed(t, dir, 1)
				killAllIn(t, dir)
				<-f.ended
				if out, errs, code := start(t, dir, "--until-caught-up", jobFile); code != 0 {
					t.Fatalf("round %d: the next start: %d %s%s", round, code, out, errs)
				}
				if n, want := clicks(t, dir), 2*(round+1); n != want {
					t.Errorf("round %d: the results have %d clicks of %d", round, n, want)
				}
			}
		})
	}
}

// killAllIn kills the processes that run in a folder of the test, until there are
// none: the first may just have started another.
func killAllIn(t *testing.T, dir string) {
	t.Helper()
	until(t, "nothing runs in the folder", func() (bool, string) {
		links, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil {
			t.Fatal(err)
		}
		left := ""
		for _, l := range links {
			if cwd, err := os.Readlink(l); err != nil || cwd != dir { // it may have ended
				continue
			}
			left = l
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(l)))
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGKILL)
			}
			if err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
		}
		return left == "", left
	})
}

// kafkaOfOthers is a Kafka that is no folder's own.
func kafkaOfOthers(t *testing.T) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(rand.Text()), kfake.DefaultNumPartitions(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// folderOfOneClickOn is folderOfOneClick for a job on that Kafka.
func folderOfOneClickOn(t *testing.T, factory string, cluster *kfake.Cluster) string {
	t.Helper()
	dir := folderOfOneClick(t, factory)
	f, err := os.OpenFile(filepath.Join(dir, "job.properties"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("systems.kafka.producer.bootstrap.servers=" + cluster.ListenAddrs()[0] + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A container that cannot send its last window has not stopped in order, and kill
// does not say so.
func TestKillTellsOfWhatItsContainersSay(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			cluster := kafkaOfOthers(t)
			dir := folderOfOneClickOn(t, factory, cluster)
			f := runInForeground(t, dir, jobFile, "--config", "task.shutdown.ms=1000")
			processed(t, dir, 1)
			cluster.Close()
			_, errs, code := start(t, dir, "kill", jobFile, "--config", "task.shutdown.ms=20000")
			if code != 1 || !strings.HasPrefix(errs, "run-job: the job j_1") || !strings.Contains(errs, "told to stop, and failed") {
				t.Errorf("kill: %d %s\n%s", code, errs, f.out.String())
			}
			if err := <-f.ended; err == nil || !strings.Contains(f.out.String(), "task.shutdown.ms") {
				t.Errorf("its end: %v\n%s", err, f.out.String())
			}
		})
	}
}

// A job on a Kafka that several folders use runs once, too: its place is there, not
// in the folder that it was started from.
func TestOneRunOnAKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, factory := range []string{"thread", "process"} {
		t.Run(factory, func(t *testing.T) {
			cluster := kafkaOfOthers(t)
			here, there := folderOfOneClickOn(t, factory, cluster), folderOfOneClickOn(t, factory, cluster)
			first := runInForeground(t, here, jobFile)
			pid := processed(t, here, 1)
			for _, how := range [][]string{{jobFile}, {"--detach", jobFile}, {"checkpoint", "set", "kafka.in", "--to=oldest", jobFile}} {
				_, errs, code := start(t, there, how...)
				line, _, _ := strings.Cut(errs, "\n")
				if code != 3 || !strings.Contains(line, "from another folder as process "+strconv.Itoa(pid)+" (http") || !strings.Contains(line, "run-job kill and the same configuration and --config heddle.home="+filepath.Join(here, ".heddle")) {
					t.Errorf("%q from another folder: %d %s", how, code, errs)
				}
			}
			if n := messages(t, there, "kafka.in", `"latencyMs"`); n != 1 {
				t.Errorf("%d messages are preloaded by 1 start", n)
			}
			if got := processed(t, here, 1); got != pid {
				t.Errorf("status names process %d now, not %d", got, pid)
			}

			second := runInForeground(t, there, "--replace", jobFile)
			if err := <-first.ended; err != nil {
				t.Errorf("the end of the one that was replaced: %v\n%s", err, first.out.String())
			}
			processed(t, there, 1)
			if err := second.cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			// What is left of it holds the claim until its end.
			if out, errs, code := start(t, here, "--until-caught-up", jobFile); code != 0 {
				t.Errorf("after kill -9: %d %s%s", code, out, errs)
			}
			nobodyIn(t, there)
			if n := messages(t, here, "kafka.pageviews", `"user":"a"`); n != 3 {
				t.Errorf("%d results for 3 messages", n)
			}
			third := runInForeground(t, there, jobFile)
			processed(t, there, 1)
			if _, errs, code := start(t, here, "kill", jobFile, "--config", "heddle.home="+filepath.Join(there, ".heddle")); code != 0 {
				t.Errorf("kill from another folder: %d %s", code, errs)
			}
			<-third.ended
		})
	}
}

// A job that fails when it is told to stop has not just stopped.
func TestKillTellsOfAFailure(t *testing.T) {
	const program = `#!/bin/sh
if [ "$1" = --list-tasks ]; then echo '{"tasks":["latency.CountLatency"]}'; exit; fi
trap 'echo "run-job: the last window was not sent" >&2; exit CODE' TERM
touch ready
while :; do sleep 0.05; done
`
	for _, code := range []int{0, 1, 3} {
		dir := folder(t, map[string]string{"job.properties": goodJob + "heddle.task.program=program\n", "in.jsonl": "{}\n"})
		if err := os.WriteFile(filepath.Join(dir, "program"), []byte(strings.Replace(program, "CODE", strconv.Itoa(code), 1)), 0o700); err != nil {
			t.Fatal(err)
		}
		f := runInForeground(t, dir, jobFile)
		until(t, "the program runs", func() (bool, string) {
			_, err := os.Stat(filepath.Join(dir, "ready"))
			return err == nil, f.out.String()
		})
		out, errs, got := start(t, dir, "status", "--json", jobFile)
		if !strings.Contains(out, `"STARTING"`) || !strings.Contains(out, `"process":`+strconv.Itoa(f.cmd.Process.Pid)) || got != 0 {
			t.Errorf("status: %d %s%s", got, out, errs)
		}
		_, errs, got = start(t, dir, "kill", jobFile)
		switch {
		case code == 0 && (got != 0 || !strings.Contains(errs, "stopped after")):
			t.Errorf("it stopped in order: %d %s", got, errs)
		case code != 0 && (got != 1 || !strings.HasPrefix(errs, "run-job: ") || !strings.Contains(errs, "failed with exit code "+strconv.Itoa(code)) || strings.Contains(errs, "stopped after")):
			t.Errorf("it failed with %d: %d %s", code, got, errs)
		}
		<-f.ended
	}
}

// A job that has to be killed has not stopped in order: kill says so, and does not
// end with 0.
func TestKillTellsThatItHadToForce(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for as long as a stop may take")
	}
	const program = `#!/bin/sh
if [ "$1" = --list-tasks ]; then echo '{"tasks":["latency.CountLatency"]}'; exit; fi
trap '' TERM
touch ready
while kill -0 $PPID; do sleep 0.05; done
`
	dir := folder(t, map[string]string{"job.properties": goodJob + "heddle.task.program=program\ntask.shutdown.ms=1\n", "in.jsonl": "{}\n"})
	if err := os.WriteFile(filepath.Join(dir, "program"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	f := runInForeground(t, dir, jobFile)
	until(t, "the program runs", func() (bool, string) {
		_, err := os.Stat(filepath.Join(dir, "ready"))
		return err == nil, f.out.String()
	})
	_, errs, code := start(t, dir, "kill", jobFile)
	if line, _, _ := strings.Cut(errs, "\n"); code != 1 || !strings.HasPrefix(line, "run-job: the job j_1 (process "+strconv.Itoa(f.cmd.Process.Pid)+") did not stop") || !strings.Contains(line, "was killed") {
		t.Errorf("kill: %d %s", code, errs)
	}
	<-f.ended
	nobodyIn(t, dir)
}
