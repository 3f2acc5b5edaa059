//go:build grid

package endtoend

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// offsetsOf are a topic's offsets by partition.
func offsetsOf(listed kadm.ListedOffsets) map[int32]int64 {
	offsets := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[o.Partition] = o.Offset })
	return offsets
}

// inTransaction writes records to a topic in a transaction of its own; abort ends it.
func inTransaction(t testing.TB, g *grid.Grid, records ...*kgo.Record) (abort func()) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.TransactionalID(grid.Name("tail")),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	abort = sync.OnceFunc(func() {
		defer client.Close()
		ctx := context.WithoutCancel(t.Context())
		if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
			t.Error(err)
			return
		}
		// It is acknowledged before its marker lies in every partition.
		grid.Eventually(t, soon, "the transaction is over in every partition", func() (bool, string) {
			admin := kadm.NewClient(client)
			ends, err := admin.ListEndOffsets(ctx, records[0].Topic)
			if err != nil {
				return false, err.Error()
			}
			stable, err := admin.ListCommittedOffsets(ctx, records[0].Topic)
			if err != nil {
				return false, err.Error()
			}
			return maps.Equal(offsetsOf(stable), offsetsOf(ends)), fmt.Sprint(offsetsOf(stable), offsetsOf(ends))
		})
	})
	t.Cleanup(abort)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return abort
}

// storeRebuiltBesideTransactions: a store is rebuilt from its changelog, at whose end lie a
// transaction that was aborted and one that is open: neither is in it, to the last checkpoint and to
// the end, under both guarantees, and nothing of the job is changed. At-least-once, whose own records
// may lie behind the open one, the end is waited for until that one is over, with one line that says so.
func storeRebuiltBesideTransactions(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	for _, guarantee := range []string{"at-least-once", "exactly-once"} {
		t.Run(guarantee, func(t *testing.T) {
			b := newGroupBy(t, g, "process")
			j := b.count
			j.set("job.logged.store.base.dir", t.TempDir())
			j.set("heddle.processing.guarantee", guarantee)
			j.set("task.window.ms", "200")
			j.set("task.commit.ms", "200")
			const n = 4000
			view := ownUsers(b.byUser, 4)
			records := make([]*kgo.Record, n)
			for i := range records {
				records[i] = view(i)
			}
			g.Produce(t, records...)
			j.run(0, "--until-caught-up")
			want := viewsPerUser(t, records)
			restore := func(to string) (p *process, dir string) {
				dir = filepath.Join(t.TempDir(), "counts")
				return j.start("state", "restore", "counts", "--all", "--json", "--dir="+dir, "--to="+to), dir
			}
			exact := func(to string, p *process, dir string, before map[int32]int64) {
				t.Helper()
				if r := p.wait(commandLimit); r.code != 0 {
					t.Fatal(r)
				}
				if after := g.EndOffsets(t, b.counts); !maps.Equal(before, after) {
					t.Errorf("the changelog ended at %v, and ends at %v after the restore", before, after)
				}
				r := try(t, "state", "dump", "counts", "--dir="+dir)
				got := totalsOf(t, r.stdout)
				t.Logf("to the %s: %s", to, difference(want, got))
				if r.code != 0 || !maps.Equal(got, want) {
					t.Errorf("rebuilt to the %s: %s: %s", to, difference(want, got), r)
				}
			}
			tail := func(user string) []*kgo.Record {
				var out []*kgo.Record
				for p := range int32(4) {
					for i := range 50 {
						out = append(out, &kgo.Record{Topic: b.counts, Partition: p, Key: fmt.Appendf(nil, "%s%d", user, i%40), Value: binary.BigEndian.AppendUint64(nil, 1_000_000)})
					}
				}
				return out
			}
			rebuilt := func(to string) {
				t.Helper()
				before := g.EndOffsets(t, b.counts)
				p, dir := restore(to)
				exact(to, p, dir, before)
			}
			inTransaction(t, g, tail("u")...)()
			rebuilt("end")
			abort := inTransaction(t, g, tail("u")...)
			rebuilt("checkpoint")
			if guarantee == "exactly-once" {
				rebuilt("end")
				return
			}
			p, dir := restore("end")
			p.awaitOutput("a transaction is open on the changelog")
			t.Logf("told after %.1f s that a transaction is open", time.Since(p.began).Seconds())
			abort()
			exact("end", p, dir, g.EndOffsets(t, b.counts))
		})
	}
}
