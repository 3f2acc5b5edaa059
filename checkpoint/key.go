package checkpoint

import "fmt"

// Key is the key of a record in a checkpoint topic (Samza:
// KafkaCheckpointLogKey).
type Key struct {
	// Grouper is Samza's class name of the grouper of partitions into tasks: a
	// checkpoint of one grouper means nothing under another.
	Grouper string
	// TaskName is the task's.
	TaskName string
	// Type is TypeV1 or TypeV2; others are of versions to come.
	Type string
}

// Types of keys.
const (
	TypeV1 = "checkpoint"
	TypeV2 = "checkpoint-v2"
)

// Version is 1 or 2; 0 for an unknown type.
func (k Key) Version() int {
	switch k.Type {
	case TypeV1:
		return 1
	case TypeV2:
		return 2
	}
	return 0
}

// KafkaBackend is the name under which version 2 holds the positions of
// changelogs.
const KafkaBackend = "org.apache.samza.storage.KafkaChangelogStateBackendFactory"

// AppendKey writes a key byte for byte as Samza does, which compaction relies
// on: three fields in this order, no spaces.
func AppendKey(dst []byte, k Key) []byte {
	dst = append(dst, `{"systemstreampartition-grouper-factory":`...)
	dst = quote(dst, k.Grouper)
	dst = append(dst, `,"taskName":`...)
	dst = quote(dst, k.TaskName)
	dst = append(dst, `,"type":`...)
	dst = quote(dst, k.Type)
	return append(dst, '}')
}

// ParseKey reads a key, its fields in any order.
func ParseKey(b []byte) (Key, error) {
	var k struct {
		Grouper  *string `json:"systemstreampartition-grouper-factory"`
		TaskName *string `json:"taskName"`
		Type     *string `json:"type"`
	}
	if err := unmarshal(b, &k); err != nil {
		return Key{}, fmt.Errorf("checkpoint key: %w", err)
	}
	if k.Grouper == nil || k.TaskName == nil || k.Type == nil {
		return Key{}, fmt.Errorf("checkpoint key %.200q: it has to have the fields systemstreampartition-grouper-factory, taskName and type", b)
	}
	return Key{*k.Grouper, *k.TaskName, *k.Type}, nil
}
