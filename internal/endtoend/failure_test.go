//go:build grid

package endtoend

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// kills is how often a container is killed in a test under load.
func kills() int {
	if soaking {
		return 5
	}
	return 2
}

// killContainer kills one of the application's containers and waits until its task has a new
// process and the job is in order again.
func killContainer(t testing.TB, g *grid.Grid, j *job, application string, i int) {
	t.Helper()
	running := j.awaitRunning(application)
	found := g.Processes(t, "run-container", application)
	if len(found) == 0 {
		t.Fatalf("%s has no container: %+v", application, running)
	}
	slices.SortFunc(found, func(a, b grid.Process) int { return a.PID - b.PID })
	victim := found[i%len(found)]
	began := time.Now()
	g.KillProcess(t, victim)
	j.awaitReplaced(soon, application, victim.Container)
	t.Logf("kill -9 of %s (process %d): running again after %.1f s", victim.Container, victim.PID, time.Since(began).Seconds())
}

// onlyWindows checks that what came twice lies, for every partition of the input, in as many commits
// at most as there were kills, and in no partition twice what was committed.
func onlyWindows(t testing.TB, g *grid.Grid, l *latencyJob, sent []*kgo.Record, times map[string]int, kills int) {
	t.Helper()
	commits := checkpoints(t, g, l.name, l.in)
	windows := map[int32]map[int]int{} // by partition and commit: messages that came more than once
	for _, r := range sent {
		if times[string(r.Key)] < 2 {
			continue
		}
		// The commit that made the message safe is the first at its offset or behind.
		of := commits[strconv.Itoa(int(r.Partition))]
		i := 0
		for i < len(of) {
			if last, err := strconv.ParseInt(of[i], 10, 64); err != nil {
				t.Fatalf("checkpoint of partition %d: %q", r.Partition, of[i])
			} else if last >= r.Offset {
				break
			}
			i++
		}
		if i == len(of) {
			t.Errorf("message %s at %d of partition %d was never committed: %v", r.Key, r.Offset, r.Partition, of)
		}
		if windows[r.Partition] == nil {
			windows[r.Partition] = map[int]int{}
		}
		windows[r.Partition][i]++
	}
	for _, p := range slices.Sorted(maps.Keys(windows)) {
		t.Logf("partition %d: %d commits; repeated between two of them: %v messages", p, len(commits[strconv.Itoa(int(p))]), slices.Collect(maps.Values(windows[p])))
		if len(windows[p]) > kills {
			t.Errorf("partition %d: messages of %d commits came twice after %d kills", p, len(windows[p]), kills)
		}
	}
}

func TestKilledContainersLoseNothing(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 4)
	l.set("job.container.count", "2")
	live := produceLive(t, g, distinctClick(l.in, 4), 40, 20*time.Millisecond)
	id := l.submit()
	kills := kills()
	for i := range kills {
		live.awaitMore(1000)
		killContainer(t, g, l.job, id, i)
	}
	sent := live.finish()
	l.awaitRead(id, l.in)
	l.kill(id)
	d, times := deliveryOf(t, sent, g.ReadAll(t, l.out))
	t.Logf("%d kills: %s", kills, d)
	if d.Lost > 0 || d.Unknown > 0 {
		t.Errorf("not at least once: %s", d)
	}
	onlyWindows(t, g, l, sent, times, kills)
}

func TestKilledContainersKeepTheTotalsExact(t *testing.T) {
	g := grid.Use(t)
	b := newGroupBy(t, g, "yarn")
	b.count.set("job.container.count", "2")
	live := produceLive(t, g, pageView(b.views, 4), 40, 20*time.Millisecond)
	first := b.repartition.submit()
	second := b.count.submit()
	for i := range kills() {
		live.awaitMore(1000)
		killContainer(t, g, b.count, second, i)
		if i == 1 {
			killContainer(t, g, b.repartition, first, 0)
		}
	}
	sent := live.finish()
	b.repartition.awaitRead(first, b.views)
	b.repartition.kill(first)
	b.count.awaitRead(second, b.byUser)
	b.count.kill(second)
	between := g.ReadAll(t, b.byUser)
	d := grid.Tally(grid.Values(sent), grid.Values(between))
	t.Logf("repartition, 1 kill: %s", d)
	if d.Lost > 0 || d.Unknown > 0 {
		t.Errorf("not at least once: %s", d)
	}
	// What came twice between the jobs is counted twice: the totals are those of what was read.
	b.checkTotals(t, g, viewsPerUser(t, between))
}

func stopAndStart(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			l := newLatency(t, g, factory, 4)
			click := distinctClick(l.in, 4)
			var sent []*kgo.Record
			more := func(n int) {
				var records []*kgo.Record
				for range n {
					records = append(records, click(len(sent)+len(records)))
				}
				g.Produce(t, records...)
				sent = append(sent, records...)
			}
			more(500)
			p := l.start()
			live := 0
			// It is stopped in the middle of a stream.
			feed := func(until func() bool) {
				for !until() {
					more(100)
					live += 100
				}
			}
			if factory == "yarn" {
				if r := p.wait(commandLimit); r.code != 0 {
					t.Fatal(r)
				}
				id := lastLine(p.result().stdout)
				k := start(t, "kill", id)
				feed(func() bool { return closed(k.done) })
				if r := k.result(); r.code != 0 {
					t.Fatal(r)
				}
				j := l.job
				j.awaitNoProcess(id)
			} else {
				p.awaitOutput("running")
				p.signal(map[string]syscall.Signal{"thread": syscall.SIGINT, "process": syscall.SIGTERM}[factory])
				feed(func() bool { return closed(p.done) })
				if r := p.result(); r.code != 0 {
					t.Fatalf("a graceful stop: %s", r)
				}
			}
			more(500) // while nothing runs
			l.run(0, "--until-caught-up")
			d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
			t.Logf("%d messages came while it stopped", live)
			exactly(t, d)
		})
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A master is taken over as often as it dies, but too often within the window.
func TestKilledMasterIsTakenOver(t *testing.T) {
	const (
		kills  = 2
		window = time.Second // the cluster allows one failure in it
	)
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 4)
	l.set("heddle.am.failure.window.ms", strconv.FormatInt(window.Milliseconds(), 10))
	live := produceLive(t, g, distinctClick(l.in, 4), 40, 20*time.Millisecond)
	id := l.submit()
	before := l.awaitRunning(id).AttemptID
	for range kills {
		masters := g.Processes(t, "run-am", id)
		if len(masters) != 1 {
			t.Fatalf("%d application masters: %v", len(masters), masters)
		}
		began := time.Now()
		g.KillProcess(t, masters[0])
		var next appStatus
		grid.Eventually(t, soon, "another attempt runs the job", func() (bool, string) {
			s, err := l.appStatus(id)
			if err != nil {
				return false, err.Error()
			}
			next = s
			return s.AttemptID != before && s.Containers.Running == s.Containers.Wanted && s.Containers.Wanted > 0, fmt.Sprintf("%+v", s)
		})
		t.Logf("kill -9 of the application master: %s runs after %.1f s", next.AttemptID, time.Since(began).Seconds())
		// Measured from when the ResourceManager has heard of the failure, which was before the attempt began.
		up := time.Now()
		grid.Eventually(t, soon, "the window is over", func() (bool, string) { return time.Since(up) > window+window/2, "" })
		before = next.AttemptID
	}
	sent := live.finish()
	l.awaitRead(id, l.in)
	l.kill(id)
	d, times := deliveryOf(t, sent, g.ReadAll(t, l.out))
	t.Logf("%d kills of the master: %s", kills, d)
	if d.Lost > 0 || d.Unknown > 0 {
		t.Errorf("not at least once: %s", d)
	}
	onlyWindows(t, g, l, sent, times, kills)
	l.awaitNoProcess(id)
}

func TestResourceManagerRestarts(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 4)
	live := produceLive(t, g, distinctClick(l.in, 4), 40, 20*time.Millisecond)
	id := l.submit()
	before := l.awaitRunning(id)
	processes := g.Processes(t, "", id)
	g.Kill(t, grid.RM)
	n := live.count()
	grid.Eventually(t, soon, "input goes on without a ResourceManager", func() (bool, string) { return live.count() > n+1000, fmt.Sprint(live.count()) })
	g.Start(t, grid.RM)
	grid.Eventually(t, soon, "the application is known again", func() (bool, string) {
		s, err := l.appStatus(id)
		if err != nil {
			return false, err.Error()
		}
		return s.Containers.Running == s.Containers.Wanted, fmt.Sprintf("%+v", s)
	})
	after := l.awaitRunning(id)
	if after.AttemptID != before.AttemptID || after.ContainerList[0].ExecutionID != before.ContainerList[0].ExecutionID {
		t.Errorf("before the restart %+v, after it %+v", before, after)
	}
	if now := g.Processes(t, "", id); len(now) != len(processes) || now[0].PID != processes[0].PID {
		t.Errorf("processes before the restart %v, after it %v", processes, now)
	}
	// A container that dies now is replaced: the scheduler knows the application.
	killContainer(t, g, l.job, id, 0)
	sent := live.finish()
	l.awaitRead(id, l.in)
	l.kill(id)
	d, times := deliveryOf(t, sent, g.ReadAll(t, l.out))
	t.Logf("1 restart of the ResourceManager, 1 kill: %s", d)
	if d.Lost > 0 || d.Unknown > 0 {
		t.Errorf("not at least once: %s", d)
	}
	onlyWindows(t, g, l, sent, times, 1)
}

func TestIdleContainerEndsAtOnce(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 4)
	// Nothing is committed by time or by a window: what is committed was committed by the stop.
	l.set("task.window.ms", "-1")
	l.set("task.commit.ms", "-1")
	id := l.submit()
	const n = 400
	click := distinctClick(l.in, 4)
	var sent []*kgo.Record
	for i := range n {
		sent = append(sent, click(i))
	}
	g.Produce(t, sent...)
	l.awaitRead(id, l.in)
	if got := checkpointed(t, g, l); got != 0 {
		t.Fatalf("%d messages are committed already", got)
	}
	victim := g.Processes(t, "run-container", id)[0]
	took := terminate(t, victim.PID)
	t.Logf("SIGTERM of an idle container: it ended after %d ms (target 250 ms)", took.Milliseconds())
	if took > 5*time.Second { // on a busy machine; bin/measure.sh measures it
		t.Errorf("an idle container took %s to end", took)
	}
	if got := checkpointed(t, g, l); got != n {
		t.Errorf("%d of %d messages are committed after the stop", got, n)
	}
	// The job replaces it, since nobody asked the job to stop.
	grid.Eventually(t, soon, "a new container runs", func() (bool, string) {
		s, err := l.appStatus(id)
		if err != nil {
			return false, err.Error()
		}
		return s.Containers.Running == 1 && s.ContainerList[0].ExecutionID != victim.Container, fmt.Sprintf("%+v", s)
	})
	l.kill(id)
	d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
	exactly(t, d)
}

// terminate sends SIGTERM and gives the time until the process has ended.
func terminate(t testing.TB, pid int) time.Duration {
	t.Helper()
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for !ended(pid) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("SIGTERM did not end the process %d", pid)
		}
		<-time.After(time.Millisecond)
	}
	return time.Since(began)
}

// ended reports whether a process has ended; one whose parent has not asked yet has.
func ended(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// checkpointed counts the messages of the input that the newest checkpoints cover.
func checkpointed(t testing.TB, g *grid.Grid, l *latencyJob) int64 {
	t.Helper()
	var n int64
	for _, offsets := range checkpoints(t, g, l.name, l.in) {
		last, err := strconv.ParseInt(offsets[len(offsets)-1], 10, 64)
		if err == nil {
			n += last + 1
		}
	}
	return n
}
