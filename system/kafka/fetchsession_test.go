package kafka

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// asked shows a request: "id/epoch +topic/partition@offset ... -topic/partition".
func asked(req *kmsg.FetchRequest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d", req.SessionID, req.SessionEpoch)
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, " +%s/%d@%d", t.Topic, p.Partition, p.FetchOffset)
		}
	}
	var forgotten []string
	for _, t := range req.ForgottenTopics {
		for _, p := range t.Partitions {
			forgotten = append(forgotten, fmt.Sprintf(" -%s/%d", t.Topic, p))
		}
	}
	slices.Sort(forgotten)
	return b.String() + strings.Join(forgotten, "")
}

func TestFetchSession(t *testing.T) {
	a, b, c := &input{topic: "t"}, &input{topic: "t", partition: 1}, &input{topic: "u"}
	var s, other fetchSession
	ask := func(s *fetchSession, wants ...*input) string {
		req := kmsg.NewPtrFetchRequest()
		s.fill(req, wants, 1)
		return asked(req)
	}
	for i, tt := range []struct {
		do   func() string
		want string
	}{
		{func() string { return ask(&s, a, b, c) }, "0/0 +t/0@0 +t/1@0 +u/0@0"},
		{func() string { s.answered(9); return ask(&s, a, b, c) }, "9/1"},
		{func() string { s.answered(9); b.next = 5; return ask(&s, a, b, c) }, "9/2 +t/1@5"},
		{func() string { s.answered(9); return ask(&s, a, c) }, "9/3 -t/1"},
		{func() string { s.answered(9); return ask(&s, a, b, c) }, "9/4 +t/1@5"},
		{func() string { s.answered(9); b.leaderEpoch++; return ask(&s, a, b, c) }, "9/5 +t/1@5"},
		// One goes to another broker and comes back.
		{func() string { return ask(&other, b) }, "0/0 +t/1@5"},
		{func() string { s.answered(9); return ask(&s, a, c) }, "9/6 -t/1"},
		{func() string { s.answered(9); return ask(&s, a, b, c) }, "9/7 +t/1@5"},
		{func() string { return ask(&other, b) }, "0/0 +t/1@5"},
		{func() string { s.answered(9); return ask(&s, a, b, c) }, "9/8 +t/1@5"},
		{func() string { s.answered(9); return ask(&s, a, b, c) }, "9/9"},
		{func() string { s.answered(9); return ask(&s) }, "9/10 -t/0 -t/1 -u/0"},
		// A failure begins anew.
		{func() string { s.reset(); return ask(&s, a, b) }, "0/0 +t/0@0 +t/1@5"},
		{func() string { s.answered(10); return ask(&s, a, b) }, "10/1"},
		// The count goes round.
		{func() string { s.epoch = math.MaxInt32 - 1; s.answered(10); return ask(&s, a, b) }, "10/1"},
		// A broker without room is not asked for ever.
		{func() string { s.answered(0); return ask(&s, a) }, "0/0 +t/0@0"},
		{func() string { s.answered(0); return ask(&s, a) }, "0/-1 +t/0@0"},
		{func() string { s.answered(0); return ask(&s, a, b) }, "0/-1 +t/0@0 +t/1@5"},
	} {
		if got := tt.do(); got != tt.want {
			t.Fatalf("step %d: %s, want %s", i, got, tt.want)
		}
	}
}

// TestRequestsHoldWhatChanged: with many partitions of which one has something
// new, a request names few.
func TestRequestsHoldWhatChanged(t *testing.T) {
	const partitions = 100
	cluster := fake(t)
	s := newSystem(t, cluster, nil)
	create(t, s, "in", partitions)
	c := consumerAt(t, s, "in", make([]int64, partitions)...)
	fill(t, s, "in", 0, 1)
	drain(t, c, map[string]int64{"in/0": 1})
	most := make(chan int, 1)
	most <- 0
	cluster.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		n := 0
		for _, t := range kreq.(*kmsg.FetchRequest).Topics {
			n += len(t.Partitions)
		}
		most <- max(<-most, n)
		return nil, nil, false
	})
	for i := range int64(20) {
		fill(t, s, "in", 0, 1)
		drain(t, c, map[string]int64{"in/0": i + 2})
	}
	if n := <-most; n > 1 {
		t.Errorf("a request named %d partitions", n)
	}
}

// TestWithoutFetchSessions: a broker that has no room for sessions, or loses
// them, is read all the same.
func TestWithoutFetchSessions(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"no room": {Keys: []kmsg.Key{kmsg.Fetch}, TopLevel: true, Err: kerr.FetchSessionIDNotFound, Count: -1, When: func(r kmsg.Request) bool {
			return r.(*kmsg.FetchRequest).SessionEpoch >= 0
		}},
		"lost": {Keys: []kmsg.Key{kmsg.Fetch}, TopLevel: true, Err: kerr.InvalidFetchSessionEpoch, Count: 10, When: func(r kmsg.Request) bool {
			return r.(*kmsg.FetchRequest).SessionEpoch > 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := fake(t)
			s := newSystem(t, cluster, nil)
			create(t, s, "in", 3)
			cluster.Fault(fault)
			c := consumerAt(t, s, "in", 0, 0, 0)
			for i := range int64(10) {
				fill(t, s, "in", int32(i%3), 5)
				drain(t, c, map[string]int64{fmt.Sprint("in/", i%3): 5 * (i/3 + 1)})
			}
		})
	}
}

// TestFollowers: with client.rack the leader may send the reader to a follower.
func TestFollowers(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(2))
	s := newSystem(t, cluster, map[string]string{"consumer.client.rack": "r"})
	create(t, s, "in", 1)
	leader := cluster.LeaderFor("in", 0)
	follower := 1 - leader
	cluster.SetFollowers("in", 0, []int32{follower})
	fill(t, s, "in", 0, 10)
	from := make(chan int32, 100)
	cluster.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		from <- cluster.CurrentNode()
		if cluster.CurrentNode() != leader || len(req.Topics) == 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.PreferredReadReplica = follower
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	drain(t, consumerAt(t, s, "in", 0), map[string]int64{"in/0": 10})
	if first, second := <-from, <-from; first != leader || second != follower {
		t.Errorf("fetched from %d, then %d; the leader is %d", first, second, leader)
	}
}

// TestLogsPart: a new leader whose log parts from what was read is followed, with
// a warning.
func TestLogsPart(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(2))
	s, log := newSystemWithLog(t, cluster, nil)
	create(t, s, "in", 1)
	fill(t, s, "in", 0, 10)
	c := consumerAt(t, s, "in", 0)
	drain(t, c, map[string]int64{"in/0": 10})
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req := kreq.(*kmsg.OffsetForLeaderEpochRequest)
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = req.Topics[0].Topic
		rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		rp.Partition, rp.LeaderEpoch, rp.EndOffset = 0, req.Topics[0].Partitions[0].LeaderEpoch, 7
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	if err := cluster.MoveTopicPartition("in", 0, 1-cluster.LeaderFor("in", 0)); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, c, map[string]int64{"in/0": 10}); len(got["in/0"]) != 3 || got["in/0"][0].Offset != 7 {
		t.Errorf("%d messages again, want 7 to 9", len(got["in/0"]))
	}
	if !strings.Contains(log.String(), "where the logs part") {
		t.Errorf("no warning: %s", log)
	}
}

// TestFetchBytes: small records are asked for by their number.
func TestFetchBytes(t *testing.T) {
	for _, tt := range []struct{ most, record, want int32 }{
		{1 << 20, 0, 1 << 20},             // not known yet
		{1 << 20, 120, 1 << 20},           // as much as may be
		{1 << 20, 21, 210_000},            // by number
		{1 << 20, 1, leastFetch},          // packed well
		{1 << 20, 1 << 30, 1 << 20},       // one that is larger than all
		{1000, 1, 1000},                   // what was set is kept to
		{1<<31 - 1, 1<<31 - 1, 1<<31 - 1}, // nothing wraps around
	} {
		if got := fetchBytes(tt.most, tt.record); got != tt.want {
			t.Errorf("%d, %d: %d, want %d", tt.most, tt.record, got, tt.want)
		}
	}
}
