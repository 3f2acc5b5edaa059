//go:build grid

package endtoend

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// frozen is a container whose process and NodeManager are halted, as they are on a machine that
// stands still: otherwise the NodeManager would kill the process for the application master.
type frozen struct {
	grid.Process
	processor string
}

// freeze halts the first container that is not on the application master's node.
func (j *job) freeze(application string) frozen {
	j.t.Helper()
	masters := j.g.Processes(j.t, "run-am", application)
	if len(masters) != 1 {
		j.t.Fatalf("%d application masters: %v", len(masters), masters)
	}
	found := j.g.Processes(j.t, "run-container", application)
	for _, c := range j.awaitRunning(application).ContainerList {
		i := slices.IndexFunc(found, func(p grid.Process) bool { return p.Container == c.ExecutionID })
		if i < 0 || found[i].NodeManager == masters[0].NodeManager {
			continue
		}
		j.g.Pause(j.t, found[i].NodeManager)
		halt(j.t, found[i], syscall.SIGSTOP)
		return frozen{found[i], c.ID}
	}
	j.t.Fatalf("no container away from the application master's node %s: %v", masters[0].NodeManager, found)
	return frozen{}
}

// goOn lets the process go on, waits for its end, and gives its exit code, which the script that
// started it leaves for its NodeManager.
func (j *job) goOn(application string, z frozen) (code string) {
	j.t.Helper()
	began := time.Now()
	if err := syscall.Kill(z.PID, syscall.SIGCONT); err != nil {
		j.t.Fatal(err)
	}
	file := filepath.Join(j.g.Home, z.NodeManager, "local", "nmPrivate", application, z.Container, z.Container+".pid.exitcode")
	grid.Eventually(j.t, soon, "the process that goes on ends", func() (bool, string) {
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			j.t.Fatal(err)
		}
		code = strings.TrimSpace(string(b))
		return code != "", fmt.Sprint(err)
	})
	j.t.Logf("the process %d went on after its replacement, and ended with code %s after %v", z.PID, code, time.Since(began).Round(time.Millisecond))
	return code
}

// endsOf are the ends of topics, open transactions included.
func endsOf(t testing.TB, g *grid.Grid, topics ...string) map[string]map[int32]int64 {
	t.Helper()
	all := map[string]map[int32]int64{}
	for _, topic := range topics {
		all[topic] = g.Ends(t, topic)
	}
	return all
}

// settled waits until nothing is written to the topics for two seconds, and gives their ends.
func settled(t testing.TB, g *grid.Grid, topics ...string) map[string]map[int32]int64 {
	t.Helper()
	last, since := endsOf(t, g, topics...), time.Now()
	grid.Eventually(t, soon, "nothing is written any more", func() (bool, string) {
		now := endsOf(t, g, topics...)
		if !maps.EqualFunc(now, last, maps.Equal[map[int32]int64, map[int32]int64]) {
			last, since = now, time.Now()
		}
		return time.Since(since) > 2*time.Second, fmt.Sprint(now)
	})
	return last
}

// TestZombieOnYARN: a container on YARN is frozen with its machine, is replaced after its silence, and
// goes on: once when the job has nothing to do, and once under load. It ends by itself, with code 1 and a
// line that says why. Exactly-once it writes nothing more, each message comes out once, and the state is
// exact, also after another start. At-least-once some messages may come out twice and none is lost; it
// writes no checkpoint; what it had begun to write to a changelog may arrive there, behind what the
// replacement has committed: the replacement's state is exact, and so is that of another start, which
// undoes it.
func TestZombieOnYARN(t *testing.T) {
	soak(t)
	g := grid.Use(t)
	g.NeedHome(t, "a NodeManager cannot be halted")
	known := g.Hosts(t)
	one, two := known["nm1"], known["nm2"]
	if one == "" || two == "" {
		t.Fatalf("two NodeManagers are needed, there are %v", known)
	}
	for _, guarantee := range []string{"exactly-once", "at-least-once"} {
		t.Run(guarantee, func(t *testing.T) {
			fenced := guarantee == "exactly-once"
			j := newKeeping(t, g, 24*time.Hour)
			j.set("stores.counts.accesslog.enabled", "false")
			j.set("job.container.count", "2")
			j.set("job.host-affinity.enabled", "true") // so that one is away from the application master
			j.set("heddle.processing.guarantee", guarantee)
			j.set("task.commit.ms", "300")
			j.set("task.shutdown.ms", "2000") // a silent container is replaced after 30 s, this and 10 s
			j.set("cluster-manager.container.request.timeout.ms", "2000")
			j.run(0, "--until-caught-up") // which makes the topics
			written := []string{j.topics()[1], j.topic("counts"), j.out}
			never := 1 // at-least-once what it had begun to write may arrive, but for a checkpoint
			if fenced {
				never = len(written)
			}
			var sent []*kgo.Record
			for _, load := range []bool{false, true} {
				setLocality(t, g, j.name, map[string]string{"0": one, "1": two})
				id := j.submit()
				from := len(sent)
				input := produceLive(t, g, func(i int) *kgo.Record { return j.word(from + i) }, 20, 20*time.Millisecond)
				input.awaitMore(1000)
				z := j.freeze(id)
				began := time.Now()
				j.awaitReplaced(3*soon, id, z.Container)
				t.Logf("container %s was frozen with its node %s, and replaced after %.1f s", z.processor, z.NodeManager, time.Since(began).Seconds())
				input.awaitMore(1000)
				if load {
					if code := j.goOn(id, z); code != "1" {
						t.Errorf("under load it ended with code %s, want 1", code)
					}
					input.awaitMore(1000)
					sent = append(sent, input.finish()...)
				} else {
					sent = append(sent, input.finish()...)
					j.awaitRead(id, j.in)
					before := settled(t, g, written...)
					if code := j.goOn(id, z); code != "1" {
						t.Errorf("it ended with code %s, want 1", code)
					}
					after := settled(t, g, written...)
					for i, topic := range written {
						t.Logf("%s ended at %v when it went on, and ends at %v", topic, before[topic], after[topic])
						if i < never && !maps.Equal(before[topic], after[topic]) {
							t.Errorf("it wrote to %s", topic)
						}
					}
				}
				g.Resume(t, z.NodeManager)
				j.saysWhy(id, z)
				j.awaitRead(id, j.in)
				j.settledCounts("beside it", sent, id)
				beside := strings.Contains(try(t, "logs", id).stdout, "another process writes to this store's changelog")
				j.kill(id)
				j.awaitNoProcess(id)
				if fenced {
					j.exactChangelog("stopped", sent)
				}
				if beside {
					// A restore takes the changelog as it is then: docs/exactly-once.md.
					t.Log("what the frozen container had begun to write lies between the replacement's records")
					if fenced {
						t.Error("and may not")
					}
					continue
				}
				id = j.submit()
				j.exactCounts("after another start", sent, id)
				j.kill(id)
			}
			j.neverBack()
			_, places := j.did()
			d := grid.Tally(placesOf(sent), places)
			t.Logf("%s, 2 frozen containers: %s", guarantee, d)
			if d.Lost > 0 || d.Unknown > 0 || fenced && d.Twice > 0 {
				t.Errorf("not %s: %s", guarantee, d)
			}
		})
	}
}

// settledCounts is exactCounts once the last commit has come.
func (k *keeping) settledCounts(when string, sent []*kgo.Record, application string) {
	k.t.Helper()
	settled(k.t, k.g, k.topics()[1])
	k.exactCounts(when, sent, application)
}

// saysWhy looks for the cause of its end in what a frozen container has said last.
func (j *job) saysWhy(application string, z frozen) {
	j.t.Helper()
	says := ""
	for line := range strings.Lines(try(j.t, "logs", application, "--container="+z.Container).stdout) {
		if strings.Contains(line, "level=ERROR") {
			says = strings.TrimSpace(line)
		}
	}
	j.t.Logf("it said: %s", says)
	if !strings.Contains(says, "the application master no longer counts this process") {
		j.t.Errorf("its last error does not say why: %q", says)
	}
}

// neverBack checks that no checkpoint is behind the one before it: a process that has been replaced would
// set it back.
func (k *keeping) neverBack() {
	k.t.Helper()
	for p, offsets := range checkpoints(k.t, k.g, k.name, k.in) {
		last := int64(-1)
		for _, o := range offsets {
			at, err := strconv.ParseInt(o, 10, 64)
			if err != nil || at < last {
				k.t.Errorf("partition %s: a checkpoint at %q after one at %d", p, o, last)
			}
			last = at
		}
	}
}
