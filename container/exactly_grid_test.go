//go:build grid

package container

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"heddle/internal/grid"
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

// Killed by SIGKILL again and again under load, on a real Kafka, with stores in
// memory and on disk: nothing is lost and nothing comes twice. What a killed
// container left open delays nobody: a transaction times out after a minute.
func TestGridKillNineExactlyOnce(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	for _, engine := range []string{"memory", "pebble"} {
		t.Run(engine, func(t *testing.T) {
			l := newOnslaught(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "stores.counts.factory", engine), 300_000, 7)
			l.kill(15)
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
	l := newOnslaught(t, newGridJob(t, g, "heddle.processing.guarantee", "exactly-once"), 300_000, 8)
	var out *bytes.Buffer
	begin := func() *exec.Cmd {
		out = &bytes.Buffer{}
		l.c.stdout = out
		return l.start()
	}
	live := begin()
	for range 6 {
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
