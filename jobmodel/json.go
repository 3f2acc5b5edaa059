package jobmodel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/config"
	"heddle/internal/jackson"
)

// Encode gives the JSON that Samza's coordinator serves (reference: Samza's
// SamzaObjectMapper): equal in names and values to Samza's; the order of
// members, which in Samza is that of its hash maps, is sorted here.
//
// The configuration is written as it is: whoever serves it leaves the secrets
// out.
func Encode(m JobModel) []byte {
	// About 150 bytes for an input partition, and as much for its task.
	dst := make([]byte, 0, 4096+320*m.TaskCount()+100*m.Config.Len())
	dst = append(dst, `{"config":{`...)
	for n, k := range m.Config.Keys() {
		if n > 0 {
			dst = append(dst, ',')
		}
		v, _ := m.Config.Get(k)
		dst = jackson.AppendStringSurrogates(dst, k)
		dst = append(dst, ':')
		dst = jackson.AppendStringSurrogates(dst, v)
	}
	dst = append(dst, `},"containers":{`...)
	for n, id := range m.ContainerIDs() {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = jackson.AppendStringSurrogates(dst, id)
		dst = append(dst, `:{"processor-id":`...)
		dst = jackson.AppendStringSurrogates(dst, id)
		dst = append(dst, `,"tasks":{`...)
		c := m.Containers[id]
		for n, name := range c.TaskNames() {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendTask(dst, name, c.Tasks[name])
		}
		dst = append(dst, `}}`...)
	}
	dst = append(dst, `},"max-change-log-stream-partitions":`...)
	dst = strconv.AppendInt(dst, int64(m.ChangelogPartitions()), 10)
	return append(dst, '}')
}

func appendTask(dst []byte, name string, t Task) []byte {
	dst = jackson.AppendStringSurrogates(dst, name)
	dst = append(dst, `:{"task-name":`...)
	dst = jackson.AppendStringSurrogates(dst, name)
	dst = append(dst, `,"system-stream-partitions":[`...)
	for n, i := range t.Inputs {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = appendInput(dst, i, jackson.AppendStringSurrogates)
	}
	dst = append(dst, `],"changelog-partition":`...)
	dst = strconv.AppendInt(dst, int64(t.ChangelogPartition), 10)
	return append(dst, `,"task-mode":"Active"}`...)
}

// InputKey is the JSON of an input partition as Samza writes it into keys of
// the coordinator stream (set-task-partition-assignment), byte for byte: the
// members are in the order in which Java's hash map has them.
func InputKey(i Input) string { return string(appendInput(nil, i, jackson.AppendString)) }

func appendInput(dst []byte, i Input, str func([]byte, string) []byte) []byte {
	dst = append(dst, `{"system":`...)
	dst = str(dst, i.System)
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(i.Partition), 10)
	dst = append(dst, `,"stream":`...)
	dst = str(dst, i.Stream)
	return append(dst, `,"keyBucket":-1}`...)
}

// ParseInputKey reads what InputKey wrote, or Samza, with the members in any
// order. An SSP with a key bucket (elasticity) is an error.
func ParseInputKey(s string) (Input, error) {
	var v inputJSON
	if err := json.Unmarshal([]byte(s), &v, tolerant); err != nil {
		return Input{}, fmt.Errorf("read the input partition %s: %w", strings.ToValidUTF8(s, "?"), err)
	}
	i, err := v.input()
	if err != nil {
		return Input{}, fmt.Errorf("read the input partition %s: %w", strings.ToValidUTF8(s, "?"), err)
	}
	return i, nil
}

// MarshalJSON is Encode.
func (m JobModel) MarshalJSON() ([]byte, error) { return Encode(m), nil }

// UnmarshalJSON is Decode.
func (m *JobModel) UnmarshalJSON(b []byte) (err error) {
	*m, err = Decode(b)
	return err
}

// Jackson, which reads these documents in Samza, takes the last of several
// members of the same name.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

type modelJSON struct {
	Config     map[string]string        `json:"config"`
	Containers map[string]containerJSON `json:"containers"`
}

type containerJSON struct {
	ProcessorID *string             `json:"processor-id"`
	ContainerID *int64              `json:"container-id"`
	Tasks       map[string]taskJSON `json:"tasks"`
}

type taskJSON struct {
	Name      string      `json:"task-name"`
	Inputs    []inputJSON `json:"system-stream-partitions"`
	Changelog *int32      `json:"changelog-partition"`
	Mode      string      `json:"task-mode"`
}

type inputJSON struct {
	System    *string `json:"system"`
	Stream    *string `json:"stream"`
	Partition *int32  `json:"partition"`
	KeyBucket *int32  `json:"keyBucket"`
}

func (v inputJSON) input() (Input, error) {
	switch {
	case v.System == nil || v.Stream == nil || v.Partition == nil:
		return Input{}, errors.New("an input partition needs system, stream and partition")
	case *v.Partition < 0:
		return Input{}, fmt.Errorf("partition %d of %s.%s is no partition", *v.Partition, *v.System, *v.Stream)
	case v.KeyBucket != nil && *v.KeyBucket != -1:
		return Input{}, fmt.Errorf("partition %d of %s.%s has the key bucket %d, but elasticity (job.elasticity.factor) is not supported", *v.Partition, *v.System, *v.Stream, *v.KeyBucket)
	}
	return Input{*v.System, *v.Stream, *v.Partition}, nil
}

// Decode reads a JobModel. It takes what Samza's readers take: unknown members
// are ignored, keyBucket and task-mode may be missing, and before Samza 0.13 a
// container had a numeric container-id instead of its processor-id. Standby
// tasks and key buckets are errors, since running them as if they were ordinary
// ones would double the work.
func Decode(b []byte) (JobModel, error) {
	var v modelJSON
	if err := json.Unmarshal(b, &v, tolerant); err != nil {
		return JobModel{}, fmt.Errorf("read the JobModel: %w", err)
	}
	if v.Containers == nil {
		return JobModel{}, errors.New("read the JobModel: it has no containers")
	}
	m := JobModel{Config: config.New(v.Config), Containers: make(map[string]Container, len(v.Containers))}
	for _, key := range slices.Sorted(maps.Keys(v.Containers)) {
		c, err := v.Containers[key].container()
		if err != nil {
			return JobModel{}, fmt.Errorf("read the JobModel: container %q: %w", key, err)
		}
		if _, ok := m.Containers[c.ID]; ok {
			return JobModel{}, fmt.Errorf("read the JobModel: two containers have the id %q", c.ID)
		}
		m.Containers[c.ID] = c
	}
	return m, nil
}

func (v containerJSON) container() (Container, error) {
	c := Container{Tasks: make(map[string]Task, len(v.Tasks))}
	switch {
	case v.ProcessorID != nil:
		c.ID = *v.ProcessorID
	case v.ContainerID != nil:
		c.ID = strconv.FormatInt(*v.ContainerID, 10)
	default:
		return c, errors.New("it has neither processor-id nor container-id")
	}
	for key, tv := range v.Tasks {
		t := Task{Name: tv.Name}
		if t.Name == "" {
			t.Name = key
		}
		if tv.Mode != "" && tv.Mode != "Active" {
			return c, fmt.Errorf("task %q has the mode %q; standby tasks (job.standbytasks.replication.factor) are not supported", t.Name, tv.Mode)
		}
		if tv.Changelog == nil || *tv.Changelog < 0 {
			return c, fmt.Errorf("task %q has no changelog-partition", t.Name)
		}
		t.ChangelogPartition = *tv.Changelog
		t.Inputs = make([]Input, 0, len(tv.Inputs))
		for _, iv := range tv.Inputs {
			i, err := iv.input()
			if err != nil {
				return c, fmt.Errorf("task %q: %w", t.Name, err)
			}
			t.Inputs = append(t.Inputs, i)
		}
		slices.SortFunc(t.Inputs, CompareInputs)
		if _, ok := c.Tasks[t.Name]; ok {
			return c, fmt.Errorf("two tasks are called %q", t.Name)
		}
		c.Tasks[t.Name] = t
	}
	return c, nil
}
