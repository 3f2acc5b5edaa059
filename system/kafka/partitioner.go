package kafka

import (
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/system"
)

// The choice of a record's partition is made when the client buffers it, with
// the number of partitions that the client knows then. Until then the fields
// that a producer leaves unset hold what it depends on: Partition is one of
// these or the partition itself, Offset the hash.
const (
	byBytes int32 = -1 // murmur2 of the key; without a key, the sticky choice
	byHash  int32 = -2 // Samza's choice for the hash in Offset
)

// chooser is the client's partitioner (kgo.Partitioner): Samza's for keys that
// Java could hash, Kafka's for the others.
type chooser struct {
	// stickyBytes is after how many bytes of keyless records another partition's
	// turn comes (Kafka: batch.size).
	stickyBytes int
}

func (c chooser) ForTopic(string) kgo.TopicPartitioner {
	return &topicChooser{stickyBytes: c.stickyBytes, sticky: -1}
}

type topicChooser struct {
	stickyBytes int
	sticky      int // the partition of keyless records, of those that can be written
	used        int // bytes that went there
}

// RequiresConsistency: only keyless records may avoid partitions without a
// leader.
func (t *topicChooser) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition != byBytes || r.Key != nil
}

func (t *topicChooser) Partition(r *kgo.Record, n int) int {
	switch {
	case r.Partition >= 0:
		return int(r.Partition)
	case r.Partition == byHash:
		return int(system.HashPartition(int32(r.Offset), int32(n)))
	case r.Key != nil:
		return int(system.BytesPartition(r.Key, int32(n)))
	}
	if t.sticky < 0 || t.sticky >= n || t.used >= t.stickyBytes {
		next := rand.IntN(n)
		if next == t.sticky && n > 1 {
			next = (next + 1) % n
		}
		t.sticky, t.used = next, 0
	}
	t.used += len(r.Value)
	return t.sticky
}
