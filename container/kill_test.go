package container

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/system"
	"heddle/task"
	"heddle/yarn/security"
)

// soak: HEDDLE_SOAK=1 asks for more rounds than continuous integration has time
// for.
func soak() bool { return os.Getenv("HEDDLE_SOAK") == "1" }

// asProgram makes the test binary a program of tasks.
const asProgram = "HEDDLE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main(Tasks{"t": func() task.Task { return &tally{} }, "look": func() task.Task { return look{} }, "ledger": func() task.Task { return &ledger{} },
			"lookup": func() task.Task { return &inquiry{} }},
			WithSideInput("count", countMessages), func(p *program) { p.failpoint = killAtStep() })
	}
	os.Exit(m.Run())
}

// killOrder names a file that orders a program to kill itself: "STEP#N",
// at the N-th of these steps from when the file is there.
const killOrder = "HEDDLE_TEST_KILL_ORDER"

// killAtStep carries out killOrder; SIGKILL leaves no more time for last words
// than a kernel that is short of memory does.
func killAtStep() func(string, Step) error {
	file := os.Getenv(killOrder)
	if file == "" {
		return nil
	}
	var reached atomic.Int64
	return func(_ string, s Step) error {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil //nolint:nilerr // not ordered yet
		}
		step, n, _ := strings.Cut(string(b), "#")
		if string(s) != step {
			return nil
		}
		if which, err := strconv.ParseInt(n, 10, 64); err == nil && reached.Add(1) < which {
			return nil
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {} // no step further until the signal is there
	}
}

// tally counts its messages by value in the logged store "counts", sends every
// message on with its place, and sends all counts when it ends in order.
type tally struct{}

func (tally) Process(ctx task.Context, m *task.Message) error {
	if err := countWord(ctx, m); err != nil {
		return err
	}
	return ctx.Send(task.Output{Stream: "kafka.out", Key: fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset), RawValue: m.ValueBytes})
}

func (tally) Stop(ctx task.Context) error {
	s, err := ctx.Store("counts")
	if err != nil {
		return err
	}
	for e := range s.All() {
		if e.Err != nil {
			return e.Err
		}
		if err := ctx.Send(task.Output{Stream: "kafka.totals", Key: fmt.Sprintf("%v of %s", e.Key, ctx.TaskName()), Value: fmt.Sprint(e.Value)}); err != nil {
			return err
		}
	}
	return nil
}

// ledger is a tally that looks each value up in "users", a store of side inputs,
// and notes each message in "brief", a store whose entries end soon. At "probe"
// it tells how many of these there are.
type ledger struct{ tally }

func (l ledger) Process(ctx task.Context, m *task.Message) error {
	brief, err := ctx.Store("brief")
	if err != nil {
		return err
	}
	place := fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset)
	if string(m.ValueBytes) == "probe" {
		n := 0
		for e := range brief.All() {
			if e.Err != nil {
				return e.Err
			}
			n++
		}
		return ctx.Send(task.Output{Stream: "kafka.probes", Key: place, Value: strconv.Itoa(n)})
	}
	users, err := ctx.Store("users")
	if err != nil {
		return err
	}
	if name, err := users.Get(string(m.ValueBytes)); err != nil || name != "user "+string(m.ValueBytes) {
		return fmt.Errorf("the user %s is called %v, %w", m.ValueBytes, name, err)
	}
	if err := brief.Put(place, int64(1)); err != nil {
		return err
	}
	return l.tally.Process(ctx, m)
}

// talliedJob are the settings of a job of tally.
func talliedJob(more ...string) map[string]string {
	m := map[string]string{
		"task.commit.ms": "50", "heddle.container": "",
		"stores.counts.factory": "memory", "stores.counts.changelog": "kafka.counts",
		"stores.counts.key.serde": "string", "stores.counts.msg.serde": "long",
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

// A container is killed by SIGKILL again and again under load. In the end every
// message was counted exactly once, none is missing among the outputs, and the
// outputs that came twice are told; exactly-once, none did.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for name, more := range map[string][]string{"at-least-once": nil, "exactly-once": {"heddle.processing.guarantee", "exactly-once"}} {
		t.Run(name, func(t *testing.T) {
			l := newOnslaught(t, newEmbeddedJob(t, talliedJob(more...)), 60_000, 1)
			l.kill(6)
			l.finish(name == "exactly-once")
		})
	}
}

// onslaught is a job of tally whose input grows while its containers come and go.
type onslaught struct {
	t      *testing.T
	j      *embeddedJob
	c      *cluster
	in     int
	want   map[string]int
	fed    chan struct{}
	random *rand.Rand
	starts int           // containers so far
	slow   time.Duration // the longest start
}

// newOnslaught makes the topics and begins to feed so many messages, some at a time.
func newOnslaught(t *testing.T, j *embeddedJob, in int, seed uint64) *onslaught {
	t.Helper()
	const keys = 50
	j.create("in", 4)
	j.create("out", 4)
	j.create("totals", 1)
	l := &onslaught{t: t, j: j, c: newCluster(t, j), in: in, want: map[string]int{}, fed: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 4))}
	random := rand.New(rand.NewPCG(seed, 2))
	var records []system.Record
	for range in {
		r := system.Record{Value: []byte(strconv.Itoa(random.IntN(keys)))}
		l.want[string(r.Value)]++
		records = append(records, r)
	}
	go func() {
		defer close(l.fed)
		for i := range 60 {
			var part []system.Record
			for k, r := range records[i*in/60 : (i+1)*in/60] {
				r.At = int32(k%4) + 1
				part = append(part, r)
			}
			j.produce("in", part...)
		}
	}()
	return l
}

// start starts the next container and waits until it processes messages.
func (l *onslaught) start() *exec.Cmd {
	l.t.Helper()
	l.starts++
	began := time.Now()
	cmd := l.c.process(l.execution())
	l.c.waitForExecution(l.execution())
	l.slow = max(l.slow, time.Since(began))
	return cmd
}

func (l *onslaught) execution() string { return fmt.Sprintf("exec_%d", l.starts) }

// work lets the newest container run for a while.
func (l *onslaught) work() {
	wait := time.NewTimer(time.Duration(20+l.random.IntN(300)) * time.Millisecond)
	<-wait.C
}

// kill starts containers and kills them.
func (l *onslaught) kill(times int) {
	l.t.Helper()
	for range times {
		cmd := l.start()
		l.work()
		if err := cmd.Process.Kill(); err != nil {
			l.t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			l.t.Fatalf("container %d ended before it was killed: %v", l.starts, err)
		}
	}
}

// finish lets a last container come to the end of the input and counts.
func (l *onslaught) finish(exactlyOnce bool) {
	l.t.Helper()
	<-l.fed
	l.end(l.start(), exactlyOnce)
}

// end stops that container in order, once it has read everything, and counts.
func (l *onslaught) end(cmd *exec.Cmd, exactlyOnce bool) {
	t := l.t
	t.Helper()
	last := l.execution()
	// What was fed decides, not the lag: a container knows of an end only once it
	// has fetched.
	waitFor(t, l.c, func(r coordinator.Report) bool {
		return r.ExecutionID == last && r.State == coordinator.ContainerRunning && processed(r) == int64(l.in)
	})
	l.c.server.Send("0", last, coordinator.CommandStop, nil)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	lost, twice := l.j.tallied(l.in, l.want)
	t.Logf("in %d, lost %d, twice %d; %d containers, the slowest ran after %v", l.in, lost, twice, l.starts, l.slow.Round(time.Millisecond))
	if lost != 0 || exactlyOnce && twice != 0 {
		t.Errorf("%d messages were lost, %d came twice", lost, twice)
	}
}

// tallied holds the totals that tally sent at its end against what was fed, and
// counts what came out of so many messages.
func (j *embeddedJob) tallied(in int, want map[string]int) (lost, twice int) {
	j.t.Helper()
	totals := map[string]int{}
	for _, m := range j.read("totals") {
		n, err := strconv.Atoi(string(m.ValueBytes))
		if err != nil {
			j.t.Fatal(err)
		}
		var key string
		var p int
		if _, err := fmt.Sscanf(string(m.KeyBytes), "%s of Partition %d", &key, &p); err != nil {
			j.t.Fatal(err)
		}
		totals[key] += n
	}
	for k, n := range want {
		if totals[k] != n {
			j.t.Errorf("%s counted %d times, want %d", k, totals[k], n)
		}
	}
	seen := map[string]bool{}
	out := j.read("out")
	for _, m := range out {
		seen[string(m.KeyBytes)] = true
	}
	return in - len(seen), len(out) - len(seen)
}

// processed is how far all tasks are in their inputs, of which each begins at 0.
func processed(r coordinator.Report) (n int64) {
	for _, t := range r.Tasks {
		for _, i := range t.Inputs {
			n += max(0, i.Next)
		}
	}
	return n
}

// process starts container 0 as a process of its own, the only one.
func (c *cluster) process(execution string) *exec.Cmd {
	c.t.Helper()
	c.mu.Lock()
	clear(c.alive)
	c.mu.Unlock()
	return c.processOf("0", execution)
}

// processOf starts a container as a process of its own.
func (c *cluster) processOf(id, execution string, env ...string) *exec.Cmd {
	c.t.Helper()
	c.mu.Lock()
	c.alive[execution] = true
	c.mu.Unlock()
	creds := &security.Credentials{}
	creds.AddSecret(launch.SecretCredential, []byte(coordinator.DeriveCredential(c.secret, id)))
	file := filepath.Join(c.t.TempDir(), "container_tokens")
	if err := os.WriteFile(file, creds.Encode(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	c.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=1", launch.EnvContainerID+"="+id, launch.EnvCoordinatorURL+"="+c.server.URL(),
		launch.EnvExecutionID+"="+execution, security.EnvTokenFile+"="+file)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = c.stdout, os.Stderr
	if c.stderr != nil {
		cmd.Stderr = c.stderr
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// waitForExecution waits until that execution processes messages.
func (c *cluster) waitForExecution(execution string) {
	c.t.Helper()
	waitFor(c.t, c, func(r coordinator.Report) bool {
		return r.ExecutionID == execution && r.State == coordinator.ContainerRunning
	})
}
