//go:build grid

package endtoend

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/internal/grid"
)

// inTransaction writes records in a transaction of its own, and ends it, unless it is to stay open
// until the test's end.
func inTransaction(t testing.TB, g *grid.Grid, open bool, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.TransactionalID(grid.Name("tail")),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	abort := func(ctx context.Context) {
		if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
			t.Error(err)
		}
		client.Close()
	}
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if !open {
		abort(t.Context())
		return
	}
	t.Cleanup(func() { abort(context.WithoutCancel(t.Context())) })
}

// TestStoreRebuiltBesideTransactions: a store is rebuilt from its changelog, at whose end lie a
// transaction that was aborted and one that is open: neither is in it, to the last checkpoint and to
// the end, under both guarantees, and nothing of the job is changed.
func TestStoreRebuiltBesideTransactions(t *testing.T) {
	g := grid.Use(t)
	for _, guarantee := range []string{"at-least-once", "exactly-once"} {
		t.Run(guarantee, func(t *testing.T) {
			b := newGroupBy(t, g, "process")
			t.Setenv("LOGGED_STORE_BASE_DIR", t.TempDir())
			j := b.count
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
			rebuilt := func(flags ...string) {
				t.Helper()
				dir := filepath.Join(t.TempDir(), "counts")
				before := g.EndOffsets(t, b.counts)
				j.run(0, append([]string{"state", "restore", "counts", "--all", "--json", "--dir=" + dir}, flags...)...)
				if after := g.EndOffsets(t, b.counts); !maps.Equal(before, after) {
					t.Errorf("the changelog ended at %v, and ends at %v after the restore", before, after)
				}
				r := try(t, "state", "dump", "counts", "--dir="+dir)
				got := totalsOf(t, r.stdout)
				t.Logf("%v: %s", flags, difference(want, got))
				if r.code != 0 || !maps.Equal(got, want) {
					t.Errorf("rebuilt %v: %s: %s", flags, difference(want, got), r)
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
			inTransaction(t, g, false, tail("u")...)
			rebuilt("--to=end")
			inTransaction(t, g, true, tail("u")...)
			rebuilt("--to=checkpoint")
			rebuilt("--to=end")
		})
	}
}
