//go:build grid

package container

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"heddle/internal/grid"
	"heddle/system"
	"heddle/task"
)

// noted is a tally that counts what it has processed.
type noted struct {
	tally
	processed *atomic.Int64
}

func (n noted) Process(ctx task.Context, m *task.Message) error {
	err := n.tally.Process(ctx, m)
	n.processed.Add(1)
	return err
}

// The broker stops answering in the moment in which a job is told to stop: the job
// ends all the same, after task.shutdown.ms, and says why. Nothing is lost.
func TestGridStopWithoutABroker(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	g.NeedHome(t, "the broker cannot be halted")
	for _, guarantee := range []string{"at-least-once", "exactly-once"} {
		t.Run(guarantee, func(t *testing.T) {
			j := newGridJob(t, g, "heddle.processing.guarantee", guarantee, "task.shutdown.ms", "1000", "task.commit.ms", "20000")
			j.create("in", 2)
			j.create("out", 2)
			j.create("totals", 1)
			const in = 200
			var batch []system.Record
			for i := range in {
				batch = append(batch, system.Record{At: int32(i%2) + 1, Value: []byte("x")})
			}
			j.produce("in", batch...)
			var processed atomic.Int64
			tasks := Tasks{"t": func() task.Task { return noted{processed: &processed} }}
			signals := make(chan os.Signal, 1)
			type end struct {
				code   int
				stderr string
			}
			ended := make(chan end, 1)
			go func() {
				code, _, stderr := j.run(tasks, signals)
				ended <- end{code, stderr}
			}()
			grid.Eventually(t, time.Minute, "all messages processed", func() (bool, string) {
				n := processed.Load()
				return n == in, fmt.Sprint(n)
			})
			g.Pause(t, grid.Broker)
			told := time.Now()
			signals <- syscall.SIGTERM
			got := <-ended
			took := time.Since(told)
			g.Resume(t, grid.Broker)
			if got.code != 1 || !strings.Contains(got.stderr, "not stopped after 1s (task.shutdown.ms)") {
				t.Errorf("it ended with code %d:\n%s", got.code, got.stderr)
			}
			if took > prompt {
				t.Errorf("it ended only after %v", took)
			}
			if code, _, stderr := j.run(tasks, nil, "--until-caught-up"); code != 0 {
				t.Fatalf("the next start ended with code %d:\n%s", code, stderr)
			}
			seen := map[string]bool{}
			out := j.read("out")
			for _, m := range out {
				seen[string(m.KeyBytes)] = true
			}
			lost, twice := in-len(seen), len(out)-len(seen)
			t.Logf("in %d, lost %d, twice %d; it ended after %v", in, lost, twice, took.Round(10*time.Millisecond))
			if lost != 0 || guarantee == "exactly-once" && twice != 0 {
				t.Errorf("%d messages were lost, %d came twice", lost, twice)
			}
		})
	}
}
