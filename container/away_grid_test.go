//go:build grid

package container

import (
	"testing"
	"time"

	"heddle/internal/grid"
)

// A container that starts while the broker is started anew waits for it, says so,
// and goes on.
func TestGridContainerStartsWhileTheBrokerRestarts(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	g.NeedHome(t, "the broker cannot be killed")
	f := newTalliedFleet(t, newGridJob(t, g))
	f.feed(0, 50)
	f.feed(1, 50)
	g.Kill(t, grid.Broker)
	began := time.Now()
	f.begin("0", "exec_1")
	g.Start(t, grid.Broker)
	f.runs("exec_1")
	f.caughtUp("exec_1")
	t.Logf("all processed after %v", time.Since(began).Round(time.Millisecond))
	for _, line := range []string{"Kafka broker cannot be reached; trying on", "Kafka broker is reached again"} {
		if n, _ := f.said.Lines(0, line); n != 1 {
			t.Errorf("%d lines say %q, want 1:\n%s", n, line, f.said)
		}
	}
	f.end("0", "exec_1")
	f.exact()
}
