package config

import (
	"slices"
	"strings"
)

// topicName refuses characters that Kafka refuses in a topic's name: the
// coordinator and checkpoint topics hold the job's name and id.
func (v *validator) topicName(k Key[string]) {
	s := k.Of(v.c)
	if r, ok := noTopicLetter(s); ok {
		v.fail(errorAt(v.c, k.Found(v.c), "", "%s holds %q; expected letters, digits, '.', '_' and '-', because topics are called after it", quote(s), r))
	}
}

// noTopicLetter is the first character that Kafka refuses in a topic's name.
func noTopicLetter(name string) (r rune, ok bool) {
	for _, r := range name {
		if !strings.ContainsRune(topicLetters, r) {
			return r, true
		}
	}
	return 0, false
}

const topicLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

func (v *validator) systems() {
	for _, s := range Systems(v.c) {
		kind, err := SystemKind(v.c, s)
		v.fail(err)
		if f, _ := Factory(v.c); kind.Name == "memory" && f != Thread {
			v.fail(errorAt(v.c, SystemFactory.Name(s), "set job.factory.class=thread, or use Kafka",
				"a system in memory lives in one process; containers of the factory %s cannot share it", f))
		}
		if v.yarn && Embedded(v.c, s) {
			key := SystemProducerBootstrap.Found(v.c, s)
			v.fail(errorAt(v.c, key, "set the address of a Kafka that every node can reach",
				"the embedded Kafka lives in one machine's processes; a job on YARN cannot use it"))
		}
		for _, k := range []Key[string]{SystemKeySerde, SystemMsgSerde} {
			if name := k.Of(v.c, s); name != "" {
				_, err := Serde(v.c, name, k.Name(s))
				v.fail(err)
			}
		}
	}
	_, err := CoordinatorSystem(v.c)
	v.fail(err)
}

func (v *validator) streams() {
	_, err := Inputs(v.c)
	v.fail(err)
	if err != nil {
		return
	}
	_, err = BroadcastStreams(v.c)
	v.fail(err)
	if err != nil {
		return
	}
	v.ids()
	streams, err := Streams(v.c)
	v.fail(err)
	for _, s := range streams {
		if _, err := SystemKind(v.c, s.System); err != nil {
			v.fail(err)
			continue
		}
		_, err = Serde(v.c, s.KeySerde, s.KeySerdeKey)
		v.fail(err)
		_, err = Serde(v.c, s.MsgSerde, s.MsgSerdeKey)
		v.fail(err)
	}
}

// ids refuses two ids of one topic: which of them says how the topic is read?
// (So does Samza's StreamConfig.)
func (v *validator) ids() {
	first := map[SystemStream]string{}
	for _, id := range StreamIDs(v.c) {
		s := SystemStream{systemOfID(v.c, id, ""), topicOfID(v.c, id)}
		if other, twice := first[s]; twice {
			v.fail(errorAt(v.c, StreamPhysicalName.Name(id), "", "the streams %s and %s are one topic, %s", quote(other), quote(id), s))
			continue
		}
		first[s] = id
	}
}

// inputs are the streams whose messages are processed; what is wrong with them is
// told elsewhere. Side inputs are none of them: a store may be filled from the
// changelog of another.
func (v *validator) inputs() []SystemStream {
	in, err := Inputs(v.c)
	if err != nil {
		return nil
	}
	all, err := BroadcastStreams(v.c)
	if err != nil {
		return in
	}
	return slices.Concat(in, all)
}
