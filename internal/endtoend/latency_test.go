//go:build grid

package endtoend

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// latencyJob is a job of examples/latency with topics of its own.
type latencyJob struct {
	*job
	in, out string
}

// newLatency is the modern file with streams of its own and no sample input.
func newLatency(t testing.TB, g *grid.Grid, factory string, partitions int32) *latencyJob {
	t.Helper()
	l := &latencyJob{job: newJob(t, g, grid.Name("latency"), example("latency/latency.properties"))}
	l.in, l.out = g.Topic(t, "clicks", partitions), g.Topic(t, "pageviews", 4)
	l.set("job.factory.class", factory)
	l.set("task.inputs", "kafka."+l.in)
	l.set("streams.pageviews.samza.physical.name", l.out)
	l.set("heddle.preload.kafka.clickevent", "")
	if factory == "yarn" {
		l.set("yarn.package.path", sharedPackage(t, g, example("latency/latency.properties")))
	}
	return l
}

// clickOf is a line of input, in the old spelling of its fields for every other one.
func clickOf(user string, i, latency int) []byte {
	if i%2 == 0 {
		return fmt.Appendf(nil, `{"timestamp":"2015-09-01T01:35:19Z","url":"/p%d","user":%q,"latencyMs":%d}`, i%7, user, latency)
	}
	return fmt.Appendf(nil, `{"timestamp":"2015-09-01T01:35:19Z","url":"/p%d","name":%q,"latancyMs":%d}`, i%7, user, latency)
}

// sums are the known sums of an input.
type sums struct{ clicks, latency map[string]int64 }

// knownClicks are n clicks of some users, in turn over the topic's partitions, and their sums.
func knownClicks(topic string, partitions int32, n int) ([]*kgo.Record, sums) {
	s := sums{map[string]int64{}, map[string]int64{}}
	records := make([]*kgo.Record, n)
	for i := range records {
		user, latency := fmt.Sprintf("user-%d", i*i%23), i*37%501
		s.clicks[user]++
		s.latency[user] += int64(latency)
		records[i] = &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: clickOf(user, i, latency)}
	}
	return records, s
}

// window is a record of the output: a user's, or that of a whole window.
type window struct {
	User             string   `json:"user"`
	TotalLatencyMs   int64    `json:"totalLatencyMs"`
	Clicks           int64    `json:"clicks"`
	AverageLatencyMs *float64 `json:"averageLatencyMs"`
	TotalMessages    *int64   `json:"totalMessages"`
}

// windows decodes the output and checks what holds for each record by itself.
func windows(t testing.TB, records []*kgo.Record) (users []window, total int64) {
	t.Helper()
	for _, r := range records {
		var w window
		if err := json.Unmarshal(r.Value, &w); err != nil {
			t.Fatalf("output %q: %v", r.Value, err)
		}
		if w.TotalMessages != nil {
			if r.Key != nil || string(r.Value) != fmt.Sprintf(`{"totalMessages":%d}`, *w.TotalMessages) {
				t.Errorf("a window's total has the key %q and the value %s", r.Key, r.Value)
			}
			total += *w.TotalMessages
			continue
		}
		if string(r.Key) != w.User || w.User == "" || w.AverageLatencyMs == nil || w.Clicks < 1 ||
			math.Float64bits(*w.AverageLatencyMs) != math.Float64bits(float64(w.TotalLatencyMs)/float64(w.Clicks)) {
			t.Errorf("a user's record is not consistent: key %q, value %s", r.Key, r.Value)
		}
		users = append(users, w)
	}
	return users, total
}

// compare counts what the output says against what went in, as messages.
func compare(t testing.TB, want sums, records []*kgo.Record) grid.Delivery {
	t.Helper()
	users, total := windows(t, records)
	got := sums{map[string]int64{}, map[string]int64{}}
	for _, w := range users {
		got.clicks[w.User] += w.Clicks
		got.latency[w.User] += w.TotalLatencyMs
	}
	var d grid.Delivery
	for _, user := range slices.Sorted(maps.Keys(want.clicks)) {
		n, m := want.clicks[user], got.clicks[user]
		d.In, d.Out = d.In+int(n), d.Out+int(m)
		d.Lost += int(max(0, n-m))
		d.Twice += int(max(0, m-n))
		if n == m && want.latency[user] != got.latency[user] {
			t.Errorf("%s: %d ms in all, want %d", user, got.latency[user], want.latency[user])
		}
		delete(got.clicks, user)
	}
	for _, n := range got.clicks {
		d.Unknown += int(n)
	}
	if total != int64(d.Out+d.Unknown) {
		t.Errorf("the windows' totals say %d messages, the users' records %d", total, d.Out+d.Unknown)
	}
	return d
}

// exactly fails the test unless every message came once.
func exactly(t testing.TB, d grid.Delivery) {
	t.Helper()
	t.Log(d)
	if !d.Exact() {
		t.Errorf("not exact: %s", d)
	}
}

func latencyRuns(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	const partitions, n = 4, 4000
	for _, factory := range factories {
		for _, serde := range []string{"json", "string"} {
			t.Run(factory+"/"+serde, func(t *testing.T) {
				l := newLatency(t, g, factory, partitions)
				l.set("systems.kafka.samza.msg.serde", serde)
				records, want := knownClicks(l.in, partitions, n)
				g.Produce(t, records...)
				l.run(0, "--until-caught-up")
				exactly(t, compare(t, want, g.ReadAll(t, l.out)))
			})
		}
	}
}

// The old file runs as it is, but for the address and the package.
func TestLatencyOldFile(t *testing.T) {
	g := grid.Use(t)
	fixed := func(t *testing.T, topic string) {
		g.DeleteTopics(t, topic)
		grid.Eventually(t, soon, "topic "+topic+" is gone and made again", func() (bool, string) {
			err := g.CreateTopic(t, topic, 4)
			return err == nil, fmt.Sprint(err)
		})
		t.Cleanup(func() { g.DeleteTopics(t, topic) })
	}
	for _, factory := range []string{"thread", "process", "yarn"} {
		t.Run(factory, func(t *testing.T) {
			fixed(t, "clickevent")
			fixed(t, "pageviews")
			j := &job{t: t, g: g, name: "CountLatancy", files: []string{example("latency/samza-0.13.properties")}}
			j.set("systems.kafka.producer.bootstrap.servers", g.KafkaAddress)
			class := map[string]string{"process": "org.apache.samza.job.local.ProcessJobFactory", "yarn": "org.apache.samza.job.yarn.YarnJobFactory"}[factory]
			if class != "" {
				j.set("job.factory.class", class)
			}
			if factory == "yarn" {
				j.set("yarn.package.path", "file://"+sharedPackage(t, g, j.files[0]))
			}
			t.Cleanup(func() {
				for _, a := range g.Applications(t, "SUBMITTED", "ACCEPTED", "RUNNING") {
					if a.Name == "CountLatancy_1" {
						g.KillApplication(t, a.ID)
					}
				}
				g.DeleteTopics(t, "__samza_coordinator_CountLatancy_1", "__samza_checkpoint_ver_1_for_CountLatancy_1")
			})
			records, want := knownClicks("clickevent", 4, 2000)
			// It reads what comes after its start (Samza's default), so it is started first.
			p := j.start()
			switch factory {
			case "yarn":
				if r := p.wait(commandLimit); r.code != 0 {
					t.Fatal(r)
				}
				id := lastLine(p.result().stdout)
				g.Produce(t, records...)
				j.awaitRead(id, "clickevent")
				j.kill(id)
			default:
				p.awaitOutput("running")
				g.Produce(t, records...)
				awaitLocal(t, p, len(records))
				p.signal(syscall.SIGINT) // Ctrl-C
				if r := p.wait(commandLimit); r.code != 0 {
					t.Fatalf("Ctrl-C: %s", r)
				}
			}
			// The window is a minute long: what came is the last window, sent at the stop.
			exactly(t, compare(t, want, g.ReadAll(t, "pageviews")))
		})
	}
}

// awaitLocal waits until a local run has read n messages in all, as its page says, which has the same API
// as on YARN, or else its progress.
func awaitLocal(t testing.TB, p *process, n int) {
	t.Helper()
	page := regexp.MustCompile(`(?:its page is|page:) (http\S+)`)
	in := regexp.MustCompile(fmt.Sprintf(`· in %s \(`, thousands(n)))
	grid.Eventually(t, soon, fmt.Sprintf("%d messages are read", n), func() (bool, string) {
		if at := page.FindStringSubmatch(p.stdout.String() + p.stderr.String()); at != nil {
			code, _, body, err := get(t, at[1]+"api/v1/status", "", false)
			var s appStatus
			if err != nil || code != 200 || json.Unmarshal(body, &s) != nil {
				return false, fmt.Sprint(code, err, string(body))
			}
			return s.Totals.Processed >= int64(n), fmt.Sprintf("%+v", s)
		}
		return in.MatchString(p.stdout.String()), tail(p.stdout.String())
	})
}

// thousands writes 2000 as a pattern for "2000" and "2,000".
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,?%03d", n/1000, n%1000)
}

// distinct is a live input in which every message has a user of its own, so that the output tells of
// each message how often it came.
type distinct struct {
	t    testing.TB
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	sent []*kgo.Record
}

// produceLive appends messages, in turn over the partitions, batch by batch, until finish.
func produceLive(t testing.TB, g *grid.Grid, record func(i int) *kgo.Record, batch int, every time.Duration) *distinct {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	d := &distinct{t: t, stop: make(chan struct{})}
	ctx := t.Context()
	d.done.Go(func() {
		defer client.Close()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; {
			var records []*kgo.Record
			for range batch {
				records = append(records, record(n))
				n++
			}
			if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
				if ctx.Err() == nil {
					t.Errorf("live producer: %v", err)
				}
				return
			}
			d.mu.Lock()
			d.sent = append(d.sent, records...)
			d.mu.Unlock()
			select {
			case <-d.stop:
				return
			case <-tick.C:
			}
		}
	})
	return d
}

// count is how many messages were acknowledged so far.
func (d *distinct) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sent)
}

// awaitMore waits until more than n further messages were acknowledged.
func (d *distinct) awaitMore(n int) {
	d.t.Helper()
	before := d.count()
	grid.Eventually(d.t, soon, "more input", func() (bool, string) { return d.count() > before+n, fmt.Sprint(d.count()) })
}

// finish ends the input and gives all of it, with the offsets that Kafka gave.
func (d *distinct) finish() []*kgo.Record {
	close(d.stop)
	d.done.Wait()
	return d.sent
}

// distinctClick is a click of a user that no other message has.
func distinctClick(topic string, partitions int32) func(i int) *kgo.Record {
	return func(i int) *kgo.Record {
		user := fmt.Sprintf("m-%07d", i)
		return &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Key: []byte(user), Value: clickOf(user, i, 1)}
	}
}

// deliveryOf counts message by message; times says how often each came.
func deliveryOf(t testing.TB, sent, out []*kgo.Record) (d grid.Delivery, times map[string]int) {
	t.Helper()
	want := make([]string, len(sent))
	for i, r := range sent {
		want[i] = string(r.Key)
	}
	users, _ := windows(t, out)
	var got []string
	times = map[string]int{}
	for _, w := range users {
		times[w.User] += int(w.Clicks)
		for range w.Clicks {
			got = append(got, w.User)
		}
	}
	d = grid.Tally(want, got)
	if d.Lost > 0 {
		t.Errorf("lost, among others: %v", grid.Missing(want, got, 10))
	}
	return d, times
}
