//go:build grid

package container

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// remake deletes a topic of the job and makes it anew, empty.
func (j *sideJob) remake(id string, partitions int32) {
	j.t.Helper()
	j.g.DeleteTopics(j.t, j.topics[id])
	j.makeTopic(id, partitions)
}

// makeTopic makes a topic that was deleted: a broker may need a moment until it
// takes the name again.
func (j *sideJob) makeTopic(id string, partitions int32) {
	j.t.Helper()
	grid.Eventually(j.t, 20*time.Second, "the topic "+id+" is made anew", func() (bool, string) {
		err := j.g.CreateTopic(j.t, j.topics[id], partitions)
		return err == nil, fmt.Sprint(err)
	})
}

// ended waits for the end of a process by itself.
func (j *sideJob) ended(cmd *exec.Cmd, code int, says string) {
	j.t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != code {
		j.t.Errorf("it ended with %v, want code %d\n%s", err, code, j.out)
	}
	if out := j.out.String(); !strings.Contains(out, says) {
		j.t.Errorf("it does not say %q:\n%s", says, tailOfText(out))
	}
}

func tailOfText(s string) string { return s[max(0, len(s)-4000):] }

// A side input that is deleted and made anew while the job runs ends the
// container with a code by which it is started again, and then the stores hold
// what the new topic holds and nothing of the old one, those of a function and
// shared ones, too.
func TestGridSideInputMadeAnew(t *testing.T) {
	t.Parallel() // each of these waits most of its time
	g := grid.Use(t, grid.Kafka)
	j := newSideJob(t, g)
	j.c.stderr = j.out
	first := map[int]string{}
	var rates []*kgo.Record
	for i := range sideKeys {
		first[i] = fmt.Sprint("u", i)
		j.rates[sideKey(i)] = fmt.Sprint("r", i)
		rates = append(rates, j.record("rates", i, fmt.Sprint("r", i)))
	}
	g.Produce(t, rates...)
	j.change(first)
	j.count("visits", j.visits, 2000)
	j.count("limits", j.limits, 1000)
	cmd := j.start()
	j.ask("before")
	for _, id := range []string{"users", "limits"} { // a task's own, and one that is shared and has a function
		partitions := int32(sideTasks)
		if id == "limits" {
			partitions = sharedPartitions
		}
		j.remake(id, partitions)
		switch id {
		case "users":
			clear(j.users)
			j.change(map[int]string{3: "u3.new", 5: "u5.new"})
		case "limits":
			clear(j.limits)
			j.count(id, j.limits, 3000) // more than the old one had, so that its offsets are there again
		}
		j.ended(cmd, exitFailed, "the stream was deleted and made anew")
		cmd = j.start()
		j.ask(id + " was made anew")
	}
	j.stop(cmd)
}

// A side input that is deleted and stays away ends the container with a line that
// says what to do, and so does a start without it; what is on disk is not used
// once the topic is there again.
func TestGridSideInputDeleted(t *testing.T) {
	t.Parallel()
	g := grid.Use(t, grid.Kafka)
	j := newSideJob(t, g)
	j.c.stderr = j.out
	j.change(map[int]string{1: "u1", 2: "u2"})
	j.count("visits", j.visits, sideKeys)
	j.count("limits", j.limits, sideKeys)
	cmd := j.start()
	j.ask("before")
	g.DeleteTopics(t, j.topics["users"])
	j.ended(cmd, exitConfig, "stores.users.side.inputs")
	if out := j.out.String(); !strings.Contains(out, "was it deleted? Make it anew") {
		t.Errorf("it does not say what to do:\n%s", tailOfText(out))
	}
	j.starts++
	j.ended(j.c.process(fmt.Sprint("exec_", j.starts)), exitConfig, "no such stream")
	j.makeTopic("users", sideTasks)
	clear(j.users)
	j.change(map[int]string{2: "u2.new"})
	cmd = j.start()
	j.ask("with the new topic")
	j.stop(cmd)
}

// A container is killed in the middle of the first filling of its stores, again
// and again. Whatever of it lay on the disk by then, in the end each message
// counts once and each store is what its stream says.
func TestGridKilledWhileSideInputsAreFirstRead(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	j := newSideJob(t, g)
	const updates, visits, limits = 100_000, 200_000, 100_000
	random := rand.New(rand.NewPCG(1, 2))
	records := make([]*kgo.Record, updates)
	for i := range records {
		value := fmt.Sprintf("u%d %x %x", i, random.Uint64(), random.Uint64())
		records[i] = j.record("users", i, value)
		j.users[sideKey(i)] = value
	}
	g.Produce(t, records...)
	g.Produce(t, j.record("users", 4, "")) // a deletion
	delete(j.users, sideKey(4))
	j.count("visits", j.visits, visits)
	j.count("limits", j.limits, limits)
	all := 2 + 2*sideTasks // stores, each task's counted
	killAt := func(readBytes int64) (filled int) {
		t.Helper()
		j.starts++
		j.out.Take()
		cmd := j.c.process(fmt.Sprint("exec_", j.starts))
		// What lies on the disk is not read again, so it may never read as much.
		for deadline := time.Now().Add(time.Minute); hasRead(t, cmd.Process.Pid) < readBytes && time.Now().Before(deadline); {
			if strings.Count(j.out.String(), "store filled from") == all {
				break
			}
			runtime.Gosched()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		return len(filledLine.FindAllString(j.out.String(), -1))
	}
	whole := j.start()
	total := hasRead(t, whole.Process.Pid)
	if err := whole.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = whole.Wait() // it was killed
	if err := os.RemoveAll(filepath.Join(j.home, "state")); err != nil {
		t.Fatal(err)
	}
	within := map[int]int{}
	kills, wanted := 0, 2
	if soak() {
		wanted = 6
	}
	for round := 0; round < 20 && kills < wanted; round++ {
		n := killAt(int64((0.2 + 0.7*random.Float64()) * float64(total)))
		if n < all {
			kills++
			within[n]++
			// What was left of it is used, or not; the stores are what the streams say.
			cmd := j.start()
			j.filled()
			j.caughtUp()
			j.ask(fmt.Sprint("after a kill with ", n, " of ", all, " stores filled"))
			j.stop(cmd)
		}
		if err := os.RemoveAll(filepath.Join(j.home, "state")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills in the middle of it, by how many of %d stores were filled then: %v", kills, all, within)
	if kills < wanted {
		t.Errorf("only %d kills came while a store was filled", kills)
	}
}

// hasRead is how many bytes a process has read, from files and connections.
func hasRead(t testing.TB, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscanf(string(b), "rchar: %d", &n); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return n
}
