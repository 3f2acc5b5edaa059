package container

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/system"
	"heddle/task"
	"heddle/yarn/security"
)

// asProgram makes the test binary a program of tasks.
const asProgram = "HEDDLE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main(Tasks{"t": func() task.Task { return &tally{} }})
	}
	os.Exit(m.Run())
}

// tally counts its messages by value in the logged store "counts", sends every
// message on with its place, and sends all counts when it ends in order.
type tally struct{}

func (tally) Process(ctx task.Context, m *task.Message) error {
	s, err := ctx.Store("counts")
	if err != nil {
		return err
	}
	var n int64
	if _, err := s.GetInto(string(m.ValueBytes), &n); err != nil {
		return err
	}
	if err := s.Put(string(m.ValueBytes), n+1); err != nil {
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

// A container is killed by SIGKILL again and again under load. In the end every
// message was counted exactly once, none is missing among the outputs, and the
// outputs that came twice are told.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const in, kills, keys = 60_000, 6, 50
	j := newEmbeddedJob(t, map[string]string{
		"task.commit.ms": "50", "heddle.container": "",
		"stores.counts.factory": "memory", "stores.counts.changelog": "kafka.counts",
		"stores.counts.key.serde": "string", "stores.counts.msg.serde": "long",
	})
	j.create("in", 4)
	j.create("out", 4)
	j.create("totals", 1)
	c := newCluster(t, j)
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]int{}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		var records []system.Record
		for range in {
			records = append(records, system.Record{Value: []byte(strconv.Itoa(random.IntN(keys)))})
		}
		for _, r := range records {
			want[string(r.Value)]++
		}
		for i := range 60 {
			var part []system.Record
			for k, r := range records[i*in/60 : (i+1)*in/60] {
				r.At = int32(k%4) + 1
				part = append(part, r)
			}
			j.produce("in", part...)
		}
	}()
	moments := rand.New(rand.NewPCG(3, 4))
	for k := range kills {
		execution := fmt.Sprintf("exec_%d", k+1)
		cmd := c.process(execution)
		c.waitForExecution(execution)
		wait := time.NewTimer(time.Duration(20+moments.IntN(300)) * time.Millisecond)
		<-wait.C
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("container %d ended before it was killed: %v", k, err)
		}
	}
	<-fed
	last := fmt.Sprintf("exec_%d", kills+1)
	cmd := c.process(last)
	c.waitForExecution(last)
	waitFor(t, c, func(r coordinator.Report) bool {
		return r.ExecutionID == last && r.State == coordinator.ContainerRunning && lag(r) == 0
	})
	c.server.Send("0", last, coordinator.CommandStop, nil)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	totals := map[string]int{}
	for _, m := range j.read("totals") {
		n, err := strconv.Atoi(string(m.ValueBytes))
		if err != nil {
			t.Fatal(err)
		}
		var key string
		var p int
		if _, err := fmt.Sscanf(string(m.KeyBytes), "%s of Partition %d", &key, &p); err != nil {
			t.Fatal(err)
		}
		totals[key] += n
	}
	for k, n := range want {
		if totals[k] != n {
			t.Errorf("%s counted %d times, want %d", k, totals[k], n)
		}
	}
	seen := map[string]int{}
	out := j.read("out")
	for _, m := range out {
		seen[string(m.KeyBytes)]++
	}
	t.Logf("in %d, out %d, lost %d, twice %d, killed %d times", in, len(out), in-len(seen), len(out)-len(seen), kills)
	if len(seen) != in {
		t.Errorf("%d messages were lost", in-len(seen))
	}
}

func lag(r coordinator.Report) (n int64) {
	for _, t := range r.Tasks {
		for _, i := range t.Inputs {
			l, _ := i.Lag()
			n += l
		}
	}
	return n
}

// process starts container 0 as a process of its own.
func (c *cluster) process(execution string) *exec.Cmd {
	c.t.Helper()
	c.mu.Lock()
	c.alive = map[string]bool{execution: true}
	c.mu.Unlock()
	creds := &security.Credentials{}
	creds.AddSecret(launch.SecretCredential, []byte(coordinator.DeriveCredential(c.secret, "0")))
	file := filepath.Join(c.t.TempDir(), "container_tokens")
	if err := os.WriteFile(file, creds.Encode(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=1", launch.EnvContainerID+"=0", launch.EnvCoordinatorURL+"="+c.server.URL(),
		launch.EnvExecutionID+"="+execution, security.EnvTokenFile+"="+file)
	cmd.Stderr = os.Stderr
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
