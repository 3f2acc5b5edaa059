//go:build grid

package container

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"heddle/internal/grid"
	"heddle/system"
)

// A job with all that a store may have, exactly-once, is killed within commits,
// and once loses its disk, too: what it counted comes back from a snapshot and
// the changelog's rest, entries that have ended stay away, side inputs are read
// as they were committed, and the access log, which is written in the task's
// transactions, tells of each call that counts, once.
func TestGridExactlyOnceWithAllOfAStore(t *testing.T) {
	t.Parallel()
	g := grid.Use(t, grid.Kafka)
	disk := t.TempDir()
	j := newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "task.class", "ledger",
		"stores.counts.factory", "pebble", "stores.counts.rocksdb.ttl.ms", "3600000", "job.logged.store.base.dir", disk,
		"stores.counts.accesslog.enabled", "true", "stores.counts.accesslog.sampling.ratio", "100",
		"heddle.snapshot.uri", "file://"+t.TempDir(), "heddle.snapshot.interval.ms", "500",
		"stores.brief.factory", "memory", "stores.brief.rocksdb.ttl.ms", "1500",
		"stores.brief.key.serde", "string", "stores.brief.msg.serde", "long",
		"stores.users.factory", "pebble", "stores.users.side.inputs", "kafka.users",
		"stores.users.key.serde", "string", "stores.users.msg.serde", "string")
	j.create("in", 2)
	j.create("out", 2)
	j.create("totals", 1)
	j.create("probes", 1)
	j.create("users", 2)
	users(j)
	f := newFleet(t, j)
	for i, step := range []Step{StepStoresFlushed, StepCheckpointSent, StepCheckpointed} {
		_, from := f.said.Lines(0)
		f.start("0", fmt.Sprint("exec_", i+1))
		f.feed(0, 200)
		f.feed(1, 200)
		if step == StepCheckpointSent { // its disk will be lost
			grid.Eventually(t, time.Minute, "a snapshot of each task's store", func() (bool, string) {
				f.feed(0, 1)
				f.feed(1, 1)
				n, _ := f.said.Lines(from, "snapshot taken")
				return n >= 4, fmt.Sprint(n)
			})
		}
		f.kill("0", step, 2, 0, 1)
		if step == StepCheckpointSent {
			if err := os.RemoveAll(disk); err != nil {
				t.Fatal(err)
			}
		}
		if n, _ := f.said.Lines(from, "store restored", "store=counts", "source=snapshot"); step == StepCheckpointed && n != 2 {
			t.Errorf("%d of 2 stores came from a snapshot, after the disk was lost", n)
		}
	}
	f.start("0", "exec_4")
	f.caughtUp("exec_4")
	probes := 0
	probe := func() string {
		j.produce("in", system.Record{At: 1, Value: []byte("probe")})
		f.fed[0]++
		probes++
		f.caughtUp("exec_4")
		got := "nothing"
		for _, m := range j.read("probes") {
			got = string(m.ValueBytes)
		}
		return got
	}
	grid.Eventually(t, time.Minute, "the end of all entries of brief", func() (bool, string) { n := probe(); return n == "0", n })
	f.end("0", "exec_4")
	f.fed[0] -= probes
	f.exact()
	if calls, want := len(j.read("counts-access-log")), 2*(f.fed[0]+f.fed[1]); calls != want {
		t.Errorf("the access log tells of %d calls, want %d: a get and a put for each message", calls, want)
	}
}

// users writes the side input: all users with their names, and other names for
// them that were never committed.
func users(j *embeddedJob) {
	j.t.Helper()
	sys := j.systems["kafka"].(system.Transactional) //nolint:forcetypeassert // a test
	ok := func(err error) {
		j.t.Helper()
		if err != nil {
			j.t.Fatal(err)
		}
	}
	ctx := j.t.Context()
	write := func(name string, end func(system.TransactionalOutbox, context.Context) error) {
		o, err := sys.TakeOver(ctx, system.TransactionOptions{ID: j.settings["job.name"] + "-users", Name: "users", Timeout: time.Minute})
		ok(err)
		for p := range int32(2) {
			for i := range 10 {
				ok(o.Send(system.Record{Stream: j.topic("users"), At: p + 1, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, name, i)}))
			}
		}
		ok(o.Flush(ctx))
		ok(end(o, ctx))
	}
	write("user %d", system.TransactionalOutbox.Commit)
	write("nobody %d", system.TransactionalOutbox.Abort)
	_, err := sys.TakeOver(ctx, system.TransactionOptions{ID: j.settings["job.name"] + "-users", Name: "users", Timeout: time.Minute})
	ok(err)
}
