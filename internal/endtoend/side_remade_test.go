//go:build grid

package endtoend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// remake deletes a topic and makes it anew, empty.
func remake(t testing.TB, g *grid.Grid, topic string, partitions int32) {
	t.Helper()
	g.DeleteTopics(t, topic)
	grid.Eventually(t, soon, "the topic is made anew", func() (bool, string) {
		err := g.CreateTopic(t, topic, partitions, "cleanup.policy=compact")
		return err == nil, fmt.Sprint(err)
	})
}

// awaitRestarts waits until all containers run, each as another process than before.
func (j *job) awaitRestarts(application string, before appStatus) appStatus {
	j.t.Helper()
	var old []string
	for _, c := range before.ContainerList {
		old = append(old, c.ExecutionID)
	}
	return j.awaitReplaced(soon, application, old...)
}

// TestSideInputsMadeAnewOnYARN: the topic of a side input is deleted and made anew, with other content,
// while an exactly-once job on YARN runs in two containers: the one of a store of each task, then the one
// of a shared store, and then the first once more, under load. Each container ends with code 1, is started
// again, and has what the new topic has and nothing of the old one. Every order comes out once, with what
// the tables hold at its time.
func TestSideInputsMadeAnewOnYARN(t *testing.T) {
	soak(t)
	g := grid.Use(t)
	e := newEnrich(t, g)
	e.set("job.container.count", "2")
	e.set("heddle.processing.guarantee", "exactly-once")
	e.set("task.commit.ms", "300")
	names, rates := map[int]string{}, map[string]float64{"AAA": 0.5, "BBB": 2}
	tables := []*kgo.Record{e.rate(0, "AAA", rates["AAA"]), e.rate(1, "BBB", rates["BBB"])}
	for i := range enrichUsers {
		names[i] = fmt.Sprint("first ", i)
		tables = append(tables, e.user(i, names[i]))
	}
	g.Produce(t, tables...)
	var want []string
	sent := 0
	const some = 1000
	orders := func(what string) {
		t.Helper()
		var now []*kgo.Record
		for range some {
			now = append(now, e.order(sent))
			want = append(want, wanted(sent, names, rates))
			sent++
		}
		g.Produce(t, now...)
		t.Logf("%d orders %s", some, what)
	}
	id := e.submit()
	e.awaitFilled(id, 2)
	orders("with the first tables")
	e.awaitRead(id, e.orders)
	before := e.awaitRunning(id)

	// Half of the users, with other names; fewer messages than there were.
	began := time.Now()
	remake(t, g, e.users, 4)
	clear(names)
	tables = nil
	for i := 0; i < enrichUsers; i += 2 {
		names[i] = fmt.Sprint("second ", i)
		tables = append(tables, e.user(i, names[i]))
	}
	g.Produce(t, tables...)
	before = e.awaitRestarts(id, before)
	e.awaitFilled(id, 2)
	t.Logf("users made anew: filled again after %.1f s, failures %d", time.Since(began).Seconds(), before.Containers.Failures)
	orders("with the second users")
	e.awaitRead(id, e.orders)

	// The rates, with more messages than there were; one currency is no more.
	began = time.Now()
	remake(t, g, e.rates, 2)
	tables = nil
	for i := range 50 {
		tables = append(tables, e.rate(0, "AAA", float64(i)))
	}
	rates = map[string]float64{"AAA": 49}
	g.Produce(t, tables...)
	before = e.awaitRestarts(id, before)
	e.awaitFilled(id, 2)
	t.Logf("rates made anew: filled again after %.1f s, failures %d", time.Since(began).Seconds(), before.Containers.Failures)
	from := sent
	orders("with the second rates")
	for i := from; i < sent; i++ {
		if currencyOf(i) == "BBB" && names[i%enrichUsers] != "" {
			want[i] = fmt.Sprintf(`{"order":"o%d","user":"u%d","problem":"no rate for BBB"}`, i, i%enrichUsers)
		}
	}
	e.awaitRead(id, e.orders)
	got := grid.Values(g.ReadAll(t, e.out))
	exactly(t, grid.Tally(want, got))

	// Under load: what an order gets depends on when it is processed, but it comes once, and with nothing
	// but what was or is.
	rates["BBB"] = 2
	g.Produce(t, e.rate(1, "BBB", 2))
	e.awaitFilled(id, 2)
	first := sent
	live := produceLive(t, g, func(i int) *kgo.Record { return e.order(first + i) }, 20, 20*time.Millisecond)
	live.awaitMore(500)
	remake(t, g, e.users, 4)
	second := names
	names = map[int]string{}
	tables = nil
	for i := range enrichUsers {
		names[i] = fmt.Sprint("third ", i)
		tables = append(tables, e.user(i, names[i]))
	}
	g.Produce(t, tables...)
	before = e.awaitRestarts(id, before)
	e.awaitFilled(id, 2)
	live.awaitMore(500)
	sent += len(live.finish())
	last := sent
	e.awaitRead(id, e.orders)
	orders("with the third users")
	e.awaitRead(id, e.orders)
	var ends struct {
		Executions []struct{ ExecutionContainerID, Exit string }
	}
	if err := ask(t, g, id, "executions", &ends); err != nil {
		t.Fatal(err)
	}
	codes := 0
	for _, x := range ends.Executions {
		if strings.HasPrefix(x.Exit, "exit code 1") {
			codes++
		}
	}
	t.Logf("%d processes, %d of them ended with code 1; %d failures are counted", len(ends.Executions), codes, before.Containers.Failures)
	if codes != 6 || len(ends.Executions) != 8 {
		t.Errorf("three times two processes have to end with code 1: %+v", ends)
	}
	logs := try(t, "logs", id).stdout
	if n := strings.Count(logs, "the stream was deleted and made anew"); n < 6 {
		t.Errorf("the logs say why %d times, want it of each of the 6:\n%s", n, tail(logs))
	}
	e.kill(id)
	all := g.ReadAll(t, e.out)
	outcomes := map[string]int{}
	var in, out, final []string
	for i := range sent {
		in = append(in, fmt.Sprintf("o%d", i))
	}
	for _, r := range all {
		var o struct{ Order string }
		if err := json.Unmarshal(r.Value, &o); err != nil {
			t.Fatalf("%q: %v", r.Value, err)
		}
		out = append(out, o.Order)
		var i int
		if _, err := fmt.Sscanf(o.Order, "o%d", &i); err != nil {
			t.Fatal(err)
		}
		switch v := string(r.Value); {
		case i < first || i >= last:
			final = append(final, v)
		case v == wanted(i, second, rates):
			outcomes["the second users"]++
		case v == wanted(i, names, rates):
			outcomes["the third users"]++
		case v == wanted(i, nil, rates):
			outcomes["no user"]++ // the store was filled while the new topic was
		default:
			t.Errorf("order %d came out as %s", i, v)
		}
	}
	t.Logf("of the %d orders while the users were made anew: %v", last-first, outcomes)
	t.Log("all orders:")
	exactly(t, grid.Tally(in, out))
	t.Log("those before and after that, with what they got:")
	exactly(t, grid.Tally(want, final))
}
