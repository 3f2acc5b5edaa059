//go:build grid

package container

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/coordinator"
	"heddle/internal/grid"
	"heddle/internal/heard"
)

// sideJob is a job of look on a real Kafka: two tasks with a compacted side input
// and one that is counted, on disk, and two shared stores, in memory and on disk.
type sideJob struct {
	t      *testing.T
	g      *grid.Grid
	c      *cluster
	topics map[string]string
	home   string
	starts int
	out    *heard.Text // what the newest container printed

	asked int
	// users, rates, visits and limits are what the stores have to hold.
	users, rates   map[string]string
	visits, limits map[string]int64
	messages       map[string]int // of each counted stream
}

const sideKeys, sideTasks, sharedPartitions = 50, 2, 3

func newSideJob(t *testing.T, g *grid.Grid) *sideJob {
	name := grid.Name("sides")
	settings := map[string]string{
		"job.name": name, "heddle.home": t.TempDir(), "systems.kafka.producer.bootstrap.servers": g.KafkaAddress,
		"task.class": "look", "heddle.container": "", "task.commit.ms": "50",
		// For the inputs; stores take what is committed, all the same.
		"systems.kafka.consumer.isolation.level": "read_uncommitted",
		"stores.users.factory":                   "pebble", "stores.users.side.inputs": "kafka.users",
		"stores.users.key.serde": "string", "stores.users.msg.serde": "string",
		"stores.visits.factory": "pebble", "stores.visits.side.inputs": "kafka.visits", "stores.visits.side.inputs.processor.factory": "count",
		"stores.visits.key.serde": "string", "stores.visits.msg.serde": "long",
		"stores.rates.factory": "memory", "stores.rates.side.inputs": "kafka.rates", "heddle.stores.rates.shared": "true",
		"stores.rates.key.serde": "string", "stores.rates.msg.serde": "string",
		"stores.limits.factory": "pebble", "stores.limits.side.inputs": "kafka.limits", "stores.limits.side.inputs.processor.factory": "count",
		"stores.limits.key.serde": "string", "stores.limits.msg.serde": "long", "heddle.stores.limits.shared": "true",
	}
	j := &sideJob{t: t, g: g, home: settings["heddle.home"], topics: map[string]string{}, out: &heard.Text{}, messages: map[string]int{},
		users: map[string]string{}, rates: map[string]string{}, visits: map[string]int64{}, limits: map[string]int64{}}
	for id, partitions := range map[string]int32{"in": sideTasks, "out": 1, "users": sideTasks, "visits": sideTasks, "rates": sharedPartitions, "limits": sharedPartitions} {
		var more []string
		if id == "users" || id == "rates" {
			more = []string{"cleanup.policy=compact", "segment.ms=100", "min.cleanable.dirty.ratio=0.001", "max.compaction.lag.ms=100"}
		}
		j.topics[id] = g.Topic(t, name+"-"+id, partitions, more...)
		settings["streams."+id+".samza.system"] = "kafka"
		settings["streams."+id+".samza.physical.name"] = j.topics[id]
	}
	t.Cleanup(func() {
		g.DeleteTopics(t, "__samza_checkpoint_ver_1_for_"+strings.ReplaceAll(name, "_", "-")+"_1", "__samza_coordinator_"+name+"_1")
	})
	e := newEmbeddedJob(t, settings)
	e.topics = j.topics
	j.c = newCluster(t, e)
	j.c.stdout = j.out
	return j
}

func sideKey(i int) string { return fmt.Sprint("k", i%sideKeys) }

// record is the i-th of a stream: its key always falls on the same partition.
func (j *sideJob) record(id string, i int, value string) *kgo.Record {
	partitions := sideTasks
	if id == "rates" || id == "limits" {
		partitions = sharedPartitions
	}
	r := &kgo.Record{Topic: j.topics[id], Partition: int32(i % sideKeys % partitions), Key: []byte(sideKey(i))}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

// count adds n messages to a counted stream.
func (j *sideJob) count(id string, into map[string]int64, n int) {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = j.record(id, i, "x")
		into[sideKey(i)]++
	}
	j.messages[id] += n
	j.g.Produce(j.t, records...)
}

// transaction writes records, and ends it.
func (j *sideJob) transaction(end kgo.TransactionEndTry, records ...*kgo.Record) {
	j.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(j.g.KafkaAddress), kgo.TransactionalID(grid.Name("sides")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		j.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		j.t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		j.t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, end); err != nil {
		j.t.Fatal(err)
	}
}

// change writes users that count, in a transaction, and behind them some that do
// not.
func (j *sideJob) change(changes map[int]string) {
	var kept, dropped []*kgo.Record
	for _, i := range slices.Sorted(maps.Keys(changes)) {
		kept = append(kept, j.record("users", i, changes[i]))
		if changes[i] == "" {
			delete(j.users, sideKey(i))
		} else {
			j.users[sideKey(i)] = changes[i]
		}
	}
	for i := range sideKeys {
		dropped = append(dropped, j.record("users", i, "aborted"))
	}
	j.transaction(kgo.TryCommit, kept...)
	j.transaction(kgo.TryAbort, dropped...)
}

func (j *sideJob) start() *exec.Cmd {
	j.t.Helper()
	j.starts++
	j.out.Take()
	cmd := j.c.process(fmt.Sprint("exec_", j.starts))
	j.c.waitForExecution(fmt.Sprint("exec_", j.starts))
	return cmd
}

var filledLine = regexp.MustCompile(`msg="store filled from its side inputs" .*task="([^"]+)" .*store=(\S+) .*messages=(\d+) .*"local state"=(true|false)`)

// filled is how many messages the newest container read at its start, by store.
func (j *sideJob) filled() map[string]int64 {
	j.t.Helper()
	n := map[string]int64{}
	for _, m := range filledLine.FindAllStringSubmatch(j.out.String(), -1) {
		v, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			j.t.Fatal(err)
		}
		n[m[2]] += v
	}
	if len(n) != len(lookedAt) {
		j.t.Fatalf("filled: %v, of\n%s", n, j.out.String())
	}
	return n
}

// caughtUp waits until the newest container says that its stores are where the
// streams end now.
func (j *sideJob) caughtUp() {
	j.t.Helper()
	want := map[string]int64{}
	for _, id := range lookedAt {
		for p, end := range j.g.EndOffsets(j.t, j.topics[id]) {
			want[fmt.Sprint(id, " ", p)] = end
		}
	}
	got := map[string]int64{}
	last := fmt.Sprint("exec_", j.starts)
	waitFor(j.t, j.c, func(r coordinator.Report) bool {
		if r.ExecutionID != last {
			return false
		}
		clear(got)
		all := slices.Clone(r.SideInputs)
		for _, t := range r.Tasks {
			all = append(all, t.SideInputs...)
		}
		for _, s := range all {
			if lag, ok := s.Lag(); ok && lag == 0 {
				got[fmt.Sprint(s.Store, " ", s.Partition)] = s.Next
			}
		}
		return maps.Equal(got, want)
	})
}

// ask sends each key once and checks the answers.
func (j *sideJob) ask(when string) {
	j.t.Helper()
	records := make([]*kgo.Record, sideKeys)
	for i := range records {
		records[i] = &kgo.Record{Topic: j.topics["in"], Partition: int32(i % sideTasks), Value: []byte(sideKey(i))}
	}
	j.g.Produce(j.t, records...)
	j.answered(when)
}

// answered waits for the answers to what was asked, and checks them.
func (j *sideJob) answered(when string) {
	j.t.Helper()
	before := j.asked
	j.asked += sideKeys
	var out []*kgo.Record
	grid.Eventually(j.t, 30*time.Second, "answers", func() (bool, string) {
		out = j.g.ReadAll(j.t, j.topics["out"])
		return len(out) >= j.asked, fmt.Sprintf("%d of %d", len(out), j.asked)
	})
	if len(out) != j.asked {
		j.t.Fatalf("%s: %d answers, want %d", when, len(out), j.asked)
	}
	or := func(m map[string]string, key string) string {
		if v, ok := m[key]; ok {
			return v
		}
		return "<nil>"
	}
	var want []string
	for i := range sideKeys {
		key := sideKey(i)
		want = append(want, fmt.Sprintf("%s users=%s visits=%d rates=%s limits=%d", key, or(j.users, key), j.visits[key], or(j.rates, key), j.limits[key]))
	}
	d := grid.Tally(want, grid.Values(out[before:]))
	j.t.Logf("%s: answers %s; %d visits and %d limits went in", when, d, j.messages["visits"], j.messages["limits"])
	if !d.Exact() {
		j.t.Errorf("%s: want %q, got %q", when, want, grid.Values(out[before:]))
	}
}

func (j *sideJob) stop(cmd *exec.Cmd) {
	j.t.Helper()
	j.c.server.Send("0", fmt.Sprint("exec_", j.starts), coordinator.CommandStop, nil)
	if err := cmd.Wait(); err != nil {
		j.t.Fatalf("%v\n%s", err, j.out.String())
	}
}

// On a real Kafka: side inputs are in the stores before the first message, also
// where a transaction's marker and an aborted tail lie at the end of a compacted
// topic; they are followed while the container runs; killed by SIGKILL, each
// message of theirs counts once and the next container reads only what is new.
func TestGridSideInputs(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	j := newSideJob(t, g)
	first := map[int]string{}
	var records []*kgo.Record
	for i := range sideKeys {
		first[i] = fmt.Sprint("u", i)
		j.rates[sideKey(i)] = fmt.Sprint("r", i)
		records = append(records, j.record("rates", i, fmt.Sprint("r", i)),
			&kgo.Record{Topic: j.topics["in"], Partition: int32(i % sideTasks), Value: []byte(sideKey(i))})
	}
	g.Produce(t, records...)
	j.change(first)
	j.change(map[int]string{2: "u2.2", 3: "u3.2", 4: ""})
	j.count("visits", j.visits, 120_000)
	j.count("limits", j.limits, 60_000)
	cmd := j.start()
	j.answered("messages that were there before the start")
	if n := j.filled(); n["visits"] != 120_000 || n["limits"] != 60_000 {
		t.Errorf("read at the first start: %v", n)
	}

	j.change(map[int]string{1: "u1.3", 2: "", 4: "u4.3"})
	g.Produce(t, j.record("rates", 0, "r0.2"))
	j.rates["k0"] = "r0.2"
	j.count("visits", j.visits, 1000)
	j.count("limits", j.limits, 100)
	j.caughtUp()
	j.ask("followed while it runs")

	fed := 0
	for i := range 3 {
		for range 5 {
			j.count("visits", j.visits, 2000)
			j.count("limits", j.limits, 300)
			fed++
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended before it was killed")
		}
		j.change(map[int]string{10 + i: fmt.Sprint("killed ", i)})
		cmd = j.start()
		n := j.filled()
		t.Logf("kill %d: read at the start: %v", i, n)
		if most := int64(1000 + 2000*fed); n["visits"] > most {
			t.Errorf("kill %d: %d visits were read, want at most the %d since the first start", i, n["visits"], most)
		}
		if most := int64(100 + 300*fed); n["limits"] > most {
			t.Errorf("kill %d: %d limits were read, want at most the %d since the first start", i, n["limits"], most)
		}
	}
	j.caughtUp()
	j.ask("after three kills")
	j.stop(cmd)

	// Stopped in order, it has all of it on disk.
	j.change(map[int]string{7: "u7.9", 8: "u8.9"})
	j.count("visits", j.visits, 50)
	cmd = j.start()
	if n := j.filled(); n["users"] != 2 || n["visits"] != 50 || n["limits"] != 0 {
		t.Errorf("read after a stop in order: %v, want the 2 users and 50 visits that are new", n)
	}
	j.ask("after a stop in order")
	j.stop(cmd)
}
