//go:build grid

package endtoend

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// groupBy are the two jobs of examples/groupby with topics of their own.
type groupBy struct {
	repartition, count         *job
	views, byUser, out, counts string
}

func newGroupBy(t testing.TB, g *grid.Grid, factory string) *groupBy {
	t.Helper()
	b := &groupBy{views: g.Topic(t, "views", 4), byUser: g.Topic(t, "views-by-user", 4), out: g.Topic(t, "view-counts", 4)}
	b.repartition = newJob(t, g, grid.Name("repartition"), example("groupby/repartition.properties"))
	b.count = newJob(t, g, grid.Name("count"), example("groupby/count.properties"))
	b.counts = b.count.name + "-changelog"
	t.Cleanup(func() { g.DeleteTopics(t, b.counts) })
	for _, j := range []*job{b.repartition, b.count} {
		j.set("job.factory.class", factory)
		if factory == "yarn" {
			j.set("yarn.package.path", sharedPackage(t, g, example("groupby/count.properties")))
		}
	}
	b.repartition.set("task.inputs", "kafka."+b.views)
	b.repartition.set("streams.PageViewByUser.samza.physical.name", b.byUser)
	b.repartition.set("heddle.preload.kafka.PageViewEvent", "")
	b.count.set("task.inputs", "kafka."+b.byUser)
	b.count.set("streams.PageViewCount.samza.physical.name", b.out)
	b.count.set("stores.counts.changelog", "kafka."+b.counts)
	return b
}

// pageView is the i-th view; the page makes each unlike all others.
func pageView(topic string, partitions int32) func(i int) *kgo.Record {
	return func(i int) *kgo.Record {
		return &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Value: fmt.Appendf(nil, `{"user_id":"u%d","page":"/%d"}`, i*i%37, i)}
	}
}

// viewsPerUser counts page views.
func viewsPerUser(t testing.TB, records []*kgo.Record) map[string]int64 {
	t.Helper()
	n := map[string]int64{}
	for _, r := range records {
		var v struct {
			UserID string `json:"user_id"`
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatalf("page view %q: %v", r.Value, err)
		}
		n[v.UserID]++
	}
	return n
}

// checkTotals compares the last total that was sent for each user, and the last one in the
// changelog, with the true ones, and counts the difference in messages.
func (b *groupBy) checkTotals(t testing.TB, g *grid.Grid, want map[string]int64) {
	t.Helper()
	sent := map[string]int64{}
	for user, value := range lastByKey(g.ReadAll(t, b.out)) {
		var c struct {
			UserID string `json:"user_id"`
			Count  int64  `json:"count"`
		}
		if err := json.Unmarshal(value, &c); err != nil || c.UserID != user {
			t.Fatalf("the total of %s is %q (%v)", user, value, err)
		}
		sent[user] = c.Count
	}
	logged := map[string]int64{}
	for user, value := range lastByKey(g.ReadAll(t, b.counts)) {
		if len(value) != 8 {
			t.Fatalf("the changelog has %x for %s, no long", value, user)
		}
		logged[user] = int64(binary.BigEndian.Uint64(value))
	}
	for what, got := range map[string]map[string]int64{"totals sent": sent, "totals in the changelog": logged} {
		d := difference(want, got)
		t.Logf("%s: %s", what, d)
		if !d.Exact() {
			t.Errorf("the %s are not the true ones: %v, want %v", what, got, want)
		}
	}
}

// difference counts totals against the true ones.
func difference(want, got map[string]int64) grid.Delivery {
	var d grid.Delivery
	for user, n := range want {
		d.In += int(n)
		d.Lost += int(max(0, n-got[user]))
		d.Twice += int(max(0, got[user]-n))
	}
	for user, n := range got {
		d.Out += int(n)
		if _, ok := want[user]; !ok {
			d.Unknown += int(n)
		}
	}
	return d
}

func groupByRuns(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	const n = 4000
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			b := newGroupBy(t, g, factory)
			view := pageView(b.views, 4)
			records := make([]*kgo.Record, n)
			for i := range records {
				records[i] = view(i)
			}
			g.Produce(t, records...)
			b.repartition.run(0, "--until-caught-up")
			between := g.ReadAll(t, b.byUser)
			exactly(t, grid.Tally(grid.Values(records), grid.Values(between)))
			for _, r := range between {
				if want := viewsPerUser(t, []*kgo.Record{r}); want[string(r.Key)] != 1 {
					t.Fatalf("the view %s has the key %q", r.Value, r.Key)
				}
			}
			b.count.run(0, "--until-caught-up")
			b.checkTotals(t, g, viewsPerUser(t, records))
		})
	}
}
