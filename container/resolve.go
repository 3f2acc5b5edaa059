package container

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/serde"
	"heddle/system"
	"heddle/task"
)

// resolver turns names of streams into what the configuration says of them,
// once for each.
type resolver struct {
	config config.Config

	mu      sync.Mutex
	outputs map[system.StreamID]outStream
	inputs  map[system.StreamID]resolvedInput
}

type resolvedInput struct {
	settings   inputSettings
	key, value task.Serde
}

// output gives an output stream, named by its id or its topic, without outbox.
func (r *resolver) output(id system.StreamID) (outStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.outputs[id]; ok {
		return s, nil
	}
	if all := config.Systems(r.config); !slices.Contains(all, id.System) {
		return outStream{}, fmt.Errorf("the system %q is not configured; there are %s", id.System, strings.Join(all, ", "))
	}
	topic := config.Physical(r.config, id.System, id.Stream).Stream
	if err := r.isChangelog(id.System, topic); err != nil {
		return outStream{}, err
	}
	key, value, err := r.serdes(id.System, topic)
	if err != nil {
		return outStream{}, err
	}
	s := outStream{topic: topic, system: id.System, key: key, value: value}
	if r.outputs == nil {
		r.outputs = map[system.StreamID]outStream{}
	}
	r.outputs[id] = s
	return s, nil
}

// isChangelog refuses an output that is the changelog of one of the job's stores:
// the next restore would make state of the messages.
func (r *resolver) isChangelog(sys, topic string) error {
	stores, err := config.Stores(r.config)
	if err != nil {
		return err
	}
	for _, s := range stores {
		if s.Changelog == (config.SystemStream{System: sys, Stream: topic}) {
			key := config.StoreChangelog.Name(s.Name)
			return &config.Error{Key: key, Origin: r.config.Origin(key), Hint: "name a topic that nobody else writes to",
				Problem: fmt.Sprintf("%s is the changelog of the store %q, whose state these messages would become", s.Changelog, s.Name)}
		}
	}
	return nil
}

// input gives the source and the settings of an input partition.
func (r *resolver) input(in jobmodel.Input) (*task.Source, inputSettings, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := system.StreamID{System: in.System, Stream: in.Stream}
	found, ok := r.inputs[id]
	if !ok {
		var err error
		if found.settings, err = readInput(r.config, id); err != nil {
			return nil, inputSettings{}, fmt.Errorf("input %s: %w", id, err)
		}
		if found.key, found.value, err = r.serdes(id.System, id.Stream); err != nil {
			return nil, inputSettings{}, fmt.Errorf("input %s: %w", id, err)
		}
		if r.inputs == nil {
			r.inputs = map[system.StreamID]resolvedInput{}
		}
		r.inputs[id] = found
	}
	return &task.Source{
		System: in.System, Stream: in.Stream, Partition: in.Partition,
		KeySerde: found.key, ValueSerde: found.value,
	}, found.settings, nil
}

func (r *resolver) serdes(sys, topic string) (key, value task.Serde, err error) {
	sc, err := config.Stream(r.config, sys, topic)
	if err != nil {
		return nil, nil, err
	}
	if key, err = namedSerde(r.config, sc.KeySerde, sc.KeySerdeKey); err != nil {
		return nil, nil, err
	}
	value, err = namedSerde(r.config, sc.MsgSerde, sc.MsgSerdeKey)
	return key, value, err
}

// namedSerde gives the serde that a configuration names; nil for none.
func namedSerde(c config.Config, name, key string) (task.Serde, error) {
	if name == "" {
		return nil, nil
	}
	alias, err := config.Serde(c, name, key)
	if err != nil {
		return nil, err
	}
	s, err := serde.New(alias.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return s, nil
}

// storeSerde gives the serde of a store's keys or values.
func (c *Container) storeSerde(name string) (task.Serde, error) {
	return namedSerde(c.opts.Config, name, "serializers.registry."+name+".class")
}
