package container

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/checkpoint"
	"heddle/internal/grid"
	"heddle/system"
)

// A job that was exactly-once and goes back to at-least-once, while what its last
// run left is still open.

func TestBackToAtLeastOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, step := range []Step{StepSent, StepCheckpointSent} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			backToAtLeastOnce(t, newEmbeddedJob(t, talliedJob("heddle.processing.guarantee", "exactly-once")), step)
		})
	}
	t.Run("frozen", func(t *testing.T) {
		t.Parallel()
		backFromFrozen(t, newEmbeddedJob(t, talliedJob("heddle.processing.guarantee", "exactly-once")))
	})
}

// prompt is what a start may take that waits for nothing: Kafka ends by itself what
// is open only after a minute.
const prompt = 30 * time.Second

// backToAtLeastOnce kills a run at that step of a commit, starts the job
// at-least-once, at once, and kills that, too: what the first left open would hide
// what the second committed behind it.
func backToAtLeastOnce(t *testing.T, j *embeddedJob, step Step) {
	f := newTalliedFleet(t, j)
	f.start("0", "exec_1")
	f.feed(0, 100)
	f.feed(1, 100)
	f.caughtUp("exec_1")
	f.kill("0", step, 1, 0)
	topic := j.topic("counts")
	if step == StepCheckpointSent {
		topic = checkpoint.Topic(j.settings["job.name"], "1")
	}
	if open := f.open(topic); open == 0 {
		t.Fatalf("no transaction is open on %s", topic)
	}

	f.atLeastOnce()
	began := time.Now()
	f.start("0", "exec_2")
	ran := time.Since(began)
	f.feed(0, 50)
	f.feed(1, 50)
	f.caughtUp("exec_2")
	first := time.Since(began)
	if open := f.open(topic); open != 0 {
		t.Errorf("%d offsets of %s are still hidden by an open transaction", open, topic)
	}
	f.kill("0", StepPositioned, 2, 0, 1)
	began = time.Now()
	f.start("0", "exec_3")
	again := time.Since(began)
	f.feed(0, 10)
	f.caughtUp("exec_3")
	f.end("0", "exec_3")
	in := f.fed[0] + f.fed[1]
	lost, twice := j.tallied(in, f.want)
	t.Logf("in %d, lost %d, twice %d; ran after %v, with new messages processed after %v; after the second kill after %v",
		in, lost, twice, ran.Round(time.Millisecond), first.Round(time.Millisecond), again.Round(time.Millisecond))
	if lost != 0 {
		t.Errorf("of %d messages %d were lost", in, lost)
	}
	if ran > prompt || again > prompt {
		t.Errorf("a start waited: they took %v and %v", ran, again)
	}
}

// backFromFrozen freezes a run, lets an at-least-once one take its place, and
// continues it: it can commit nothing, and says why.
func backFromFrozen(t *testing.T, j *embeddedJob) {
	f := newTalliedFleet(t, j)
	f.start("0", "exec_1")
	f.feed(0, 100)
	f.caughtUp("exec_1")
	frozen, dead := f.live["0"], f.dead["0"]
	if err := frozen.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.atLeastOnce()
	f.start("0", "exec_2")
	f.feed(0, 50)
	f.feed(1, 50)
	f.caughtUp("exec_2")
	if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	<-dead
	if code := frozen.ProcessState.ExitCode(); code != 1 || !strings.Contains(f.said.String(), "another process has taken over the transactional id") {
		t.Errorf("the continued one ended with code %d:\n%s", code, f.said)
	}
	f.feed(1, 10)
	f.caughtUp("exec_2")
	f.end("0", "exec_2")
	f.exact()
}

// An at-least-once container is frozen, replaced, and continued, with real processes:
// it ends by itself, with a line that says why, and commits nothing on its way. The
// state after the restart that follows is exact; outputs may come twice.
func TestZombieAtLeastOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	zombieAtLeastOnce(t, newEmbeddedJob(t, talliedJob()))
}

func zombieAtLeastOnce(t *testing.T, j *embeddedJob) {
	f := newTalliedFleet(t, j)
	f.start("0", "exec_1")
	f.feed(0, 100)
	f.feed(1, 100)
	f.caughtUp("exec_1")
	rounds := 1
	if soak() {
		rounds = 8
	}
	for n := range rounds {
		f.settle(fmt.Sprintf("exec_%d", 2*n+1))
		frozen, dead := f.live["0"], f.dead["0"]
		if err := frozen.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		next := fmt.Sprintf("exec_%d", 2*n+2)
		f.alone(next)
		f.start("0", next)
		f.feed(0, 50)
		f.feed(1, 50)
		f.settle(next)
		// The application master starts another only after a silence that is longer by
		// far than the one from which on a container asks before it commits.
		<-time.After(time.Until(since.Add(4 * time.Second)))
		_, from := f.said.Lines(0)
		written, left := f.endsOf(j.topic("counts")), f.checkpoints()
		if err := frozen.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		<-dead
		if code := frozen.ProcessState.ExitCode(); code != 1 {
			t.Errorf("the continued one ended with code %d", code)
		}
		if said, _ := f.said.Lines(from, "level=ERROR", "the application master no longer counts this process"); said == 0 {
			t.Errorf("it does not say why:\n%s", f.said)
		}
		if now := f.endsOf(j.topic("counts")); !slices.Equal(now, written) {
			t.Errorf("it wrote to the changelog: %+v, before %+v", now, written)
		}
		if now := f.checkpoints(); now != left {
			t.Errorf("it wrote a checkpoint: %+v, before %+v", now, left)
		}
		// What the replacement has counted is exact after a restart, too.
		f.kill("0", StepPositioned, 1, 0, 1)
		last := fmt.Sprintf("exec_%d", 2*n+3)
		f.alone(last)
		f.start("0", last)
		f.caughtUp(last)
	}
	f.end("0", fmt.Sprintf("exec_%d", 2*rounds+1))
	in := f.fed[0] + f.fed[1]
	lost, twice := j.tallied(in, f.want)
	t.Logf("in %d, lost %d, twice %d, after %d frozen containers", in, lost, twice, rounds)
	if lost != 0 {
		t.Errorf("of %d messages %d were lost", in, lost)
	}
}

// alone is the only execution that counts from now on.
func (f *fleet) alone(execution string) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	clear(f.c.alive)
	f.c.alive[execution] = true
}

// settle waits until that execution has processed and committed all that was fed.
func (f *fleet) settle(execution string) {
	f.t.Helper()
	f.caughtUp(execution)
	last, still := f.checkpoints(), 0
	grid.Eventually(f.t, time.Minute, "the last commit", func() (bool, string) {
		now := f.checkpoints()
		if now != last {
			last, still = now, 0
		}
		still++
		return still > 5, fmt.Sprint(now)
	})
}

// newTalliedFleet makes the topics, too.
func newTalliedFleet(t *testing.T, j *embeddedJob) *fleet {
	j.create("in", 2)
	j.create("out", 2)
	j.create("totals", 1)
	return newFleet(t, j)
}

// atLeastOnce is what the containers are that are started from now on.
func (f *fleet) atLeastOnce() {
	f.t.Helper()
	f.j.settings["heddle.processing.guarantee"] = "at-least-once"
	f.c = newCluster(f.t, f.j)
	f.c.stdout, f.c.stderr = f.said, f.said
}

// open counts the offsets of a topic that open transactions hide.
func (f *fleet) open(topic string) (n int64) {
	for _, e := range f.endsOf(topic) {
		n += e.Next - e.Stable
	}
	return n
}

func (f *fleet) endsOf(topic string) []system.Ends {
	f.t.Helper()
	admin, err := f.j.systems["kafka"].Admin()
	if err != nil {
		f.t.Fatal(err)
	}
	ends, err := admin.Offsets(f.t.Context(), topic)
	if err != nil {
		f.t.Fatal(err)
	}
	return ends
}
