//go:build grid

package endtoend

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// totalsOnce counts, for each user, the totals that do not exceed the one before: the task sends
// only what has grown, so such a total was sent by a run whose commit did not count.
func totalsOnce(t testing.TB, records []*kgo.Record) (twice int) {
	t.Helper()
	last := map[string]int64{}
	for _, r := range records {
		var c struct {
			UserID string `json:"user_id"`
			Count  int64  `json:"count"`
		}
		if err := json.Unmarshal(r.Value, &c); err != nil {
			t.Fatalf("total %q: %v", r.Value, err)
		}
		if c.Count <= last[c.UserID] {
			twice++
		}
		last[c.UserID] = c.Count
	}
	return twice
}

// caughtUp checks that a job that has processed all of its input has no lag, although its input
// ends in a transaction's marker, where no message lies.
func (j *job) caughtUp() {
	j.t.Helper()
	shown := j.run(0, "checkpoint", "show", "--json")
	n := 0
	for line := range strings.Lines(shown.stdout) {
		var p struct{ Lag *int64 }
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Lag == nil || *p.Lag != 0 {
			j.t.Errorf("the lag is not 0 (%v): %s", err, line)
		}
		n++
	}
	if n == 0 {
		j.t.Errorf("no checkpoints: %s", shown)
	}
}

// Two jobs behind each other, exactly-once, whose containers are killed by SIGKILL under load: what
// lies between them is the input, each view once, and the totals are those of the input alone, each
// sent once.
func TestKilledContainersWriteEachOnce(t *testing.T) {
	g := grid.Use(t)
	b := newGroupBy(t, g, "yarn")
	for _, j := range []*job{b.repartition, b.count} {
		j.set("heddle.processing.guarantee", "exactly-once")
		j.set("task.commit.ms", "300")
	}
	b.count.set("job.container.count", "2")
	b.count.set("task.window.ms", "200")
	live := produceLive(t, g, pageView(b.views, 4), 40, 20*time.Millisecond)
	submit := b.repartition.start()
	second := b.count.submit()
	first := b.repartition.submitted(submit)
	for i := range 2 {
		live.awaitMore(1000)
		killContainer(t, g, b.count, second, i)
		killContainer(t, g, b.repartition, first, 0)
	}
	sent := live.finish()
	b.repartition.awaitRead(first, b.views)
	b.repartition.kill(first)
	b.count.awaitRead(second, b.byUser)
	b.count.kill(second)
	b.count.caughtUp()
	d := grid.Tally(grid.Values(sent), grid.Values(g.ReadAll(t, b.byUser)))
	t.Logf("between the jobs, 2 kills of each: %s", d)
	exactly(t, d)
	b.checkTotals(t, g, viewsPerUser(t, sent))
	totals := g.ReadAll(t, b.out)
	twice := totalsOnce(t, totals)
	t.Logf("%d totals: twice %d", len(totals), twice)
	if twice > 0 {
		t.Errorf("%d of %d totals came twice", twice, len(totals))
	}
}
