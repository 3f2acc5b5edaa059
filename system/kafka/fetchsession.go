package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchSession lets a broker remember what is asked for (KIP-227), so that a
// request holds only what changed: with a thousand partitions of which few have
// something new, that is most of the cost. It does no I/O.
type fetchSession struct {
	// id is 0 without a session; epoch counts the requests, 0 asks for a new
	// session, -1 for none.
	id, epoch int32
	// refused counts sessions that the broker would not begin; after
	// maxRefusals none is asked for.
	refused int
	request int      // number of the last request
	members []*input // what the broker has, in no order
}

const maxRefusals = 2

// membership is what a session knows of a partition.
type membership struct {
	session *fetchSession
	request int // the last that wanted it
	kept    int // the last whose clean-up saw it
	from    int64
	epoch   int32
}

// fill writes what changed into the request: wants is all that is wanted now. If
// the request fails the session is to be reset.
func (s *fetchSession) fill(req *kmsg.FetchRequest, wants []*input, maxBytes int32) {
	if s.refused >= maxRefusals {
		s.id, s.epoch = 0, -1
	}
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	full := s.epoch <= 0
	if full {
		s.members = s.members[:0]
	}
	s.request++
	for _, in := range wants {
		m := &in.member
		known := m.session == s && !full
		if !known {
			s.members = append(s.members, in)
		}
		if !known || m.from != in.next || m.epoch != in.leaderEpoch {
			t := topicOf(req, in)
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = in.partition, in.next, in.leaderEpoch, fetchBytes(maxBytes, in.recordBytes)
			t.Partitions = append(t.Partitions, p)
		}
		m.session, m.request, m.from, m.epoch = s, s.request, in.next, in.leaderEpoch
	}
	left := s.members[:0]
	for _, in := range s.members {
		m := &in.member
		switch {
		case m.session == s && m.request == s.request:
			if m.kept != s.request { // it may have gone and come back
				m.kept = s.request
				left = append(left, in)
			}
		default:
			forget(req, in)
			if m.session == s {
				m.session = nil
			}
		}
	}
	clear(s.members[len(left):])
	s.members = left
}

const (
	// fetchRecords is about how many records of a partition are asked for at once: a
	// hundred bytes each fill what is asked for of a partition by default. Of small
	// or well packed ones the same bytes would make many times as many messages,
	// which take far more memory than their bytes.
	fetchRecords = 10_000
	// leastFetch is the least that is asked for.
	leastFetch = 64 << 10
)

// fetchBytes is how much of a partition is asked for, most bytes at most, if its
// records took so many bytes each at last; 0: that is not known.
func fetchBytes(most, record int32) int32 {
	if record <= 0 {
		return most
	}
	return min(most, int32(min(max(int64(record)*fetchRecords, leastFetch), math.MaxInt32)))
}

func topicOf(req *kmsg.FetchRequest, in *input) *kmsg.FetchRequestTopic {
	// Partitions of a topic come one after the other.
	if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == in.topic {
		return &req.Topics[n-1]
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = in.topic, in.id
	req.Topics = append(req.Topics, t)
	return &req.Topics[len(req.Topics)-1]
}

func forget(req *kmsg.FetchRequest, in *input) {
	if n := len(req.ForgottenTopics); n == 0 || req.ForgottenTopics[n-1].Topic != in.topic {
		t := kmsg.NewFetchRequestForgottenTopic()
		t.Topic, t.TopicID = in.topic, in.id
		req.ForgottenTopics = append(req.ForgottenTopics, t)
	}
	t := &req.ForgottenTopics[len(req.ForgottenTopics)-1]
	t.Partitions = append(t.Partitions, in.partition)
}

// answered takes a good answer's session id; 0 means that the broker has no
// room for a session.
func (s *fetchSession) answered(id int32) {
	switch {
	case s.epoch < 0:
	case id == 0:
		s.reset()
		s.refused++
	default:
		s.refused = 0
		s.id = id
		if s.epoch++; s.epoch == math.MaxInt32 {
			s.epoch = 1
		}
	}
}

// reset forgets the session: the next request asks for a new one.
func (s *fetchSession) reset() { s.id, s.epoch = 0, 0 }
