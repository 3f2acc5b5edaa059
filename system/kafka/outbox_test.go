package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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

// stored reads a whole stream: values by partition.
func stored(t testing.TB, s *System, stream string, partitions int32) map[int32][]string {
	t.Helper()
	got := map[int32][]string{}
	for p := range partitions {
		_, err := s.Read(testContext(t), stream, p, system.Oldest, system.End, func(ms []task.Message) error {
			for _, m := range ms {
				got[p] = append(got[p], string(m.ValueBytes))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestChoiceOfPartition(t *testing.T) {
	const n = 7
	s := newSystem(t, fake(t), nil)
	create(t, s, "out", n)
	o := outboxOf(t, s)
	want := map[int32][]string{}
	for i, r := range []struct {
		record system.Record
		at     int32
	}{
		{system.Record{At: 4}, 3},
		{system.Record{At: 1, PartitionKey: "wins not", Key: []byte("x")}, 0},
		{system.Record{PartitionKey: "user-00000001", Key: []byte("other")}, 5},
		{system.Record{PartitionKey: int64(-42), Key: []byte("8 bytes.")}, must(system.KeyPartition(int64(-42), n))},
		{system.Record{PartitionKey: "polygenelubricants"}, 0},
		{system.Record{PartitionKey: []byte("raw"), Key: []byte("raw")}, system.BytesPartition([]byte("raw"), n)},
		{system.Record{PartitionKey: map[string]any{"a": 1}, Key: []byte(`{"a":1}`)}, system.BytesPartition([]byte(`{"a":1}`), n)},
		{system.Record{Key: []byte("bob")}, system.BytesPartition([]byte("bob"), n)},
		{system.Record{Key: []byte{}}, system.BytesPartition([]byte{}, n)},
	} {
		r.record.Stream, r.record.Value = "out", fmt.Append(nil, i)
		want[r.at] = append(want[r.at], fmt.Sprint(i))
		if err := o.Send(r.record); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	got := stored(t, s, "out", n)
	if !maps.EqualFunc(got, want, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("partitions\n%v, want\n%v", got, want)
	}
}

func must(p int32, ok bool) int32 {
	if !ok {
		panic("no choice")
	}
	return p
}

// TestBytesLikeKafka: serialised keys go where franz-go's own port of Kafka's
// partitioner puts them.
func TestBytesLikeKafka(t *testing.T) {
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	ours := chooser{1}.ForTopic("t")
	for i := range 1000 {
		key := []byte(strings.Repeat(fmt.Sprint(i), i%9))
		for _, n := range []int{1, 2, 3, 10, 997} {
			a, b := theirs.Partition(&kgo.Record{Key: key}, n), ours.Partition(&kgo.Record{Key: key, Partition: byBytes}, n)
			if a != b {
				t.Fatalf("key %q of %d partitions: %d, Kafka has %d", key, n, b, a)
			}
		}
	}
}

func TestKeylessRecordsStick(t *testing.T) {
	c := chooser{100}.ForTopic("t")
	seen := map[int]int{}
	last, changes := -1, 0
	for range 1000 {
		p := c.Partition(&kgo.Record{Partition: byBytes, Value: make([]byte, 10)}, 5)
		if p != last {
			changes++
		}
		last = p
		seen[p]++
	}
	if changes != 100 || len(seen) != 5 {
		t.Errorf("%d changes over %d partitions; want one every 10 records, over all 5", changes, len(seen))
	}
	if p := c.Partition(&kgo.Record{Partition: byBytes}, 1); p != 0 {
		t.Errorf("partition %d of 1", p)
	}
}

func TestHeadersAndTimestamps(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "out", 1)
	o := outboxOf(t, s)
	headers := []task.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}}
	if err := o.Send(system.Record{Stream: "out", Timestamp: 1234567890123, Headers: headers}); err != nil {
		t.Fatal(err)
	}
	if err := o.Send(system.Record{Stream: "out", Key: []byte{}, Value: []byte{}}); err != nil {
		t.Fatal(err)
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	var got []task.Message
	if _, err := s.Read(testContext(t), "out", 0, 0, system.End, func(ms []task.Message) error { got = append(got, ms...); return nil }); err != nil {
		t.Fatal(err)
	}
	if m := got[0]; m.Timestamp != 1234567890123 || fmt.Sprint(m.Headers) != fmt.Sprint(headers) || m.KeyBytes != nil || m.ValueBytes != nil {
		t.Errorf("first: %+v", m)
	}
	if m := got[1]; time.Since(m.Time()).Abs() > time.Minute || m.KeyBytes == nil || m.ValueBytes == nil || m.Headers != nil {
		t.Errorf("second: %+v", m)
	}
}

// TestFlushWaitsForItsOwn: one outbox's flush does not wait for the topic of
// another, which is not acknowledged.
func TestFlushWaitsForItsOwn(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(2))
	s := newSystem(t, cluster, nil)
	create(t, s, "slow", 1)
	create(t, s, "fast", 1)
	for topic, node := range map[string]int32{"slow": 0, "fast": 1} {
		if err := cluster.MoveTopicPartition(topic, 0, node); err != nil {
			t.Fatal(err)
		}
	}
	handle := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "slow", Err: kerr.NotEnoughReplicas, Count: -1})
	p, err := s.Producer()
	if err != nil {
		t.Fatal(err)
	}
	slow, _ := p.Outbox("slow")
	fast, _ := p.Outbox("fast")
	if err := slow.Send(system.Record{Stream: "slow", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := fast.Send(system.Record{Stream: "fast", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := fast.Flush(testContext(t)); err != nil {
		t.Errorf("Flush of the fast one: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := slow.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 records are not acknowledged") {
		t.Errorf("Flush of the slow one: %v", err)
	}
	handle.Remove()
	if err := slow.Flush(testContext(t)); err != nil {
		t.Errorf("Flush after the fault: %v", err)
	}
}

// TestFlushDoesNotLinger: a flush sends at once what lingers.
func TestFlushDoesNotLinger(t *testing.T) {
	s := newSystem(t, fake(t), map[string]string{"producer.linger.ms": "30000"})
	create(t, s, "out", 4)
	o := outboxOf(t, s)
	start := time.Now()
	for i := range 20 {
		if err := o.Send(system.Record{Stream: "out", At: int32(i%4) + 1}); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if err := o.Flush(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("five flushes took %s with a linger of 30 s", d)
	}
}

func TestTooLarge(t *testing.T) {
	t.Run("for the client", func(t *testing.T) {
		s := newSystem(t, fake(t), map[string]string{"producer.max.request.size": "10000"})
		create(t, s, "out", 1)
		o := outboxOf(t, s)
		err := o.Send(system.Record{Stream: "out", Value: make([]byte, 10001)})
		if err == nil {
			t.Fatal("no error")
		}
		for _, part := range []string{"stream out", "Partition 0", "10001 bytes", "systems.kafka.producer.max.request.size", "max.message.bytes"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error lacks %q: %v", part, err)
			}
		}
		if again := o.Flush(testContext(t)); again != err { //nolint:errorlint // the same error is promised
			t.Errorf("Flush: %v", again)
		}
	})
	topicOf5000 := func(t *testing.T, settings map[string]string) *outbox {
		s := newSystem(t, fake(t), settings)
		a, _ := s.Admin()
		if err := a.Create(testContext(t), system.StreamSpec{Name: "out", Partitions: 1, Settings: map[string]string{"max.message.bytes": "5000"}}); err != nil {
			t.Fatal(err)
		}
		return outboxOf(t, s).(*outbox)
	}
	t.Run("for the topic", func(t *testing.T) {
		o := topicOf5000(t, nil)
		limit, err := o.RecordLimit(testContext(t), "out")
		if err != nil || limit.Bytes != 5000-recordFrame || limit.Why != "max.message.bytes of the topic out is 5000" {
			t.Fatalf("limit %+v, %v", limit, err)
		}
		if err := o.Send(system.Record{Stream: "out", Value: make([]byte, limit.Bytes)}); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(testContext(t)); err != nil {
			t.Fatal(err)
		}
		err = o.Send(system.Record{Stream: "out", Value: make([]byte, limit.Bytes+1)})
		if err == nil || !strings.Contains(err.Error(), "4873 bytes") || !strings.Contains(err.Error(), limit.Why) {
			t.Errorf("Send: %v", err)
		}
	})
	t.Run("many together", func(t *testing.T) {
		o := topicOf5000(t, map[string]string{"producer.linger.ms": "1000"})
		for range 1000 {
			if err := o.Send(system.Record{Stream: "out", Value: make([]byte, 100)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Flush(testContext(t)); err != nil {
			t.Errorf("a batch was filled beyond what the topic takes: %v", err)
		}
	})
	t.Run("compressed", func(t *testing.T) {
		o := topicOf5000(t, map[string]string{"producer.compression.type": "zstd"})
		if err := o.Send(system.Record{Stream: "out", Value: make([]byte, 8000)}); err != nil {
			t.Fatal(err)
		}
		if err := o.Flush(testContext(t)); err != nil {
			t.Errorf("8000 bytes that become less than 5000: %v", err)
		}
		noise := make([]byte, 8000)
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		if err := o.Send(system.Record{Stream: "out", Value: noise}); err != nil {
			t.Fatal(err)
		}
		err := o.Flush(testContext(t))
		if !errors.Is(err, kerr.MessageTooLarge) || !strings.Contains(err.Error(), "8000 bytes") || !strings.Contains(err.Error(), "max.message.bytes") {
			t.Errorf("Flush: %v", err)
		}
	})
}

// TestAcknowledgementsSurviveOutages: every record that Flush waited for is
// stored once, in order, whatever the broker answered in between.
func TestAcknowledgementsSurviveOutages(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(3))
	s := newSystem(t, cluster, nil)
	create(t, s, "out", 3)
	cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "out", Err: kerr.NotLeaderForPartition, Count: 4},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "out", Err: kerr.NotEnoughReplicasAfterAppend, Count: 4},
		kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.CoordinatorLoadInProgress, Count: 1},
	)
	p, err := s.Producer()
	if err != nil {
		t.Fatal(err)
	}
	const boxes, n = 3, 2000
	failed := make(chan error, boxes)
	for b := range int32(boxes) {
		go func() {
			o, err := p.Outbox(fmt.Sprint("task ", b))
			for i := 0; i < n && err == nil; i++ {
				err = o.Send(system.Record{Stream: "out", At: b + 1, Value: fmt.Append(nil, i)})
				if i%500 == 499 && err == nil {
					cluster.ShufflePartitionLeaders()
					err = o.Flush(testContext(t))
				}
			}
			if offset, ok := o.Acked("out", b); err == nil && (!ok || offset != n-1) {
				err = fmt.Errorf("acknowledged up to %d, %v", offset, ok)
			}
			failed <- err
		}()
	}
	for range boxes {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	for p, values := range stored(t, s, "out", 3) {
		for i, v := range values {
			if v != fmt.Sprint(i) {
				t.Fatalf("partition %d: record %d is %s", p, i, v)
			}
		}
		if len(values) != n {
			t.Errorf("partition %d holds %d records", p, len(values))
		}
	}
}

// TestTheFirstRecordToATopicWaits: while no broker answers, Send to a topic that
// was not asked for yet waits as long as a record does that was sent before. The
// client alone does not see to it: of several requests at a time it gives up those
// whose next broker is the one that has just failed.
func TestTheFirstRecordToATopicWaits(t *testing.T) {
	t.Parallel() // it waits
	for _, tt := range []struct {
		timeout string
		unused  bool // the producer
	}{{"", false}, {"1000", false}, {"", true}, {"1000", true}} {
		timeout := tt.timeout
		cluster := fake(t)
		s := newSystem(t, cluster, map[string]string{"producer.delivery.timeout.ms": timeout})
		s.o.ConnectTimeout = 500 * time.Millisecond
		create(t, s, "known", 1)
		p, err := s.Producer()
		if err != nil {
			t.Fatal(err)
		}
		const boxes = 20
		var all [boxes]system.Outbox
		for i := range all {
			if all[i], err = p.Outbox(fmt.Sprint("task ", i)); err != nil {
				t.Fatal(err)
			}
		}
		if tt.unused {
			// Another client has reached Kafka.
		} else if err := errors.Join(all[0].Send(system.Record{Stream: "known", Value: []byte("x")}), all[0].Flush(testContext(t))); err != nil {
			t.Fatal(err)
		}
		cluster.Close()
		sent := make(chan error, boxes)
		for i, o := range all {
			go func() { sent <- o.Send(system.Record{Stream: fmt.Sprint("new-", i), Value: []byte("x")}) }()
		}
		if timeout == "" {
			select {
			case err := <-sent:
				t.Errorf("it did not wait: %v", err)
				sent <- err
			case <-time.After(1500 * time.Millisecond):
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for range boxes {
			select {
			case err := <-sent:
				if err == nil || !strings.Contains(err.Error(), "stream new-") || (timeout != "") != strings.Contains(err.Error(), "systems.kafka.producer.delivery.timeout.ms") {
					t.Errorf("delivery.timeout.ms=%q: %v", timeout, err)
				}
			case <-testContext(t).Done():
				t.Fatalf("delivery.timeout.ms=%q: it waits for ever", timeout)
			}
		}
	}
}

func TestProducerHandles(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	create(t, s, "out", 1)
	a, _ := s.Producer()
	b, _ := s.Producer()
	oa, _ := a.Outbox("a")
	ob, _ := b.Outbox("b")
	if oa.(*outbox).p != ob.(*outbox).p {
		t.Error("two clients")
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := ob.Send(system.Record{Stream: "out"}); err != nil {
		t.Error(err)
	}
	if err := ob.Flush(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := ob.Send(system.Record{Stream: "out"}); err != nil {
		t.Fatal(err)
	}
	if err := ob.Flush(testContext(t)); !errors.Is(err, kgo.ErrClientClosed) {
		t.Errorf("Flush after Close: %v", err)
	}
	if err := ob.Close(); err != nil {
		t.Error(err)
	}
	if err := oa.Close(); err != nil {
		t.Error(err)
	}
	if err := oa.Send(system.Record{Stream: "out"}); !errors.Is(err, errClosed) {
		t.Errorf("Send of a closed outbox: %v", err)
	}
}

// TestPartitionsAreMade: the broker makes missing topics when it says so.
func TestPartitionsAreMade(t *testing.T) {
	cluster := fake(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := kreq.(*kmsg.DescribeConfigsRequest)
		if req.Resources[0].ResourceType != kmsg.ConfigResourceTypeBroker {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[0].ResourceType, req.Resources[0].ResourceName
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value = "auto.create.topics.enable", kmsg.StringPtr("true")
		r.Configs = append(r.Configs, c)
		resp.Resources = append(resp.Resources, r)
		return resp, nil, true
	})
	s := newSystem(t, cluster, nil)
	o := outboxOf(t, s)
	if n, err := o.Partitions(testContext(t), "new"); n != 3 || err != nil {
		t.Errorf("Partitions: %d, %v", n, err)
	}
	if err := o.Send(system.Record{Stream: "new", At: 3}); err != nil {
		t.Error(err)
	}
	if err := o.Flush(testContext(t)); err != nil {
		t.Error(err)
	}
}

// TestMissingStreamWayOut: one prefix, one sentence, and the way out.
func TestMissingStreamWayOut(t *testing.T) {
	s := newSystem(t, fake(t), nil)
	p, err := s.Producer()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Outbox("t")
	if err != nil {
		t.Fatal(err)
	}
	err = out.Send(system.Record{Stream: "nope"})
	if !errors.Is(err, system.ErrNoStream) {
		t.Fatal(err)
	}
	text := err.Error()
	for _, part := range []string{"run-job topic create kafka.nope", "streams.nope.samza.system=kafka"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in: %s", part, text)
		}
	}
	if strings.Count(text, "system kafka:") != 1 || strings.Contains(text, ".;") {
		t.Error(text)
	}
}
