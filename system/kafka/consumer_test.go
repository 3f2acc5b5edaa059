package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
	"heddle/task"
)

func consumerAt(t testing.TB, s *System, stream string, next ...int64) system.Consumer {
	t.Helper()
	c, err := s.Consumer()
	if err != nil {
		t.Fatal(err)
	}
	for p, n := range next {
		if err := c.Assign(source(stream, int32(p)), n); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// transaction writes n records in one transaction and ends it.
func transaction(t *testing.T, c *kfake.Cluster, stream string, n int, commit kgo.TransactionEndTry) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID(fmt.Sprint(t.Name(), n, commit)), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		cl.Produce(t.Context(), &kgo.Record{Topic: stream, Value: fmt.Append(nil, commit, " ", i)}, nil)
	}
	if err := cl.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(testContext(t), commit); err != nil {
		t.Fatal(err)
	}
}

// TestPositionsBehindTransactions: the ends lie behind control records, where
// no record is.
func TestPositionsBehindTransactions(t *testing.T) {
	for _, tt := range []struct {
		isolation string
		messages  int
	}{
		{"read_uncommitted", 5 + 3 + 4},
		{"read_committed", 5 + 4},
	} {
		t.Run(tt.isolation, func(t *testing.T) {
			cluster := fake(t)
			s := newSystem(t, cluster, map[string]string{"consumer.isolation.level": tt.isolation})
			create(t, s, "in", 1)
			fill(t, s, "in", 0, 5)                          // 0 to 4
			transaction(t, cluster, "in", 3, kgo.TryAbort)  // 5 to 7, marker 8
			transaction(t, cluster, "in", 4, kgo.TryCommit) // 9 to 12, marker 13
			transaction(t, cluster, "in", 1, kgo.TryAbort)  // 14, marker 15
			transaction(t, cluster, "in", 2, kgo.TryAbort)  // 16, 17, marker 18
			const end, aborted = 19, 3                      // of the last two
			want := tt.messages
			if tt.isolation == "read_uncommitted" {
				want += aborted
			}

			// Read gives facts, whatever consumers are told to do.
			n := 0
			pos, err := s.Read(testContext(t), "in", 0, system.Oldest, system.End, func(ms []task.Message) error { n += len(ms); return nil })
			if err != nil || pos != end || n != 5+4 {
				t.Errorf("Read: %d messages, position %d, %v; want %d and %d", n, pos, err, 5+4, end)
			}
			got := drain(t, consumerAt(t, s, "in", 0), map[string]int64{"in/0": end})
			if len(got["in/0"]) != want {
				t.Errorf("Poll: %d messages, want %d", len(got["in/0"]), want)
			}
			// Started in the middle of what was aborted.
			drain(t, consumerAt(t, s, "in", 17), map[string]int64{"in/0": end})
		})
	}
}

// TestOpenTransaction: under read_committed the end is the last stable offset.
func TestOpenTransaction(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, map[string]string{"consumer.isolation.level": "read_committed"})
	create(t, s, "in", 1)
	fill(t, s, "in", 0, 5)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID("open"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "in"}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	a, _ := s.Admin()
	ends, err := a.Offsets(testContext(t), "in")
	if err != nil || ends[0] != (system.Ends{Oldest: 0, Next: 6, Stable: 5, Topic: ends[0].Topic}) {
		t.Errorf("Offsets: %+v, %v", ends, err)
	}
	pos, err := s.Read(testContext(t), "in", 0, 0, system.End, func([]task.Message) error { return nil })
	if err != nil || pos != 5 {
		t.Errorf("Read: position %d, %v; want 5", pos, err)
	}
	c := consumerAt(t, s, "in", 0)
	drain(t, c, map[string]int64{"in/0": 5})
	if err := cl.EndTransaction(testContext(t), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, c, map[string]int64{"in/0": 7}); len(got["in/0"]) != 1 {
		t.Errorf("%d messages after the commit, want 1", len(got["in/0"]))
	}
}

// TestPositionsBehindCompaction: compaction leaves an end before which no record
// lies.
func TestPositionsBehindCompaction(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, nil)
	a, _ := s.Admin()
	if err := a.Create(testContext(t), system.StreamSpec{Name: "in", Partitions: 1, Settings: map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "delete.retention.ms": "0",
	}}); err != nil {
		t.Fatal(err)
	}
	o := outboxOf(t, s)
	for i := range 9 { // three keys, each batch with one record
		r := system.Record{Stream: "in", Key: fmt.Append(nil, i%3), Value: fmt.Append(nil, i)}
		if i == 8 {
			r.Value = nil
		}
		if err := o.Send(r); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Compact()
	var offsets []int64
	pos, err := s.Read(testContext(t), "in", 0, system.Oldest, system.End, func(ms []task.Message) error {
		for _, m := range ms {
			offsets = append(offsets, m.Offset)
		}
		return nil
	})
	t.Logf("offsets left: %v", offsets)
	if err != nil || pos != 9 || len(offsets) == 9 {
		t.Fatalf("Read: position %d, offsets %v, %v", pos, offsets, err)
	}
	got := drain(t, consumerAt(t, s, "in", system.Oldest), map[string]int64{"in/0": 9})
	if len(got["in/0"]) != len(offsets) {
		t.Errorf("Poll: %d messages, want %d", len(got["in/0"]), len(offsets))
	}
}

// TestEmptyBatchAtTheEnd: a broker keeps the last batch of a producer without
// its records; only the batch's header tells that the end lies behind it.
func TestEmptyBatchAtTheEnd(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, nil)
	create(t, s, "in", 1)
	fill(t, s, "in", 0, 10)
	// Every fetch is answered with one batch of offsets 0 to 9 that holds only
	// the records 0 to 4... which are none of: compaction took them all.
	empty := kmsg.RecordBatch{FirstOffset: 0, PartitionLeaderEpoch: 0, Magic: 2, LastOffsetDelta: 9, ProducerID: 1}
	raw := sealBatch(empty)
	cluster.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		if len(req.Topics) == 0 || req.Topics[0].Partitions[0].FetchOffset >= 10 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.RecordBatches = 10, 10, raw
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	pos, err := s.Read(testContext(t), "in", 0, 0, system.End, func(ms []task.Message) error { return fmt.Errorf("%d messages", len(ms)) })
	if err != nil || pos != 10 {
		t.Errorf("Read: position %d, %v; want 10", pos, err)
	}
	if got := drain(t, consumerAt(t, s, "in", 0), map[string]int64{"in/0": 10}); len(got["in/0"]) != 0 {
		t.Errorf("Poll: %d messages, want none", len(got["in/0"]))
	}
}

func TestOutOfRange(t *testing.T) {
	const oldest, end = 40, 100
	for _, tt := range []struct {
		name     string
		settings map[string]string
		from     int64
		first    int64 // -1: an error
		warns    string
	}{
		{"nothing set", nil, 10, -1, ""},
		{"none", map[string]string{"consumer.auto.offset.reset": "none", "samza.offset.default": "oldest"}, 10, -1, ""},
		{"earliest", map[string]string{"consumer.auto.offset.reset": "earliest"}, 10, oldest, "because=\"systems.kafka.consumer.auto.offset.reset=earliest\""},
		{"smallest", map[string]string{"consumer.auto.offset.reset": "smallest"}, 10, oldest, "offset=10"},
		{"latest", map[string]string{"consumer.auto.offset.reset": "largest"}, 10, end, "end=100"},
		{"beyond the end", map[string]string{"consumer.auto.offset.reset": "earliest"}, 200, oldest, "offset=200"},
		{"beyond the end, nothing set", nil, 200, -1, ""},
		{"the stream's default", map[string]string{"streams.in.samza.offset.default": "oldest"}, 10, oldest, "streams.in.samza.offset.default"},
		{"the system's default", map[string]string{"samza.offset.default": "upcoming"}, 10, end, "systems.kafka.samza.offset.default"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cluster := fake(t)
			s, log := newSystemWithLog(t, cluster, tt.settings)
			create(t, s, "in", 1)
			fill(t, s, "in", 0, end)
			if err := cluster.DeleteRecords("in", 0, oldest); err != nil {
				t.Fatal(err)
			}
			c := consumerAt(t, s, "in", tt.from)
			if tt.first < 0 {
				_, err := c.Poll(testContext(t))
				if !errors.Is(err, system.ErrOutOfRange) {
					t.Fatalf("Poll: %v", err)
				}
				for _, part := range []string{"in, partition 0", fmt.Sprint("offset ", tt.from), "oldest 40", "end 100", "systems.kafka.consumer.auto.offset.reset"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("the error lacks %q: %v", part, err)
					}
				}
				return
			}
			if tt.first == end {
				// The position is at the end: the next message is the first.
				done := make(chan struct{})
				go func() {
					defer close(done)
					for !strings.Contains(log.String(), "out of range") && t.Context().Err() == nil {
						time.Sleep(time.Millisecond) //nolint:forbidigo // the log has no other sign
					}
					fill(t, s, "in", 0, 1)
				}()
				defer func() { <-done }()
			}
			batches, err := c.Poll(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			if first := batches[0].Messages[0].Offset; first != tt.first {
				t.Errorf("reading goes on at %d, want %d", first, tt.first)
			}
			if !strings.Contains(log.String(), tt.warns) || !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("the warning lacks %q: %s", tt.warns, log)
			}
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", 2)
	fill(t, s, "in", 0, 100)
	fill(t, s, "in", 1, 100)
	c := consumerAt(t, s, "in", 0, 0)
	c.Pause(source("in", 0))
	if got := drain(t, c, map[string]int64{"in/1": 100}); len(got["in/0"]) != 0 {
		t.Errorf("%d messages of a paused partition", len(got["in/0"]))
	}
	c.Resume(source("in", 0))
	drain(t, c, map[string]int64{"in/0": 100})
	// What comes while a partition is paused again is there afterwards, once.
	for range 5 {
		fill(t, s, "in", 0, 10)
		c.Pause(source("in", 0))
		fill(t, s, "in", 0, 10)
		c.Resume(source("in", 0))
	}
	got := drain(t, c, map[string]int64{"in/0": 200})
	for i, m := range got["in/0"] {
		if m.Offset != int64(100+i) {
			t.Fatalf("message %d has offset %d", i, m.Offset)
		}
	}
}

func TestAssignWhilePolling(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", 2)
	fill(t, s, "in", 0, 10)
	fill(t, s, "in", 1, 10)
	c := consumerAt(t, s, "in", 0)
	drain(t, c, map[string]int64{"in/0": 10})
	polled := make(chan error, 1)
	go func() {
		batches, err := c.Poll(testContext(t))
		if err == nil && batches[0].Source.Partition != 1 {
			err = fmt.Errorf("a batch of %s", batches[0].Source)
		}
		polled <- err
	}()
	if err := c.Assign(source("in", 1), 3); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; err != nil {
		t.Error(err)
	}
	// Assigned again: the position moves back.
	if err := c.Assign(source("in", 0), 4); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, c, map[string]int64{"in/0": 10}); len(got["in/0"]) != 6 {
		t.Errorf("%d messages after moving back to 4, want 6", len(got["in/0"]))
	}
}

func TestPollEnds(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", 1)
	c := consumerAt(t, s, "in", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Poll with an ended context: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Poll(testContext(t)); !errors.Is(err, errClosed) {
		t.Errorf("Poll after Close: %v", err)
	}
	if err := c.Assign(source("in", 0), 0); !errors.Is(err, errClosed) {
		t.Errorf("Assign after Close: %v", err)
	}
}

// TestOutages reads while leaders move, connections break and brokers answer
// with passing errors: everything comes once and in order.
func TestOutages(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(3))
	s := newSystem(t, cluster, nil)
	create(t, s, "in", 4)
	c := consumerAt(t, s, "in", 0, 0, 0, 0)
	cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Err: kerr.NotLeaderForPartition, Count: 5},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Err: kerr.UnknownTopicOrPartition, Count: 2},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, TopLevel: true, Err: kerr.FetchSessionIDNotFound, Count: 3},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Partitions: []int32{2}, Err: kerr.KafkaStorageError, Count: 3},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "in", Err: kerr.NotEnoughReplicasAfterAppend, Count: 2},
	)
	const rounds, n = 5, 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			for p := range int32(4) {
				fill(t, s, "in", p, n)
			}
			cluster.ShufflePartitionLeaders()
		}
	}()
	ends := map[string]int64{}
	for p := range 4 {
		ends[fmt.Sprint("in/", p)] = rounds * n
	}
	got := drain(t, c, ends)
	<-done
	for name, ms := range got {
		for i, m := range ms {
			if m.Offset != int64(i) || string(m.KeyBytes) != fmt.Sprint(i%n) {
				t.Fatalf("%s: message %d has offset %d and key %s", name, i, m.Offset, m.KeyBytes)
			}
		}
	}
}

func TestTopicDeletedWhileReading(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, nil)
	create(t, s, "in", 1)
	fill(t, s, "in", 0, 10)
	c := consumerAt(t, s, "in", 0)
	drain(t, c, map[string]int64{"in/0": 10})
	if err := cluster.DeleteTopic("in"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.CreateTopic("in", 1, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(testContext(t)); !errors.Is(err, system.ErrNoStream) && !errors.Is(err, system.ErrOutOfRange) {
		t.Errorf("Poll of a topic that was made anew: %v", err)
	}
}

func TestNotAllowed(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, nil)
	create(t, s, "in", 1)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Err: kerr.TopicAuthorizationFailed, Count: -1})
	if _, err := consumerAt(t, s, "in", 0).Poll(testContext(t)); !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "ACL") {
		t.Errorf("Poll: %v", err)
	}
}

func TestManyPartitions(t *testing.T) {
	const partitions = 300
	s := newSystem(t, fake(t), nil)
	create(t, s, "in", partitions)
	o := outboxOf(t, s)
	for i := range 10 * partitions {
		if err := o.Send(system.Record{Stream: "in", At: int32(i%partitions) + 1, Value: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ends := map[string]int64{}
	for p := range partitions {
		ends[fmt.Sprint("in/", p)] = 10
	}
	drain(t, consumerAt(t, s, "in", make([]int64, partitions)...), ends)
}

// TestResumeIsQuick: a partition that is resumed does not wait for a fetch of
// idle ones that is under way.
func TestResumeIsQuick(t *testing.T) {
	s := newSystem(t, fake(t), map[string]string{"consumer.fetch.max.wait.ms": "20000"})
	create(t, s, "in", 2)
	fill(t, s, "in", 0, 10)
	c := consumerAt(t, s, "in", 0, 0)
	c.Pause(source("in", 0))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if batches, err := c.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d batches, %v; the only partition with messages is paused", len(batches), err)
	}
	c.Resume(source("in", 0))
	start := time.Now()
	drain(t, c, map[string]int64{"in/0": 10})
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("the first message after Resume came after %s", d)
	}
}

// TestPauseKeepsWhatWasFetched: pausing throws nothing away, so a caller that
// pauses after every batch fetches nothing twice.
func TestPauseKeepsWhatWasFetched(t *testing.T) {
	cluster := fake(t)
	s := newSystem(t, cluster, map[string]string{"consumer.max.partition.fetch.bytes": "2000"})
	create(t, s, "in", 2)
	fill(t, s, "in", 0, 2000)
	fill(t, s, "in", 1, 2000)
	c := consumerAt(t, s, "in", 0, 0)
	got := map[int32]int64{}
	for got[0] < 2000 || got[1] < 2000 {
		batches, err := c.Poll(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			c.Pause(b.Source)
			for _, m := range b.Messages {
				if m.Offset != got[b.Source.Partition] {
					t.Fatalf("%s: offset %d, want %d", b.Source, m.Offset, got[b.Source.Partition])
				}
				got[b.Source.Partition]++
			}
			c.Resume(b.Source)
		}
	}
}
