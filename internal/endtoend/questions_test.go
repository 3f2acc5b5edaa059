//go:build grid

package endtoend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// totalsOf reads what state dump and state range print with --json.
func totalsOf(t testing.TB, lines string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for s := bufio.NewScanner(strings.NewReader(lines)); s.Scan(); {
		var e struct {
			Task, Key string
			Value     int64
		}
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		if _, twice := out[e.Key]; twice {
			t.Errorf("%s comes twice", e.Key)
		}
		out[e.Key] = e.Value
	}
	return out
}

// stateOfARunningJob asks a running job for its totals, and rebuilds them from
// the changelog when it has ended: all must be those of the input.
func stateOfARunningJob(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	const n = 2000
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			b := newGroupBy(t, g, factory)
			j := b.count
			want := map[string]int64{}
			records := make([]*kgo.Record, n)
			for i := range records {
				user := fmt.Sprintf("u%d", i%37)
				want[user]++
				records[i] = &kgo.Record{Topic: b.byUser, Key: []byte(user), Value: fmt.Appendf(nil, `{"user_id":%q,"page":"/%d"}`, user, i)}
			}
			g.Produce(t, records...)
			var end func()
			if factory == "yarn" {
				application := j.submit()
				end = func() { j.kill(application) }
			} else {
				p := j.start("--quiet")
				end = func() {
					p.signal(syscall.SIGINT)
					if r := p.wait(commandLimit); r.code != 0 {
						t.Fatal(r)
					}
				}
			}
			grid.Eventually(t, soon, "the running job's totals are those of the input", func() (bool, string) {
				r := try(t, append([]string{"state", "dump", "counts"}, j.config()...)...)
				if r.code != 0 {
					return false, r.String()
				}
				got := totalsOf(t, r.stdout)
				return maps.Equal(got, want), difference(want, got).String()
			})
			if got := totalsOf(t, j.run(0, "state", "get", "counts", "u5", "--live", "--json").stdout); len(got) != 1 || got["u5"] != want["u5"] {
				t.Errorf("get u5: %v, want %d", got, want["u5"])
			}
			if got := totalsOf(t, j.run(0, "state", "range", "counts", "--prefix=u3", "--limit=4", "--json").stdout); len(got) != 4 {
				t.Errorf("range: %v", got)
			}
			var count struct{ Count int }
			if r := j.run(0, "state", "count", "counts", "--json"); json.Unmarshal([]byte(r.stdout), &count) != nil || count.Count != len(want) {
				t.Errorf("count: %s", r)
			}
			if r := j.run(2, "state", "get", "cunts", "u5"); !strings.Contains(r.firstError(), "there are counts") {
				t.Errorf("%s", r)
			}
			if r := j.run(2, "state", "range", "counts", "--task=nobody"); !strings.Contains(r.firstError(), "Partition 0") {
				t.Errorf("%s", r)
			}
			end()
			if r := j.run(3, "state", "get", "counts", "u5"); !strings.Contains(r.firstError(), "state restore") {
				t.Errorf("%s", r)
			}
			dir := filepath.Join(t.TempDir(), "counts")
			before := g.EndOffsets(t, b.counts)
			j.run(0, "state", "restore", "counts", "--all", "--dir="+dir, "--json")
			if after := g.EndOffsets(t, b.counts); !maps.Equal(before, after) {
				t.Errorf("the changelog ended at %v, and ends at %v after the restore", before, after)
			}
			r := try(t, "state", "dump", "counts", "--dir="+dir)
			if got := totalsOf(t, r.stdout); r.code != 0 || !maps.Equal(got, want) {
				t.Errorf("restored: %s: %s", difference(want, got), r)
			}
		})
	}
}
