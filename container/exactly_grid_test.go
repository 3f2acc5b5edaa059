//go:build grid

package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/coordinator"
	"heddle/internal/grid"
	"heddle/system"
)

// newGridJob makes a job of tally on a real Kafka.
func newGridJob(t *testing.T, g *grid.Grid, more ...string) *embeddedJob {
	t.Helper()
	name := grid.Name("exactly")
	settings := talliedJob(append([]string{"job.name", name, "systems.kafka.producer.bootstrap.servers", g.KafkaAddress}, more...)...)
	topics := map[string]string{}
	topics["counts-access-log"] = name + "-counts-access-log"
	ours := []string{"__samza_checkpoint_ver_1_for_" + strings.ReplaceAll(name, "_", "-") + "_1", "__samza_coordinator_" + name + "_1", topics["counts-access-log"]}
	for _, id := range []string{"in", "out", "totals", "counts", "brief", "users", "probes"} {
		topics[id] = name + "-" + id
		ours = append(ours, topics[id])
		settings["streams."+id+".samza.system"] = "kafka"
		settings["streams."+id+".samza.physical.name"] = topics[id]
	}
	settings["stores.counts.changelog"] = "kafka." + topics["counts"]
	if _, there := settings["stores.brief.factory"]; there {
		settings["stores.brief.changelog"] = "kafka." + topics["brief"]
	}
	j := newEmbeddedJob(t, settings)
	j.topics = topics
	t.Cleanup(func() { g.DeleteTopics(t, ours...) })
	return j
}

// Killed by SIGKILL again and again under load, on a real Kafka, with stores in
// memory and on disk: nothing is lost and nothing comes twice. What a killed
// container left open delays nobody: a transaction times out after a minute.
func TestGridKillNineExactlyOnce(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	for _, engine := range []string{"memory", "pebble"} {
		t.Run(engine, func(t *testing.T) {
			records, kills := 60_000, 4
			if soak() {
				records, kills = 300_000, 15
			}
			l := newOnslaught(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "stores.counts.factory", engine), records, 7)
			l.kill(kills)
			l.finish(true)
			if l.slow > 30*time.Second {
				t.Errorf("a container ran only after %v", l.slow)
			}
		})
	}
}

// Containers that were frozen, replaced, and continued write nothing more; they
// end with an error that says why.
func TestGridZombies(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	records, zombies := 75_000, 2
	if soak() {
		records, zombies = 300_000, 6
	}
	l := newOnslaught(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once"), records, 8)
	var out *bytes.Buffer
	begin := func() *exec.Cmd {
		out = &bytes.Buffer{}
		l.c.stdout = out
		return l.start()
	}
	live := begin()
	for range zombies {
		l.work()
		frozen, said := live, out
		if err := frozen.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		live = begin()
		l.work()
		if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		var ended *exec.ExitError
		if err := frozen.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 1 {
			t.Errorf("the zombie ended with %v, want code 1", err)
		}
		if !strings.Contains(said.String(), "another process has taken over the transactional id") {
			t.Errorf("it does not say why:\n%s", said)
		}
	}
	<-l.fed
	l.end(live, true)
}

// Two containers are killed within a commit, and one never comes back: its
// transaction stays open on the partition that holds all tasks' checkpoints. The
// other starts all the same, with its newest checkpoint, which lies behind that
// transaction, and goes on; nothing of its own is lost or comes twice. Without
// that its start waits until Kafka ends the transaction, after a minute.
func TestGridStartBesideAnOpenTransaction(t *testing.T) {
	t.Parallel()
	g := grid.Use(t, grid.Kafka)
	j := newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "job.container.count", "2")
	f := newTalliedFleet(t, j)
	f.start("0", "exec_1")
	f.start("1", "exec_2")
	f.feed(0, 100)
	f.feed(1, 100)
	f.caughtUp("exec_1")
	f.caughtUp("exec_2")

	f.kill("0", StepCheckpointSent, 1, 0)
	left := f.checkpoints()
	if left.Stable >= left.Next {
		t.Fatalf("the first container left no transaction open: %+v", left)
	}
	// The other commits twice behind it, and dies in its third commit.
	f.kill("1", StepCheckpointSent, 3, 1)
	if now := f.checkpoints(); now.Stable != left.Stable {
		t.Fatalf("the transaction is over before anything was tried: %+v, then %+v", left, now)
	}

	began := time.Now()
	f.start("1", "exec_3")
	took := time.Since(began)
	f.feed(1, 50)
	f.caughtUp("exec_3")
	if now := f.checkpoints(); now.Stable != left.Stable {
		t.Errorf("the second container ran after %v, only once the first one's transaction was over: %+v, then %+v", took, left, now)
	}
	t.Logf("ran after %v, with the other's transaction open at %d of %d", took.Round(time.Millisecond), left.Stable, f.checkpoints().Next)

	f.start("0", "exec_4")
	f.feed(0, 50)
	f.caughtUp("exec_4")
	f.end("0", "exec_4")
	f.end("1", "exec_3")
	f.exact()
}

// On a real Kafka: a job goes back to at-least-once right after a kill, or a freeze,
// and waits for nobody.
func TestGridBackToAtLeastOnce(t *testing.T) {
	t.Parallel() // as those below it, it waits most of its time
	g := grid.Use(t, grid.Kafka)
	for _, step := range []Step{StepSent, StepCheckpointSent} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			backToAtLeastOnce(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once"), step)
		})
	}
	t.Run("frozen", func(t *testing.T) {
		t.Parallel()
		backFromFrozen(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once"))
	})
}

// At-least-once on a real Kafka: a container that was frozen, replaced, and
// continued.
func TestGridZombieAtLeastOnce(t *testing.T) {
	t.Parallel()
	zombieAtLeastOnce(t, newGridJob(t, grid.Use(t, grid.Kafka)))
}

// A thousand tasks in one container, each with its own transactions: what they
// weigh beside at-least-once. docs/exactly-once.md has the numbers.
func TestGridMemoryOfAThousandTasks(t *testing.T) {
	if os.Getenv("HEDDLE_MEASURE") == "" {
		t.Skip("a measurement: HEDDLE_MEASURE=1 asks for it")
	}
	g := grid.Use(t, grid.Kafka)
	const tasks, records = 1000, 100_000
	for _, guarantee := range []string{"at-least-once", "exactly-once"} {
		t.Run(guarantee, func(t *testing.T) {
			j := newGridJob(t, g, "heddle.processing.guarantee", guarantee, "task.commit.ms", "1000")
			for topic, partitions := range map[string]int32{"in": tasks, "out": 4, "totals": 1} {
				j.create(topic, partitions)
			}
			c := newCluster(t, j)
			processed := func(n int64) {
				t.Helper()
				grid.Eventually(t, 3*time.Minute, "all messages processed", func() (bool, string) {
					c.mu.Lock()
					defer c.mu.Unlock()
					var last int64
					if len(c.reports) > 0 {
						last = c.reports[len(c.reports)-1].Counters.Processed
					}
					return last >= n, fmt.Sprintf("%d of %d", last, n)
				})
			}
			began := time.Now()
			cmd := c.process("exec_1")
			c.waitForExecution("exec_1")
			started := time.Since(began)
			var batch []system.Record
			for i := range records {
				batch = append(batch, system.Record{At: int32(i%tasks) + 1, Value: []byte(strconv.Itoa(i % 97))})
			}
			fed := time.Now()
			j.produce("in", batch...)
			processed(records)
			took := time.Since(fed)
			for n := range 3 { // three more commits of each
				j.produce("in", batch[:tasks]...)
				processed(int64(records + (n+1)*tasks))
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			memory := map[string]string{}
			for line := range strings.Lines(string(status)) {
				k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
				memory[k] = strings.TrimSpace(v)
			}
			ending := time.Now()
			c.server.Send("0", "exec_1", coordinator.CommandStop, nil)
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d tasks ran after %v; %d records fed and processed in %v; resident now %s, at most %s; the end took %v",
				guarantee, tasks, started.Round(time.Millisecond), records, took.Round(time.Millisecond), memory["VmRSS"], memory["VmHWM"], time.Since(ending).Round(time.Millisecond))
			seen := map[string]bool{}
			out := j.read("out")
			for _, m := range out {
				seen[string(m.KeyBytes)] = true
			}
			if in := records + 3*tasks; len(seen) != in || len(out) != in {
				t.Errorf("in %d, out %d, lost %d, twice %d", in, len(out), in-len(seen), len(out)-len(seen))
			}
		})
	}
}
