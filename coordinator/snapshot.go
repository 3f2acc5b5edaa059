package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"heddle/config"
	"heddle/jobmodel"
)

// Snapshot is the content of a coordinator stream up to some message: the last
// value of every type and key that is not deleted. The zero value is that of an
// empty stream.
type Snapshot struct {
	entries map[Type]map[string]Value
	// Skipped counts messages whose key is none of Samza's, and FirstSkipped
	// says why the first was. They are passed over, since a compacted topic
	// keeps them for ever.
	Skipped      int
	FirstSkipped string
}

// Apply adds one message; a nil value deletes. A key that cannot be read is
// skipped; a value of a known type that cannot be read is an error.
func (s *Snapshot) Apply(offset int64, key, value []byte) error {
	t, k, err := DecodeKey(key)
	if err != nil {
		s.Skipped++
		if s.Skipped == 1 {
			s.FirstSkipped = fmt.Sprintf("offset %d: %v", offset, err)
		}
		return nil
	}
	if value == nil {
		delete(s.entries[t], k)
		return nil
	}
	v := Value{Raw: value}
	if t.envelope() {
		if v, err = DecodeValue(value); err != nil {
			return fmt.Errorf("offset %d, %s %q: %w", offset, t, k, err)
		}
	}
	if s.entries == nil {
		s.entries = map[Type]map[string]Value{}
	}
	if s.entries[t] == nil {
		s.entries[t] = map[string]Value{}
	}
	s.entries[t][k] = v
	return nil
}

// All gives the values of a type by key; they must not be changed.
func (s *Snapshot) All(t Type) map[string]Value { return s.entries[t] }

// Config is the configuration that the stream holds, with secrets only if
// somebody wrote them there.
func (s *Snapshot) Config() config.Config {
	m := make(map[string]string, len(s.entries[TypeConfig]))
	for k, v := range s.entries[TypeConfig] {
		m[k] = v.Values["value"]
	}
	return config.New(m)
}

// Locality gives the last host of each container that has one.
func (s *Snapshot) Locality() map[string]string {
	m := map[string]string{}
	for id, v := range s.entries[TypeHost] {
		if h := v.Values["host"]; h != "" {
			m[id] = h
		}
	}
	return m
}

// Previous is what the last start of a job left in its coordinator stream.
type Previous struct {
	jobmodel.Previous
	// Standby are the tasks of Samza's standby containers.
	Standby []string
	// Hosts is where each container ran last (only with host affinity).
	Hosts map[string]string
	// InputKeys holds, for input partitions whose key is not spelled as Samza
	// spells it, the keys that there are.
	InputKeys map[jobmodel.Input][]string
}

// Previous gives the assignments. A message that makes no sense is an error that
// names it: guessing would give a task another one's state.
func (s *Snapshot) Previous() (Previous, error) {
	p := Previous{
		Previous: jobmodel.Previous{
			Containers: map[string]string{},
			Inputs:     map[jobmodel.Input][]string{},
			Changelog:  map[string]int32{},
		},
		Hosts: s.Locality(),
	}
	// A task without a mode is active: Samza did not always write modes.
	standby := map[string]bool{}
	for task, v := range s.entries[TypeMode] {
		switch mode := v.Values["taskMode"]; mode {
		case "Standby":
			standby[task] = true
		case "Active", "":
		default:
			return Previous{}, fmt.Errorf("%s of %q: no mode is called %q", TypeMode, task, mode)
		}
	}
	p.Standby = slices.Sorted(maps.Keys(standby))
	for task, v := range s.entries[TypeContainer] {
		if id := v.Values["containerId"]; id != "" && !standby[task] {
			p.Containers[task] = id
		}
	}
	for key, v := range s.entries[TypePartition] {
		i, err := jobmodel.ParseInputKey(key)
		if err != nil {
			return Previous{}, fmt.Errorf("%s: %w", TypePartition, err)
		}
		var names []string
		if err := json.Unmarshal([]byte(v.Values["taskNames"]), &names, tolerant); err != nil {
			return Previous{}, fmt.Errorf("%s of %s: the task names %q are no JSON array of strings: %w", TypePartition, i, v.Values["taskNames"], err)
		}
		for _, n := range names {
			if !standby[n] && !slices.Contains(p.Inputs[i], n) {
				p.Inputs[i] = append(p.Inputs[i], n)
			}
		}
		if key != jobmodel.InputKey(i) {
			if p.InputKeys == nil {
				p.InputKeys = map[jobmodel.Input][]string{}
			}
			p.InputKeys[i] = append(p.InputKeys[i], key)
		}
	}
	for i := range p.Inputs {
		slices.Sort(p.Inputs[i])
	}
	for task, v := range s.entries[TypeChangelog] {
		text := strings.TrimSpace(v.Values["Partition"])
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return Previous{}, fmt.Errorf("%s of %q: %q is no partition", TypeChangelog, task, text)
		}
		p.Changelog[task] = int32(n)
	}
	return p, nil
}
