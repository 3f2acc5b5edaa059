//go:build grid

package endtoend

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// changelogOf writes a changelog of so many records, of a tenth as many keys: the last of key i is i.
func changelogOf(t testing.TB, g *grid.Grid, topic string, partitions int32, records int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(200_000), kgo.ProducerLinger(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	failed := make(chan error, 1)
	keys := records / 10
	for n := range records {
		i := n % keys
		value := int64(n)
		if n >= records-keys {
			value = int64(i)
		}
		client.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: int32(i) % partitions, Key: fmt.Appendf(nil, "user-%060d", i),
			Value: binary.BigEndian.AppendUint64(nil, uint64(value))}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := client.Flush(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}

// storesOf is what the API says of the stores.
type storesOf struct {
	Stores []struct {
		Name  string
		Tasks []struct {
			Task, State                              string
			RestoreDone, RestoreTotal, RestoreLeftMs int64
		}
	}
}

// restoreShown is what was seen of a restore while it lasted: how often, how often with the time left, and
// what the page, a question and a command said then.
type restoreShown struct {
	seen, left             int
	page, question, listed string
}

func (r restoreShown) whole() bool {
	return r.seen >= 4 && r.left > 0 && r.page != "" && r.question != "" && r.listed != ""
}

// watchRestore looks at a job on YARN until its store is restored from so many records.
func watchRestore(t *testing.T, g *grid.Grid, id string, records int64) (r restoreShown) {
	t.Helper()
	began := time.Now()
	proxy := g.RMWeb + "/proxy/" + id + "/"
	last := map[string]int64{}
	grid.Eventually(t, commandLimit, "the store is restored", func() (bool, string) {
		var s storesOf
		if err := ask(t, g, id, "stores", &s); err != nil {
			return false, err.Error()
		}
		done := 0
		for _, store := range s.Stores {
			for _, task := range store.Tasks {
				if task.State == "running" {
					done++
				}
				if task.RestoreTotal == 0 || task.RestoreDone == task.RestoreTotal {
					continue
				}
				if task.RestoreDone < last[task.Task] || task.RestoreDone > task.RestoreTotal || task.RestoreTotal != records/4 {
					t.Errorf("%+v, after %d", task, last[task.Task])
				}
				last[task.Task] = task.RestoreDone
				if r.seen++; task.RestoreDone > 0 && task.RestoreLeftMs > 0 {
					r.left++
					if r.page == "" {
						_, _, body, err := get(t, proxy+"state", "", true)
						if err == nil && strings.Contains(string(body), "<progress") && strings.Contains(string(body), " left") {
							r.page = string(body)
						}
						code, _, body, _ := get(t, proxy+"api/v1/state/counts?key=x&task="+strings.ReplaceAll(task.Task, " ", "%20"), "", true)
						if code == http.StatusServiceUnavailable && strings.Contains(string(body), "restor") {
							r.question = string(body)
						}
					}
				}
			}
		}
		if r.left > 0 && r.listed == "" {
			if l := try(t, "state", "list", "--application="+id); l.code == 0 && strings.Contains(l.stdout, fmt.Sprint(" ", records)) {
				r.listed = l.stdout
			}
		}
		return done == 4, fmt.Sprintf("%+v", s)
	})
	t.Logf("%d records were restored %v after the submit; it was seen %d times while it lasted, %d times with the time left",
		records, time.Since(began).Round(100*time.Millisecond), r.seen, r.left)
	return r
}

// TestRestoreIsShown: while a job on YARN restores a store, for some seconds, the API, the page and the
// commands say through YARN's proxy how far it is and how long the rest takes; questions are answered
// with that; then each total is there. A machine that restores faster than can be seen has more to restore.
func TestRestoreIsShown(t *testing.T) {
	g := grid.Use(t)
	b := newGroupBy(t, g, "yarn")
	j := b.count
	const tries = 3
	j.set("task.transactional.state.restore.enabled", "false") // to the changelog's end: no checkpoint knows it
	j.run(0, "validate")
	if err := g.CreateTopic(t, b.counts, 4, "cleanup.policy=compact", "min.compaction.lag.ms=14400000"); err != nil {
		t.Fatal(err)
	}
	var (
		id    string
		shown restoreShown
	)
	more, records := 2_000_000, 0
	for n := 1; ; n++ {
		changelogOf(t, g, b.counts, 4, more)
		records += more
		id = j.submit("--detach")
		if shown = watchRestore(t, g, id, int64(records)); shown.whole() || n == tries {
			break
		}
		j.kill(id)
		more *= 2
	}
	if !shown.whole() {
		t.Errorf("%+v", shown)
	}
	t.Logf("a question meanwhile: %s", strings.TrimSpace(shown.question))
	keys := more / 10
	log := j.run(0, "logs").stdout
	if n, sources, _ := restores(log); n != records || sources["changelog"] != 4 {
		t.Errorf("the log tells of %d records from %v", n, sources)
	}
	var count struct{ Count int }
	if err := ask(t, g, id, "state/counts?count=true", &count); err != nil || count.Count != keys {
		// A count of many may take several pages.
		r := try(t, "state", "count", "counts", "--application="+id, "--json")
		if !strings.Contains(r.stdout, fmt.Sprintf(`"count":%d,`, keys)) {
			t.Errorf("%+v, %v; %s", count, err, r)
		}
	}
	got := totalsOf(t, try(t, "state", "range", "counts", "--application="+id, "--json", "--limit=25000").stdout)
	if len(got) != 25_000 {
		t.Errorf("%d entries", len(got))
	}
	for key, n := range got {
		if key != fmt.Sprintf("user-%060d", n) {
			t.Fatalf("%s is %d", key, n)
		}
	}
	j.kill(id)
}
