package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"heddle/config"
	"heddle/system"
)

// Facts is what the decisions about topics follow from.
type Facts struct {
	// Systems by name: those that the job's streams lie in.
	Systems map[string]SystemFacts
}

// SystemFacts is what is known of one system.
type SystemFacts struct {
	Streams map[string]system.StreamInfo
	Brokers int
	// AutoCreates says that the brokers make missing topics by themselves.
	AutoCreates bool
	// Embedded is the Kafka in the process: new topics get EmbeddedPartitions
	// partitions unless set.
	Embedded bool
	// Cluster names the servers, and Transactions is why the job's transactions
	// could not be had there; asked only for exactly-once.
	Cluster      string
	Transactions error
}

// EmbeddedPartitions is the number of partitions of a new topic of the embedded
// Kafka, unless streams.*.partition.count is set.
const EmbeddedPartitions = 4

// Creation is one topic to be made.
type Creation struct {
	System string
	Spec   system.StreamSpec
	// Why says for what, to people.
	Why string
}

// Failed says which topic could not be made, and why.
func (c Creation) Failed(err error) error {
	return fmt.Errorf("make the %s topic %s.%s: %w", c.Why, c.System, c.Spec.Name, err)
}

// Missing is a topic that is needed, not there, and not to be made.
type Missing struct {
	Stream config.SystemStream
	// Input is true for an input, false for an output.
	Input bool
	// Key is the configuration's key that names it, Origin its place.
	Key    string
	Origin config.Origin
	// Partitions is the number that is set for it; 0 if none is.
	Partitions int
}

// Error shows the command that makes the topic.
func (m *Missing) Error() string {
	what := "output"
	if m.Input {
		what = "input"
	}
	n := m.Partitions
	if n == 0 {
		n = EmbeddedPartitions
	}
	hint := ""
	if !m.Input {
		hint = fmt.Sprintf(", or set streams.%s.partition.count so that it is made at the start", m.Stream.Stream)
	}
	at := m.Key
	if m.Origin.Source != "" {
		at = m.Origin.String() + ": " + m.Key
	}
	return fmt.Sprintf("%s: the %s topic %s does not exist; make it with: bin/run-job.sh topic create %s --partitions=%d --config-path=...%s",
		at, what, m.Stream, m.Stream, n, hint)
}

// ExitCode is 2: the contract's code for a missing topic.
func (m *Missing) ExitCode() int { return 2 }

// Topics decides which of the job's inputs and outputs have to be made. Inputs
// have to be there, unless their first records are preloaded; outputs are made
// if streams.* says how many partitions they get, or are left to brokers that
// make topics by themselves. All missing ones are reported at once.
func Topics(c config.Config, f Facts) ([]Creation, error) {
	inputs, err := config.Inputs(c)
	if err != nil {
		return nil, err
	}
	broadcast, err := config.BroadcastStreams(c)
	if err != nil {
		return nil, err
	}
	preloaded := map[config.SystemStream]string{}
	for _, p := range config.Preloads(c) {
		preloaded[config.Physical(c, p.Stream.System, p.Stream.Stream)] = p.ConfigKey
	}
	configured, err := config.Streams(c)
	if err != nil {
		return nil, err
	}
	need := map[config.SystemStream]bool{} // true: it is an input
	keys := map[config.SystemStream]string{}
	for _, s := range inputs {
		need[s], keys[s] = true, "task.inputs"
	}
	for _, s := range broadcast {
		if !need[s] {
			need[s], keys[s] = true, config.TaskBroadcastInputs.Name()
		}
	}
	stores, err := config.Stores(c)
	if err != nil {
		return nil, err
	}
	for _, st := range stores {
		for _, s := range st.SideInputs {
			if !need[s] {
				need[s], keys[s] = true, config.StoreSideInputs.Name(st.Name)
			}
		}
	}
	named := slices.Collect(maps.Keys(preloaded))
	for _, s := range configured {
		named = append(named, s.SystemStream)
	}
	for _, s := range named {
		if !need[s] {
			need[s] = false
		}
	}
	var create []Creation
	var errs []error
	names := slices.SortedFunc(maps.Keys(need), func(a, b config.SystemStream) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, s := range names {
		facts, known := f.Systems[s.System]
		if !known {
			continue
		}
		if _, there := facts.Streams[s.Stream]; there {
			continue
		}
		sc, err := config.Stream(c, s.System, s.Stream)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		isInput, loaded := need[s], preloaded[s]
		partitions := sc.Partitions
		if partitions == 0 && (facts.Embedded || loaded != "") {
			partitions = EmbeddedPartitions
		}
		switch {
		case loaded != "", !isInput && partitions > 0:
			spec, err := specOf(c, sc, partitions, facts.Brokers)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			why := "output"
			if loaded != "" {
				why = "preloaded input"
			}
			create = append(create, Creation{System: s.System, Spec: spec, Why: why})
		case !isInput && facts.AutoCreates:
		case isInput:
			errs = append(errs, &Missing{Stream: s, Input: true, Key: keys[s], Origin: c.Origin(keys[s]), Partitions: sc.Partitions})
		default:
			key := "streams." + sc.ID
			errs = append(errs, &Missing{Stream: s, Key: key, Origin: originBelow(c, key+".")})
		}
	}
	return create, errors.Join(errs...)
}

// specOf is how a stream is made.
func specOf(c config.Config, s config.StreamConfig, partitions, brokers int) (system.StreamSpec, error) {
	factor, err := config.ReplicationFactor(c, config.ForStream(c, s.System, s.Stream), brokers)
	if err != nil {
		return system.StreamSpec{}, err
	}
	return system.StreamSpec{Name: s.Stream, Partitions: int32(partitions), ReplicationFactor: factor, Settings: s.Topic}, nil
}

// originBelow is where the first key with the prefix stands.
func originBelow(c config.Config, prefix string) config.Origin {
	if keys := c.Subset(prefix, false).Keys(); len(keys) > 0 {
		return c.Origin(keys[0])
	}
	return config.Origin{}
}
