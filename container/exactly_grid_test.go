//go:build grid

package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/checkpoint"
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
	for _, id := range []string{"in", "out", "totals", "counts"} {
		topics[id] = name + "-" + id
		settings["streams."+id+".samza.system"] = "kafka"
		settings["streams."+id+".samza.physical.name"] = topics[id]
	}
	settings["stores.counts.changelog"] = "kafka." + topics["counts"]
	j := newEmbeddedJob(t, settings)
	j.topics = topics
	t.Cleanup(func() {
		dashed := strings.ReplaceAll(name, "_", "-")
		g.DeleteTopics(t, topics["in"], topics["out"], topics["totals"], topics["counts"],
			"__samza_checkpoint_ver_1_for_"+dashed+"_1", "__samza_coordinator_"+name+"_1")
	})
	return j
}

// soak: HEDDLE_SOAK=1 asks for more rounds than continuous integration has time
// for.
func soak() bool { return os.Getenv("HEDDLE_SOAK") == "1" }

// Killed by SIGKILL again and again under load, on a real Kafka, with stores in
// memory and on disk: nothing is lost and nothing comes twice. What a killed
// container left open delays nobody: a transaction times out after a minute.
func TestGridKillNineExactlyOnce(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	for _, engine := range []string{"memory", "pebble"} {
		t.Run(engine, func(t *testing.T) {
			records, kills := 120_000, 6
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
	records, zombies := 150_000, 3
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
	g := grid.Use(t, grid.Kafka)
	j := newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "job.container.count", "2")
	j.create("in", 2)
	j.create("out", 2)
	j.create("totals", 1)
	p := newPair(t, j)
	p.start("0", "exec_1")
	p.start("1", "exec_2")
	p.feed(0, 100)
	p.feed(1, 100)
	p.caughtUp("exec_1")
	p.caughtUp("exec_2")

	p.orderKill("0", StepCheckpointSent, 1)
	p.feed(0, 1)
	p.killed("0")
	left := p.checkpoints()
	if left.Stable >= left.Next {
		t.Fatalf("the first container left no transaction open: %+v", left)
	}
	// The other commits twice behind it, and dies in its third commit.
	p.orderKill("1", StepCheckpointSent, 3)
	for !p.gone("1") {
		p.feed(1, 1)
	}
	p.killed("1")
	if now := p.checkpoints(); now.Stable != left.Stable {
		t.Fatalf("the transaction is over before anything was tried: %+v, then %+v", left, now)
	}

	began := time.Now()
	p.start("1", "exec_3")
	took := time.Since(began)
	p.feed(1, 50)
	p.caughtUp("exec_3")
	if now := p.checkpoints(); now.Stable != left.Stable {
		t.Errorf("the second container ran after %v, only once the first one's transaction was over: %+v, then %+v", took, left, now)
	}
	t.Logf("ran after %v, with the other's transaction open at %d of %d", took.Round(time.Millisecond), left.Stable, p.checkpoints().Next)

	p.start("0", "exec_4")
	p.feed(0, 50)
	p.caughtUp("exec_4")
	p.end("0", "exec_4")
	p.end("1", "exec_3")
	p.exact()
}

// pair is a job of two containers, each with one partition, that are told when
// to kill themselves.
type pair struct {
	t      *testing.T
	j      *embeddedJob
	c      *cluster
	folder string
	live   map[string]*exec.Cmd
	dead   map[string]chan struct{}
	fed    []int // by partition
	want   map[string]int
}

func newPair(t *testing.T, j *embeddedJob) *pair {
	return &pair{t: t, j: j, c: newCluster(t, j), folder: t.TempDir(), live: map[string]*exec.Cmd{}, dead: map[string]chan struct{}{}, fed: make([]int, 2), want: map[string]int{}}
}

// start starts a container and waits until it processes messages.
func (p *pair) start(id, execution string) {
	p.t.Helper()
	cmd := p.c.processOf(id, execution, killOrder+"="+filepath.Join(p.folder, id))
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_ = cmd.Wait() // looked at in cmd.ProcessState
	}()
	p.live[id], p.dead[id] = cmd, dead
	p.reported(execution, func(coordinator.Report) bool { return true })
}

// reported waits for a report of that execution while it runs.
func (p *pair) reported(execution string, ok func(coordinator.Report) bool) {
	p.t.Helper()
	grid.Eventually(p.t, 2*time.Minute, "a report of "+execution, func() (bool, string) {
		p.c.mu.Lock()
		defer p.c.mu.Unlock()
		for i := len(p.c.reports) - 1; i >= 0; i-- {
			if r := p.c.reports[i]; r.ExecutionID == execution {
				return r.State == coordinator.ContainerRunning && ok(r), string(r.State)
			}
		}
		return false, "none yet"
	})
}

// caughtUp waits until the execution has processed all that was fed to its task.
func (p *pair) caughtUp(execution string) {
	p.t.Helper()
	p.reported(execution, func(r coordinator.Report) bool {
		for _, task := range r.Tasks {
			for _, in := range task.Inputs {
				if in.Next < int64(p.fed[in.Partition]) {
					return false
				}
			}
		}
		return len(r.Tasks) > 0
	})
}

func (p *pair) feed(partition, n int) {
	p.t.Helper()
	var records []system.Record
	for range n {
		v := strconv.Itoa(p.fed[partition] % 10)
		p.want[v]++
		p.fed[partition]++
		records = append(records, system.Record{At: int32(partition) + 1, Value: []byte(v)})
	}
	p.j.produce("in", records...)
}

// orderKill orders a container to kill itself at the n-th of these steps from
// now on.
func (p *pair) orderKill(id string, at Step, n int) {
	p.t.Helper()
	// It has to appear whole.
	file := filepath.Join(p.folder, id)
	if err := os.WriteFile(file+".new", fmt.Appendf(nil, "%s#%d", at, n), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) gone(id string) bool {
	select {
	case <-p.dead[id]:
		return true
	default:
		return false
	}
}

// killed waits until the container has killed itself, and takes the order back.
func (p *pair) killed(id string) {
	p.t.Helper()
	<-p.dead[id]
	if s := p.live[id].ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		p.t.Fatalf("container %s ended with %v, not by the kill", id, s)
	}
	if err := os.Remove(filepath.Join(p.folder, id)); err != nil {
		p.t.Fatal(err)
	}
}

// end stops a container in order.
func (p *pair) end(id, execution string) {
	p.t.Helper()
	p.c.server.Send(id, execution, coordinator.CommandStop, nil)
	<-p.dead[id]
	if s := p.live[id].ProcessState; !s.Success() {
		p.t.Errorf("container %s: %v", id, s)
	}
}

// checkpoints are the ends of the partition with the checkpoints.
func (p *pair) checkpoints() system.Ends {
	p.t.Helper()
	admin, err := p.j.systems["kafka"].Admin()
	if err != nil {
		p.t.Fatal(err)
	}
	ends, err := admin.Offsets(p.t.Context(), checkpoint.Topic(p.j.settings["job.name"], "1"))
	if err != nil {
		p.t.Fatal(err)
	}
	return ends[0]
}

// exact counts: each message once in the state, and once among the outputs.
func (p *pair) exact() {
	p.t.Helper()
	in := p.fed[0] + p.fed[1]
	lost, twice := p.j.tallied(in, p.want)
	p.t.Logf("in %d, lost %d, twice %d", in, lost, twice)
	if lost != 0 || twice != 0 {
		p.t.Errorf("of %d messages %d were lost, %d came twice", in, lost, twice)
	}
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
