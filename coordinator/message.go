package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/internal/jackson"
	"heddle/jobmodel"
)

// Type is the kind of a message of the coordinator stream.
type Type string

// The types that are read and written here; all others are left alone.
const (
	// TypeConfig holds one key of the configuration.
	TypeConfig Type = "set-config"
	// TypeHost holds the host on which a container ran last.
	TypeHost Type = "set-container-host-assignment"
	// TypeContainer holds the container of a task.
	TypeContainer Type = "set-task-container-assignment"
	// TypeMode holds a task's mode, Active or Standby.
	TypeMode Type = "set-task-mode-assignment"
	// TypePartition holds the tasks of an input partition.
	TypePartition Type = "set-task-partition-assignment"
	// TypeChangelog holds the changelog partition of a task.
	TypeChangelog Type = "set-changelog"
)

// envelope tells whether values of the type have the usual form (host, source,
// values, ...); those of types that are not known here may have any.
func (t Type) envelope() bool {
	switch t {
	case TypeConfig, TypeHost, TypeContainer, TypeMode, TypePartition, TypeChangelog:
		return true
	}
	return false
}

// Sources: who wrote a message, as Samza names them.
const (
	// SourceSubmit writes the configuration at submit.
	SourceSubmit = "job-runner"
	// SourceStore is the writer of everything that an application master or a
	// container keeps.
	SourceStore = "SamzaContainer"
	// SourceWriter writes single keys of the configuration later, such as
	// yarn.am.tracking.url.
	SourceWriter = "coordinator-stream-writer"
)

// Message is one message of the coordinator stream. The last one of a Type and
// Key counts.
type Message struct {
	Type Type
	Key  string
	// Source is who wrote it; a deletion has none.
	Source string
	// Values is the content; nil deletes the key.
	Values map[string]string
}

// SetConfig sets a key of the configuration; source is SourceSubmit or
// SourceWriter.
func SetConfig(key, value, source string) Message {
	return Message{TypeConfig, key, source, map[string]string{"value": value}}
}

// SetHost says on which host a container runs (Samza: SetContainerHostMapping).
// It is written only with host affinity.
func SetHost(containerID, host string) Message {
	return Message{TypeHost, containerID, SourceStore, map[string]string{"host": host, "jmx-url": "", "jmx-tunneling-url": ""}}
}

// SetContainer says which container runs a task.
func SetContainer(task, containerID string) Message {
	return Message{TypeContainer, task, SourceStore, map[string]string{"containerId": containerID}}
}

// SetMode says that a task is active.
func SetMode(task string) Message {
	return Message{TypeMode, task, SourceStore, map[string]string{"taskMode": "Active"}}
}

// SetPartition says which tasks read an input partition.
func SetPartition(i jobmodel.Input, tasks []string) Message {
	return Message{TypePartition, jobmodel.InputKey(i), SourceStore, map[string]string{"taskNames": string(appendNames(nil, tasks))}}
}

func appendNames(dst []byte, names []string) []byte {
	dst = append(dst, '[')
	for i, n := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jackson.AppendString(dst, n)
	}
	return append(dst, ']')
}

// SetChangelog says which partition of the changelogs is a task's.
func SetChangelog(task string, partition int32) Message {
	return Message{TypeChangelog, task, SourceStore, map[string]string{"Partition": strconv.Itoa(int(partition))}}
}

// Delete removes a key of a type.
func Delete(t Type, key string) Message { return Message{Type: t, Key: key} }

// keyVersion is the version in every key (Samza: CoordinatorStreamMessage).
const keyVersion = 1

// EncodeKey gives a message's key, byte for byte as Samza writes it: compaction
// compares bytes.
func EncodeKey(t Type, key string) []byte {
	dst := make([]byte, 0, len(t)+len(key)+16)
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, keyVersion, 10)
	dst = append(dst, ',')
	dst = jackson.AppendString(dst, string(t))
	dst = append(dst, ',')
	dst = jackson.AppendString(dst, key)
	return append(dst, ']')
}

// Identity says who writes, in every message.
type Identity struct {
	// Host is the writer's IP address, User its user's name.
	Host, User string
}

// EncodeValue gives a message's value: a JSON object with the members in the
// order in which Samza's hash map has them; nil for a deletion. Time is in
// milliseconds since the Unix epoch.
func EncodeValue(m Message, by Identity, ms int64) []byte {
	if m.Values == nil {
		return nil
	}
	dst := make([]byte, 0, 256)
	dst = append(dst, `{"host":`...)
	dst = jackson.AppendString(dst, by.Host)
	dst = append(dst, `,"source":`...)
	dst = jackson.AppendString(dst, m.Source)
	dst = append(dst, `,"values":{`...)
	for i, k := range slices.Sorted(maps.Keys(m.Values)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = jackson.AppendString(dst, k)
		dst = append(dst, ':')
		dst = jackson.AppendString(dst, m.Values[k])
	}
	dst = append(dst, `},"username":`...)
	dst = jackson.AppendString(dst, by.User)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, ms, 10)
	return append(dst, '}')
}

// tolerant reads what Jackson reads.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

var errKey = errors.New(`expected a key like [1,"set-config","job.name"]`)

// DecodeKey reads a message's key.
func DecodeKey(b []byte) (Type, string, error) {
	var parts []jsontext.Value
	if err := json.Unmarshal(b, &parts, tolerant); err != nil {
		return "", "", fmt.Errorf("%w: %w", errKey, err)
	}
	var version int
	var t, key string
	if len(parts) != 3 || json.Unmarshal(parts[0], &version) != nil || parts[1].Kind() != '"' || parts[2].Kind() != '"' ||
		json.Unmarshal(parts[1], &t, tolerant) != nil || json.Unmarshal(parts[2], &key, tolerant) != nil {
		return "", "", errKey
	}
	if version != keyVersion {
		return "", "", fmt.Errorf("a message of version %d, only version %d is known", version, keyVersion)
	}
	return Type(t), key, nil
}

// Value is the content of a message that was read.
type Value struct {
	// Source and Values are as in Message; Time is when it was written, in ms
	// since the Unix epoch. They are empty for types that are not known here.
	Source string
	Values map[string]string
	Time   int64
	// Raw is the value as it was read.
	Raw []byte
}

// DecodeValue reads a message's value that is no deletion. Members that are not
// known are ignored, values that are no strings keep their JSON text.
func DecodeValue(b []byte) (Value, error) {
	var v struct {
		Source string                    `json:"source"`
		Values map[string]jsontext.Value `json:"values"`
		Time   jsontext.Value            `json:"timestamp"`
	}
	if err := json.Unmarshal(b, &v, tolerant); err != nil {
		return Value{}, fmt.Errorf("expected a JSON object with values: %w", err)
	}
	if v.Values == nil {
		return Value{}, errors.New("expected a JSON object with values")
	}
	out := Value{Source: v.Source, Values: make(map[string]string, len(v.Values)), Raw: b}
	// A time that is no number is nobody's loss.
	_ = json.Unmarshal(v.Time, &out.Time)
	for k, raw := range v.Values {
		switch raw.Kind() {
		case 'n':
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s, tolerant); err != nil {
				return Value{}, fmt.Errorf("value %q: %w", k, err)
			}
			out.Values[k] = s
		default:
			out.Values[k] = string(raw)
		}
	}
	return out, nil
}
