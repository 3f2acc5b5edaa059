//go:build grid && measure

package endtoend

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

var (
	measureRuns = flag.Int("runs", 5, "runs of each measurement")
	measureFile = flag.String("result", "", "file to which the table is written; the test's log if empty")
)

// killsOfARun is how often a run kills its container, less than what cluster-manager.container.retry.count allows.
const killsOfARun = 3

// measurement is a row of the table: what was measured each time, and what the median must be below.
type measurement struct {
	what, unit string
	target     float64
	samza      string
	values     []float64
}

func (m *measurement) add(v float64) { m.values = append(m.values, v) }

// median of an odd or even number of values.
func (m *measurement) median() float64 {
	s := slices.Sorted(slices.Values(m.values))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// TestMeasure is run by bin/measure.sh. Samza's numbers are those of the same measurements with
// Apache Samza 1.8 on a machine of this size.
func TestMeasure(t *testing.T) {
	g := grid.Use(t)
	runJob = checkoutScript() // which is what a submit is measured with
	submit := &measurement{what: "submit (bin/run-job.sh) to first record processed", unit: "s", target: 5, samza: "20.5"}
	packed := &measurement{what: "the same with yarn.package.path on HDFS", unit: "s", target: 5}
	killed := &measurement{what: "container killed (kill -9) to next record processed", unit: "s", target: 3, samza: "14.5"}
	master := &measurement{what: "application master, idle, resident", unit: "MiB", target: 40, samza: "225"}
	container := &measurement{what: "container, idle, resident", unit: "MiB", target: 40, samza: "172"}
	stopped := &measurement{what: "idle container, SIGTERM to its end", unit: "ms", target: 250}
	size := &measurement{what: "package", unit: "MiB", target: 30, samza: "155"}

	file := example("latency/latency.properties")
	local := sharedPackage(t, g, file) // also fills Go's cache
	info, err := os.Stat(local)
	if err != nil {
		t.Fatal(err)
	}
	size.add(float64(info.Size()) / (1 << 20))
	remote := g.DefaultFS + "/endtoend/" + grid.Name("measure") + ".tar.gz"
	if r := try(t, "package", "--upload="+remote, "--config-path="+file, "--config", "systems.kafka.producer.bootstrap.servers="+g.KafkaAddress); r.code != 0 {
		t.Fatal(r)
	}
	for i := range *measureRuns {
		for _, m := range []*measurement{submit, packed} {
			t.Run(fmt.Sprintf("%s/%d", m.what, i), func(t *testing.T) {
				l := newLatency(t, g, "yarn", 4)
				l.set("task.window.ms", "100") // the first output comes so long after the first record
				l.set("yarn.package.path", map[*measurement]string{submit: "", packed: remote}[m])
				l.produceDistinct(100)
				first := awaitOutputOf(t, g, l.out)
				began := time.Now()
				p := l.start()
				m.add((<-first).Sub(began).Seconds())
				r := p.wait(commandLimit)
				if r.code != 0 {
					t.Fatal(r)
				}
				if m == submit {
					return // one of the two is enough for what follows
				}
				id := lastLine(r.stdout)
				l.awaitRunning(id)
				live := produceLive(t, g, distinctClick(l.in, 4), 4, 5*time.Millisecond)
				l.awaitRead(id, l.in)
				for range killsOfARun {
					victim := g.Processes(t, "run-container", id)[0]
					// What the killed process had under way is not taken for the new one's.
					began = time.Now()
					g.KillProcess(t, victim)
					<-time.After(100 * time.Millisecond)
					next := awaitOutputOf(t, g, l.out)
					killed.add((<-next).Sub(began).Seconds())
					<-time.After(time.Second)
				}
				live.finish()
				l.awaitRead(id, l.in)
				// Idle for a while, so that what the work left is given back.
				<-time.After(20 * time.Second)
				master.add(resident(t, g.Processes(t, "run-am", id)[0].PID))
				idle := g.Processes(t, "run-container", id)[0]
				container.add(resident(t, idle.PID))
				stopped.add(float64(terminate(t, idle.PID).Microseconds()) / 1000)
				l.kill(id)
			})
		}
	}
	if t.Failed() {
		return
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s, %d runs, %s, %d cores, %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), *measureRuns, runtime.Version(), runtime.NumCPU(), load())
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tunit\tmedian\tlowest\thighest\ttarget\tSamza\t")
	for _, m := range []*measurement{submit, packed, killed, master, container, stopped, size} {
		verdict := "reached"
		if m.median() >= m.target {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.2f\tunder %g\t%s\t%s\n", m.what, m.unit, m.median(), slices.Min(m.values), slices.Max(m.values), m.target, m.samza, verdict)
	}
	_ = w.Flush()
	if *measureFile == "" {
		t.Log(table.String())
	} else {
		if err := os.WriteFile(*measureFile, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitOutputOf gives the time at which the next record comes to a topic. It reads before it returns.
func awaitOutputOf(t testing.TB, g *grid.Grid, topic string) <-chan time.Time {
	t.Helper()
	from := map[int32]kgo.Offset{}
	for p, end := range g.EndOffsets(t, topic) {
		from[p] = kgo.NewOffset().At(end)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchMaxWait(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	came := make(chan time.Time, 1)
	go func() {
		for t.Context().Err() == nil {
			if f := client.PollFetches(t.Context()); f.NumRecords() > 0 {
				came <- time.Now()
				return
			}
		}
		close(came)
	}()
	return came
}

// resident is the resident size of a process in MiB.
func resident(t testing.TB, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatalf("process %d has no VmRSS", pid)
	return 0
}

// load says how busy the machine was.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	f := strings.Fields(string(b))
	return "load average " + strings.Join(f[:min(3, len(f))], " ")
}
