package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SystemStream names a topic: a system of the configuration, and the topic's
// own name there.
type SystemStream struct {
	System, Stream string
}

// String is system.stream, as configurations have it.
func (s SystemStream) String() string { return s.System + "." + s.Stream }

// ParseSystemStream splits system.stream at the first dot.
func ParseSystemStream(s string) (SystemStream, error) {
	system, stream, ok := strings.Cut(strings.TrimSpace(s), ".")
	if !ok || system == "" || stream == "" {
		return SystemStream{}, fmt.Errorf("expected system.stream, not %s", quote(s))
	}
	return SystemStream{system, stream}, nil
}

// StreamConfig is what a configuration says of one stream.
type StreamConfig struct {
	SystemStream
	// ID is the stream's name below streams.*: the id whose physical name and
	// system are the stream's, else the stream's own name.
	ID string
	// KeySerde and MsgSerde are names of serdes: registered ones (Serde), or
	// built-in ones. Empty: bytes as they are.
	KeySerde, MsgSerde string
	// KeySerdeKey and MsgSerdeKey are the keys that say so, for errors.
	KeySerdeKey, MsgSerdeKey string
	// OffsetDefault is where an input without a checkpoint starts: "oldest" or
	// "upcoming".
	OffsetDefault string
	// ResetOffset: the checkpoint is passed over at every start.
	ResetOffset bool
	// Priority, Bootstrap, Broadcast, Bounded and DeleteCommitted are Samza's
	// properties of the same names.
	Priority                                       int
	Bootstrap, Broadcast, Bounded, DeleteCommitted bool
	// Partitions is the number with which the topic is made; 0: not set.
	Partitions int
	// Replication is the replication factor set for this very stream; 0: not
	// set. ReplicationFactor gives the one to use.
	Replication int
	// Topic holds the other settings with which the topic is made, under
	// Kafka's names.
	Topic map[string]string
	// Configured: streams.<id>.* or systems.<system>.streams.<topic>.* says
	// something of the stream, so that it may be made when it is missing.
	Configured bool
}

// Inputs returns the streams of task.inputs with their topics' names, in order
// and each once. An entry without a dot, or one of an unknown system, is an
// error.
func Inputs(c Config) ([]SystemStream, error) {
	entries, err := TaskInputs.Get(c)
	if err != nil {
		return nil, err
	}
	var out []SystemStream
	for _, e := range entries {
		s, err := resolveStream(c, TaskInputs.Name(), e)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// BroadcastStreams returns the streams of task.broadcast.inputs with their
// topics' names, in order and each once; of which partitions, and the inputs
// with samza.broadcast, is for the JobModel.
func BroadcastStreams(c Config) ([]SystemStream, error) {
	entries, err := TaskBroadcastInputs.Get(c)
	if err != nil {
		return nil, err
	}
	var out []SystemStream
	for _, e := range entries {
		stream, _, _ := strings.Cut(e, "#")
		s, err := resolveStream(c, TaskBroadcastInputs.Name(), stream)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// resolveStream reads a system.stream of a key's value and replaces a stream's
// id by its topic.
func resolveStream(c Config, key, entry string) (SystemStream, error) {
	s, err := ParseSystemStream(entry)
	if err != nil {
		hint := "name the system too"
		if d := DefaultSystem(c); d != "" && !strings.Contains(entry, ".") {
			hint = fmt.Sprintf("write %s.%s", d, entry)
		}
		return s, errorAt(c, key, hint, "%v", err)
	}
	if all := Systems(c); !slices.Contains(all, s.System) {
		there := "no system is defined"
		if len(all) > 0 {
			there = "there are: " + strings.Join(all, ", ") + didYouMean(s.System, all)
		}
		return s, errorAt(c, key, fmt.Sprintf("set %s=kafka", SystemFactory.Name(s.System)),
			"the system %s of %s is not defined; %s", quote(s.System), s, there)
	}
	return Physical(c, s.System, s.Stream), nil
}

// Physical returns the topic of a stream that is named by its topic or by its
// id below streams.*; of a name that is both, the topic is meant.
func Physical(c Config, system, stream string) SystemStream {
	if _, ok := idOf(c, system, stream); ok {
		return SystemStream{system, stream}
	}
	if name, ok := c.Get(StreamPhysicalName.Name(stream)); ok && systemOfID(c, stream, system) == system {
		return SystemStream{system, strings.TrimSpace(name)}
	}
	return SystemStream{system, stream}
}

// StreamID returns the stream's id below streams.*: the one whose physical
// name and system are these, else the topic's name.
func StreamID(c Config, system, stream string) string {
	if id, ok := idOf(c, system, stream); ok {
		return id
	}
	return stream
}

func idOf(c Config, system, stream string) (string, bool) {
	topics := c.facts().byTopic()
	if id, ok := topics[SystemStream{system, stream}]; ok {
		return id, true
	}
	id, ok := topics[SystemStream{"", stream}] // belongs to any system
	return id, ok
}

// findTopics finds the id of each topic; the first of several.
func findTopics(c Config) map[SystemStream]string {
	m := map[SystemStream]string{}
	for _, id := range StreamIDs(c) {
		s := SystemStream{systemOfID(c, id, ""), topicOfID(c, id)}
		if _, twice := m[s]; !twice {
			m[s] = id
		}
	}
	return m
}

// systemOfID is the system of a stream's id; one that names none belongs to
// the default system, and without a default to any.
func systemOfID(c Config, id, otherwise string) string {
	if s := StreamSystem.Of(c, id); s != "" {
		return s
	}
	if s := DefaultSystem(c); s != "" {
		return s
	}
	return otherwise
}

// topicOfID is the topic of a stream's id.
func topicOfID(c Config, id string) string {
	if name := StreamPhysicalName.Of(c, id); name != "" {
		return name
	}
	return id
}

// StreamIDs returns the ids below streams.*, sorted.
func StreamIDs(c Config) []string { return slices.Clone(c.facts().ids()) }

func findStreamIDs(c Config) []string {
	ids := map[string]bool{}
	for key := range c.m {
		if rest, ok := strings.CutPrefix(key, "streams."); ok {
			if id, _, ok := strings.Cut(rest, "."); ok && id != "" {
				ids[id] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// Streams returns every stream that task.inputs, task.broadcast.inputs, streams.*
// or the old systems.<system>.streams.* names, resolved, sorted by name.
func Streams(c Config) ([]StreamConfig, error) {
	inputs, err := Inputs(c)
	if err != nil {
		return nil, err
	}
	broadcast, err := BroadcastStreams(c)
	if err != nil {
		return nil, err
	}
	all := map[SystemStream]bool{}
	for _, s := range slices.Concat(inputs, broadcast) {
		all[s] = true
	}
	for _, id := range StreamIDs(c) {
		if system := systemOfID(c, id, ""); system != "" {
			all[SystemStream{system, topicOfID(c, id)}] = true
		}
	}
	var out []StreamConfig
	for _, s := range slices.SortedFunc(maps.Keys(all), func(a, b SystemStream) int { return strings.Compare(a.String(), b.String()) }) {
		sc, err := Stream(c, s.System, s.Stream)
		if err != nil {
			return nil, err
		}
		out = append(out, sc)
	}
	return out, nil
}

// Stream resolves one stream, named by its topic or its id, by Samza's order
// for each property: streams.<id>.samza.X, then
// systems.<system>.streams.<topic>.samza.X, then
// systems.<system>.default.stream.samza.X, and for the serdes and the default
// offset last systems.<system>.samza.X. (reference: Samza's StreamConfig.)
func Stream(c Config, system, stream string) (StreamConfig, error) {
	ss := Physical(c, system, stream)
	s := StreamConfig{SystemStream: ss, ID: StreamID(c, ss.System, ss.Stream), Topic: map[string]string{}}
	l := streamLookup{c: c, s: &s}
	s.KeySerde, s.KeySerdeKey = find(&l, StreamKeySerde, SystemKeySerde.Name(system))
	s.MsgSerde, s.MsgSerdeKey = find(&l, StreamMsgSerde, SystemMsgSerde.Name(system))
	s.OffsetDefault, _ = find(&l, StreamOffsetDefault, SystemOffsetDefault.Name(system))
	s.ResetOffset, _ = find(&l, StreamResetOffset)
	s.Priority, _ = find(&l, StreamPriority)
	s.Bootstrap, _ = find(&l, StreamBootstrap)
	s.Broadcast, _ = find(&l, StreamBroadcast)
	s.Bounded, _ = find(&l, StreamBounded)
	s.DeleteCommitted, _ = find(&l, StreamDeleteCommitted)
	if l.err != nil {
		return s, l.err
	}

	for i, prefix := range []string{
		"systems." + ss.System + ".default.stream.",
		"systems." + ss.System + ".streams." + ss.Stream + ".",
		"streams." + s.ID + ".",
	} {
		special := i > 0
		for key, p := range c.below(prefix) {
			s.Configured = s.Configured || special
			if strings.HasPrefix(key, "samza.") || strings.HasPrefix(key, "consumer.") || strings.HasPrefix(key, "producer.") {
				continue
			}
			switch key {
			case "partition.count":
				n, err := integer(1).parse(p.value)
				if err != nil {
					return s, typeError(c, prefix+key, p.value, err)
				}
				s.Partitions = n
			case "replication.factor":
				n, err := integer(1).parse(p.value)
				if err != nil {
					return s, typeError(c, prefix+key, p.value, err)
				}
				if special {
					s.Replication = n
				}
			default:
				s.Topic[key] = strings.TrimSpace(p.value)
			}
		}
	}
	return s, nil
}

type streamLookup struct {
	c   Config
	s   *StreamConfig
	err error
}

// find returns the property of the stream and the key that sets it.
func find[T any](l *streamLookup, k Key[T], last ...string) (T, string) {
	keys := []string{k.Name(l.s.ID)}
	for _, p := range k.d.places {
		params := []string{l.s.System, l.s.Stream}
		keys = append(keys, parsePattern(p).fill(params))
	}
	for _, key := range append(keys, last...) {
		value, ok := l.c.Get(key)
		if !ok {
			continue
		}
		v, err := k.kind.parse(value)
		if err != nil && l.err == nil {
			l.err = typeError(l.c, key, value, err)
		}
		return v, key
	}
	return k.def, ""
}

// Serde returns what a serde's name stands for: what serializers.registry.*
// says, else the built-in of that name. key is the one that names the serde,
// for the error.
func Serde(c Config, name, key string) (Alias, error) {
	if name == "" {
		return Canonical(KindSerde, "bytes")
	}
	if SerdeClass.IsSet(c, name) {
		class, err := SerdeClass.Get(c, name)
		if err != nil {
			return Alias{Kind: KindSerde}, err
		}
		return Canonical(KindSerde, class)
	}
	a, err := Canonical(KindSerde, name)
	if err == nil {
		return a, nil
	}
	known := slices.Concat(registeredSerdes(c), names(KindSerde))
	return a, errorAt(c, key, fmt.Sprintf("register it with %s, or use a built-in one", SerdeClass.Name(name)),
		"the serde %s is not registered%s; there are: %s", quote(name), didYouMean(name, known), strings.Join(known, ", "))
}

func registeredSerdes(c Config) []string {
	var out []string
	for _, key := range c.Keys() {
		if rest, ok := strings.CutPrefix(key, "serializers.registry."); ok {
			if name, ok := strings.CutSuffix(rest, ".class"); ok {
				out = append(out, name)
			}
		}
	}
	return out
}
