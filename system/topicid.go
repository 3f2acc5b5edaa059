package system

import (
	"encoding/base64"
	"fmt"
)

// TopicID tells a stream from an earlier one of the same name that was deleted,
// as offsets cannot (Kafka: the topic id). The zero value is that of a system
// that gives none.
type TopicID [16]byte

// String is the text that Kafka's tools show; "" for the zero value.
func (id TopicID) String() string {
	if id == (TopicID{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// ParseTopicID reads what String gave.
func ParseTopicID(text string) (TopicID, error) {
	var id TopicID
	if text == "" {
		return id, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%.40q is no topic id", text)
	}
	return TopicID(b), nil
}

// Other tells if both are known and are not the same stream.
func (id TopicID) Other(than TopicID) bool {
	return id != than && id != (TopicID{}) && than != (TopicID{})
}
