//go:build grid

package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/internal/grid"
	"heddle/system"
	"heddle/system/systemtest"
	"heddle/task"
)

func gridSystem(t testing.TB, g *grid.Grid, settings map[string]string) *System {
	t.Helper()
	m := map[string]string{"systems.kafka.producer.bootstrap.servers": g.KafkaAddress}
	for k, v := range settings {
		m["systems.kafka."+k] = v
	}
	s, err := New("kafka", config.New(m), Options{JobName: t.Name(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestGridRoundTrip counts what goes through a real Kafka, with each codec.
func TestGridRoundTrip(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			s := gridSystem(t, g, map[string]string{"producer.compression.type": codec})
			topic := g.Topic(t, "round-trip", 4)
			o := outboxOf(t, s)
			const n = 5000
			for i := range n {
				if err := o.Send(system.Record{Stream: topic, PartitionKey: fmt.Sprint("user ", i%100), Value: fmt.Append(nil, i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := o.Flush(testContext(t)); err != nil {
				t.Fatal(err)
			}
			a, _ := s.Admin()
			offsets, err := a.Offsets(testContext(t), topic)
			if err != nil {
				t.Fatal(err)
			}
			ends := map[string]int64{}
			var sum int64
			for p, e := range offsets {
				if acked, ok := o.Acked(topic, int32(p)); ok && acked+1 != e.Next || !ok && e.Next > 0 {
					t.Errorf("partition %d ends at %d, acknowledged is %d, %v", p, e.Next, acked, ok)
				}
				if e.Next > 0 {
					ends[fmt.Sprint(topic, "/", p)] = e.Next
				}
				sum += e.Next
			}
			if sum != n {
				t.Errorf("%d records are stored, want %d", sum, n)
			}
			got := drain(t, consumerAt(t, s, topic, 0, 0, 0, 0), ends)
			for name, ms := range got {
				for i, m := range ms {
					if m.Offset != int64(i) {
						t.Fatalf("%s: message %d has offset %d", name, i, m.Offset)
					}
				}
				sum -= int64(len(ms))
			}
			if sum != 0 {
				t.Errorf("%d messages are missing", sum)
			}
		})
	}
}

func TestGridAdmin(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	s := gridSystem(t, g, nil)
	a, _ := s.Admin()
	ctx := testContext(t)
	name := grid.Name("admin")
	t.Cleanup(func() { g.DeleteTopics(t, name) })
	spec := system.StreamSpec{Name: name, Partitions: 3, ReplicationFactor: 1, Settings: map[string]string{"cleanup.policy": "compact", "segment.bytes": "26214400"}}
	rehearsed := a.(system.Rehearser)
	wrong := spec
	wrong.Settings = map[string]string{"cleanup.polizy": "compact"}
	if err := rehearsed.Rehearse(ctx, wrong); err == nil || !strings.Contains(err.Error(), "cleanup.polizy") {
		t.Errorf("Rehearse with a setting that Kafka does not know: %v", err)
	}
	if err := rehearsed.Rehearse(ctx, spec); err != nil {
		t.Errorf("Rehearse: %v", err)
	}
	if infos, err := a.Describe(ctx, name); err != nil || len(infos) != 0 {
		t.Errorf("after the rehearsals: %v, %v", infos, err)
	}
	if err := a.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func(context.Context, system.StreamSpec) error{a.Create, rehearsed.Rehearse} {
		if err := do(ctx, spec); !errors.Is(err, system.ErrExists) {
			t.Errorf("Create again: %v", err)
		}
	}
	infos, err := a.Describe(ctx, name, name+"-missing")
	if err != nil || len(infos) != 1 || infos[name].Partitions != 3 || infos[name].Settings["cleanup.policy"] != "compact" || infos[name].Settings["segment.bytes"] != "26214400" {
		t.Errorf("Describe: %+v, %v", infos, err)
	}
	if n, err := a.Brokers(ctx); n != 1 || err != nil {
		t.Errorf("Brokers: %d, %v", n, err)
	}
	spec.Name, spec.ReplicationFactor = name+"-replicated", 3
	if err := a.Create(ctx, spec); err == nil {
		t.Error("three replicas on one broker")
	} else {
		t.Log(err)
	}
	auto, err := a.AutoCreates(ctx)
	t.Logf("makes topics by itself: %v, %v", auto, err)
	o := outboxOf(t, s)
	missing := grid.Name("missing")
	n, err := o.Partitions(ctx, missing)
	switch {
	case auto:
		t.Cleanup(func() { g.DeleteTopics(t, missing) })
		if n < 1 || err != nil {
			t.Errorf("Partitions of a stream that is made by itself: %d, %v", n, err)
		}
	case !errors.Is(err, system.ErrNoStream):
		t.Errorf("Partitions of a missing stream: %d, %v", n, err)
	}
}

// TestGridTransactions: ends behind control records, and the last stable offset.
func TestGridTransactions(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := g.Topic(t, "transactions", 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(g.KafkaAddress), kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	write := func(n int, end kgo.TransactionEndTry, open bool) {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if open {
			return
		}
		if err := cl.EndTransaction(testContext(t), end); err != nil {
			t.Fatal(err)
		}
	}
	write(3, kgo.TryCommit, false) // 0 to 2, marker 3
	write(2, kgo.TryAbort, false)  // 4, 5, marker 6
	write(1, kgo.TryCommit, true)  // 7, open

	for isolation, want := range map[string]struct{ n, end int64 }{"read_committed": {3, 7}, "read_uncommitted": {6, 8}} {
		s := gridSystem(t, g, map[string]string{"consumer.isolation.level": isolation})
		var n int64
		pos, err := s.Read(testContext(t), topic, 0, system.Oldest, system.End, func(ms []task.Message) error { n += int64(len(ms)); return nil })
		if err != nil || pos != 7 || n != 3 { // whatever consumers are told to do
			t.Errorf("%s: Read of %d messages to %d, %v; want %+v", isolation, n, pos, err, want)
		}
		got := drain(t, consumerAt(t, s, topic, 0), map[string]int64{topic + "/0": want.end})
		if int64(len(got[topic+"/0"])) != want.n {
			t.Errorf("%s: Poll of %d messages, want %d", isolation, len(got[topic+"/0"]), want.n)
		}
		a, _ := s.Admin()
		ends, err := a.Offsets(testContext(t), topic)
		if err != nil || ends[0] != (system.Ends{Oldest: 0, Next: 8, Stable: 7, Topic: ends[0].Topic}) {
			t.Errorf("%s: Offsets %+v, %v", isolation, ends, err)
		}
	}
}

// TestGridTransactionsOfOurs runs the suite of transactions against a real Kafka.
func TestGridTransactionsOfOurs(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	s, err := New("sys", config.New(map[string]string{
		"systems.sys.producer.bootstrap.servers": g.KafkaAddress, "systems.sys.consumer.isolation.level": "read_committed",
	}), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	systemtest.Transactions(t, s, "suite-")

	// Settling takes nothing away from a successor. (The fake broker takes any
	// epoch that is not newer.)
	topic := g.Topic(t, "settle", 1)
	o := system.TransactionOptions{ID: topic, Name: "Partition 0", Timeout: time.Minute}
	write := func(w system.TransactionalOutbox) {
		t.Helper()
		if err := w.Send(system.Record{Stream: topic}); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := s.TakeOver(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	write(old)
	young, err := s.TakeOver(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Settle(testContext(t)); !errors.Is(err, system.ErrFenced) {
		t.Errorf("the old writer settles: %v, want ErrFenced", err)
	}
	write(young)
}

// TestGridTransactionTimeout: Kafka's maximum is named.
func TestGridTransactionTimeout(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	s := gridSystem(t, g, nil)
	_, err := s.TakeOver(testContext(t), system.TransactionOptions{ID: t.Name(), Name: "Partition 0", Timeout: time.Hour})
	var wrong *config.Error
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "3600000 ms") || !strings.Contains(err.Error(), "transaction.max.timeout.ms (900000)") {
		t.Errorf("%v", err)
	}
}

// TestGridTransactionEndedByKafka: a transaction that stays open for too long
// is ended, and the writer is told so.
func TestGridTransactionEndedByKafka(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := g.Topic(t, "late", 1)
	s := gridSystem(t, g, nil)
	o, err := s.TakeOver(testContext(t), system.TransactionOptions{ID: topic, Name: "Partition 0", Timeout: 200 * time.Millisecond})
	if err == nil {
		err = o.Send(system.Record{Stream: topic})
	}
	if err == nil {
		err = o.Flush(testContext(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	// The coordinator looks every ten seconds.
	a, _ := s.Admin()
	for ctx := testContext(t); ; {
		ends, err := a.Offsets(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		if ends[0].Next == 2 && ends[0].Stable == 2 {
			break
		}
	}
	if err := o.Commit(testContext(t)); !errors.Is(err, system.ErrFenced) || !strings.Contains(err.Error(), "was open for") || !strings.Contains(err.Error(), "task.commit.ms") {
		t.Errorf("%v", err)
	}
}

// TestGridCompaction waits for the cleaner to leave an end before which no
// record lies, and finds it all the same.
func TestGridCompaction(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := g.Topic(t, "compaction", 1, "cleanup.policy=compact", "segment.ms=100", "min.cleanable.dirty.ratio=0.001", "delete.retention.ms=0", "max.compaction.lag.ms=100", "min.compaction.lag.ms=0")
	s := gridSystem(t, g, nil)
	o := outboxOf(t, s)
	send := func(key string, value []byte) {
		if err := o.Send(system.Record{Stream: topic, Key: []byte(key), Value: value}); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		send(fmt.Sprint("k", i%5), fmt.Append(nil, i))
	}
	for i := range 5 {
		send(fmt.Sprint("k", i), nil)
	}
	// A new segment begins with the next batch; the ones before are cleaned.
	left := func() (n int, pos int64) {
		pos, err := s.Read(testContext(t), topic, 0, system.Oldest, system.End, func(ms []task.Message) error { n += len(ms); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n, pos
	}
	var end int64 = 25
	grid.Eventually(t, 90*time.Second, "the cleaner", func() (bool, string) {
		n, pos := left()
		if pos != end {
			t.Fatalf("position %d, the end is %d", pos, end)
		}
		if n > 3 {
			send("roll", fmt.Append(nil, end))
			end++
		}
		return n <= 3, fmt.Sprint(n, " records left")
	})
	drain(t, consumerAt(t, s, topic, 0), map[string]int64{topic + "/0": end})
}

// TestGridBrokerRestart kills the broker under a writer and a reader: what was
// acknowledged comes, once and in order. Whatever a start asks meanwhile is
// answered once the broker is back.
func TestGridBrokerRestart(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	g.NeedHome(t, "the broker cannot be killed")
	s := gridSystem(t, g, nil)
	topic := g.Topic(t, "restart", 2)
	ask, answered := questions(t, g)
	const n = 30000
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		o := outboxOf(t, s)
		for i := range n {
			if err := o.Send(system.Record{Stream: topic, At: int32(i%2) + 1, Value: fmt.Append(nil, i)}); err != nil {
				sent <- err
				return
			}
			if i%3000 == 0 {
				if err := o.Flush(ctx); err != nil {
					sent <- err
					return
				}
			}
		}
		sent <- o.Flush(ctx)
	}()
	c := consumerAt(t, s, topic, 0, 0)
	got := make([][]int64, 2)
	killed := false
	for len(got[0])+len(got[1]) < n {
		if !killed && len(got[0])+len(got[1]) > n/5 {
			killed = true
			g.Kill(t, grid.Broker)
			ask()
			g.Start(t, grid.Broker)
		}
		batches, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("%v; %d and %d messages", err, len(got[0]), len(got[1]))
		}
		for _, b := range batches {
			for _, m := range b.Messages {
				var v int64
				if _, err := fmt.Sscan(string(m.ValueBytes), &v); err != nil {
					t.Fatal(err)
				}
				got[b.Source.Partition] = append(got[b.Source.Partition], v)
			}
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	answered()
	for p, values := range got {
		if len(values) != n/2 || !slices.IsSorted(values) || len(slices.Compact(slices.Clone(values))) != n/2 {
			t.Errorf("partition %d: %d values, sorted %v", p, len(values), slices.IsSorted(values))
		}
	}
}

func BenchmarkGridPassThrough(b *testing.B) {
	g := grid.Use(b, grid.Kafka)
	in, out := g.Topic(b, "bench-in", benchPartitions), g.Topic(b, "bench-out", benchPartitions)
	s := gridSystem(b, g, nil)
	o := outboxOf(b, s)
	value := make([]byte, 100)
	for i := range b.N {
		if err := o.Send(system.Record{Stream: in, At: int32(i%benchPartitions) + 1, Value: value}); err != nil {
			b.Fatal(err)
		}
	}
	if err := o.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("heddle", func(b *testing.B) {
		c := consumerAt(b, s, in, 0, 0, 0, 0)
		measured(b, func(int) {
			for n := 0; n < b.N; {
				batches, err := c.Poll(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for i := range batches {
					for j := range batches[i].Messages {
						if err := o.Send(system.Record{Stream: out, Value: batches[i].Messages[j].ValueBytes}); err != nil {
							b.Fatal(err)
						}
					}
					n += len(batches[i].Messages)
				}
			}
			if err := o.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// TestGridRecordLimit: what a topic takes decides how large batches become and
// which records are refused, on a real Kafka.
func TestGridRecordLimit(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	s := gridSystem(t, g, map[string]string{"producer.linger.ms": "500"})
	a, _ := s.Admin()
	topic := fmt.Sprintf("limit-%d", time.Now().UnixNano())
	if err := a.Create(testContext(t), system.StreamSpec{Name: topic, Partitions: 1, ReplicationFactor: 1,
		Settings: map[string]string{"max.message.bytes": "20000"}}); err != nil {
		t.Fatal(err)
	}
	o := outboxOf(t, s)
	const n = 5000
	for i := range n {
		if err := o.Send(system.Record{Stream: topic, Key: fmt.Append(nil, i), Value: make([]byte, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatalf("many small records: %v", err)
	}
	limit, err := o.(system.Limited).RecordLimit(testContext(t), topic)
	if err != nil || limit.Bytes != 20000-recordFrame {
		t.Fatalf("limit %+v, %v", limit, err)
	}
	if err := o.Send(system.Record{Stream: topic, Value: make([]byte, limit.Bytes)}); err != nil {
		t.Fatal(err)
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatalf("a record of the limit: %v", err)
	}
	if err := o.Send(system.Record{Stream: topic, Value: make([]byte, limit.Bytes+1)}); err == nil || !strings.Contains(err.Error(), limit.Why) {
		t.Errorf("a record beyond the limit: %v", err)
	}
	ends, err := a.Offsets(testContext(t), topic)
	if err != nil || ends[0].Next != n+1 {
		t.Errorf("%v records are stored, want %d; %v", ends, n+1, err)
	}
}

// TestGridCheckTransactions: what would fail is known before anything is taken
// over, and asking does not disturb who has the id.
func TestGridCheckTransactions(t *testing.T) {
	g := grid.Use(t, grid.Kafka)
	topic := g.Topic(t, "check", 1)
	s := gridSystem(t, g, nil)
	o := system.TransactionOptions{ID: topic, Name: "Partition 0", Timeout: time.Minute}
	writer, err := s.TakeOver(testContext(t), o)
	if err == nil {
		err = writer.Send(system.Record{Stream: topic})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckTransactions(testContext(t), o); err != nil {
		t.Errorf("the check fails: %v", err)
	}
	if err := writer.Commit(testContext(t)); err != nil {
		t.Errorf("the check disturbed the writer: %v", err)
	}
	o.Timeout = time.Hour
	err = s.CheckTransactions(testContext(t), o)
	var wrong *config.Error
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "3600000 ms") || !strings.Contains(err.Error(), "transaction.max.timeout.ms (900000)") {
		t.Errorf("%v", err)
	}
}
