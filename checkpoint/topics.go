package checkpoint

import (
	"slices"
	"strings"

	"heddle/system"
	"heddle/task"
)

// topicsHeader is the key of the header with the ids of topics. Its value is a
// JSON object: "system.stream" is the id in Kafka's text form.
const topicsHeader = "heddle.topic.ids"

// guaranteeHeader is the key of the header that says, with the value
// exactlyOnceValue, that the checkpoint is part of a transaction of its task. There
// is none otherwise.
const (
	guaranteeHeader  = "heddle.guarantee"
	exactlyOnceValue = "exactly-once"
)

// headers are those of a record of the checkpoint; nil if there is nothing to say.
// Samza looks at none.
func headers(c Checkpoint, transactional bool) []task.Header {
	var out []task.Header
	if value := appendTopics(nil, c.Topics); value != nil {
		out = append(out, task.Header{Key: topicsHeader, Value: value})
	}
	if transactional {
		out = append(out, task.Header{Key: guaranteeHeader, Value: []byte(exactlyOnceValue)})
	}
	return out
}

func exactlyOnce(headers []task.Header) bool {
	return string(headerValue(headers, guaranteeHeader)) == exactlyOnceValue
}

// appendTopics appends the header's value, in the order of the streams' names;
// nothing if no id is known.
func appendTopics(dst []byte, topics map[system.StreamID]system.TopicID) []byte {
	streams := make([]system.StreamID, 0, len(topics))
	for id, topic := range topics {
		if topic != (system.TopicID{}) {
			streams = append(streams, id)
		}
	}
	if len(streams) == 0 {
		return dst
	}
	slices.SortFunc(streams, func(a, b system.StreamID) int { return strings.Compare(a.String(), b.String()) })
	for i, id := range streams {
		dst = append(dst, "{,"[min(i, 1)])
		dst = quote(dst, id.String())
		dst = append(dst, ':')
		dst = quote(dst, topics[id].String())
	}
	return append(dst, '}')
}

// headerValue is the value of a header; nil if there is none.
func headerValue(headers []task.Header, key string) []byte {
	for _, h := range headers {
		if h.Key == key {
			return h.Value
		}
	}
	return nil
}

// parseTopics reads the header's value. What cannot be read is not known, which
// is as with checkpoints that have no header.
func parseTopics(value []byte) map[system.StreamID]system.TopicID {
	var texts map[string]string
	if value == nil || unmarshal(value, &texts) != nil {
		return nil
	}
	topics := map[system.StreamID]system.TopicID{}
	for name, text := range texts {
		sys, stream, ok := strings.Cut(name, ".")
		topic, err := system.ParseTopicID(text)
		if ok && err == nil && topic != (system.TopicID{}) {
			topics[system.StreamID{System: sys, Stream: stream}] = topic
		}
	}
	return topics
}
