package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (v *validator) stores() {
	stores, err := Stores(v.c)
	v.fail(err)
	logs := map[SystemStream]string{}
	inputs := v.inputs()
	for _, s := range stores {
		if other, ok := logs[s.Changelog]; ok && s.Logged() {
			v.fail(errorAt(v.c, StoreChangelog.Name(s.Name), "give each store a changelog of its own", "the stores %s and %s have the same changelog, %s", quote(other), quote(s.Name), s.Changelog))
		}
		logs[s.Changelog] = s.Name
		v.changelogName(s)
		if s.Logged() && slices.Contains(inputs, s.Changelog) {
			v.fail(errorAt(v.c, StoreChangelog.Name(s.Name), "name a topic that nobody else writes to",
				"%s is an input of the job, too: it would process its own changes of the store %s, and what others write there would become the store's state", s.Changelog, quote(s.Name)))
		}
		_, err := Serde(v.c, s.KeySerde, StoreKeySerde.Name(s.Name))
		v.fail(err)
		_, err = Serde(v.c, s.MsgSerde, StoreMsgSerde.Name(s.Name))
		v.fail(err)
		v.ttl(s)
		if s.AccessLogRatio > 0 && !s.Logged() {
			v.fail(errorAt(v.c, StoreAccessLog.Name(s.Name), "set "+StoreChangelog.Name(s.Name)+" or remove the key",
				"the store has no changelog, whose topic and partition an access log belongs to"))
		}
		if lag := StoreChangelogSetting.Name(s.Name, "min.compaction.lag.ms"); TaskTransactionalRestore.Of(v.c) {
			if _, ok := v.c.Get(lag); ok {
				v.fail(errorAt(v.c, lag, "set "+StoreChangelogMinCompactionLag.Name(s.Name)+" instead",
					"Samza refuses this spelling, because restoring depends on the value"))
			}
		}
		v.forgetful(s)
		v.properties(s)
	}
	v.unlogged(stores)
	v.others(stores, inputs)
	if dir := JobStoreBaseDir.Of(v.c); v.yarn && dir != "" && !strings.HasPrefix(dir, "/") {
		v.fail(errorAt(v.c, JobStoreBaseDir.Name(), "set it to a folder that is there on every node",
			"%s would lie in the container's work folder, which YARN removes with the container; expected a path from /", quote(dir)))
	}
	names := StoreNames(v.c)
	reported := map[string]bool{}
	for _, key := range v.c.Keys() {
		d, s := match(key)
		if d == nil || d.Section != sectionStore || s.re == nil || !strings.HasPrefix(key, "stores.") {
			continue
		}
		name := s.params(key)[0]
		if name == "default" || slices.Contains(names, name) || reported[name] {
			continue
		}
		reported[name] = true
		v.fail(errorAt(v.c, key, fmt.Sprintf("set %s=pebble (on disk; Samza's RocksDB factory means it, too) or memory", StoreFactory.Name(name)),
			"the store %s has no factory%s", quote(name), didYouMean(name, names)))
	}
}

// forgetful warns of a changelog that is told to drop by age what its store keeps.
func (v *validator) forgetful(s StoreConfig) {
	if s.TTL > 0 || !strings.Contains(s.Topic["cleanup.policy"], "delete") {
		return
	}
	v.warn(StoreChangelogSetting.Name(s.Name, "cleanup.policy"),
		"%s: the changelog drops records by age (retention.ms), and a store that is restored from it lacks their entries; remove the key, or set %s for entries that are to end",
		quote(s.Topic["cleanup.policy"]), StoreTTL.Name(s.Name))
}

// properties warns of metrics that the store's engine does not have.
func (v *validator) properties(s StoreConfig) {
	var lacking []string
	for _, p := range s.Properties {
		if s.Engine != "pebble" || !slices.Contains(EngineProperties, p) && !strings.HasPrefix(p, "rocksdb.num-files-at-level") {
			lacking = append(lacking, p)
		}
	}
	if len(lacking) > 0 {
		v.warn(StoreMetricsList.Name(s.Name), "not published, since the engine %s does not have them: %s", s.Engine, strings.Join(lacking, ", "))
	}
}

// AccessLogSuffix ends the name of the topic with a store's access log; before it
// stands that of the changelog.
const AccessLogSuffix = "-access-log"

// others refuses what else is known to write to changelogs: the next restore would
// take it for state. Tasks are watched while they run.
func (v *validator) others(stores []StoreConfig, inputs []SystemStream) {
	refuse := func(key string, to SystemStream, what string) {
		for _, s := range stores {
			if s.Logged() && s.Changelog == to {
				v.fail(errorAt(v.c, key, "name a topic of its own", "%s is the changelog of the store %s, and %s would become its state", to, quote(s.Name), what))
			}
		}
	}
	for _, r := range MetricsReporters.Of(v.c) {
		if s, err := ParseSystemStream(MetricsReporterStream.Of(v.c, r)); err == nil {
			refuse(MetricsReporterStream.Name(r), Physical(v.c, s.System, s.Stream), "metrics")
		}
	}
	for _, p := range Preloads(v.c) {
		refuse(p.ConfigKey, p.Stream, "what is preloaded")
	}
	for _, s := range stores {
		if s.AccessLogRatio == 0 || !s.Logged() {
			continue
		}
		key, log := StoreAccessLog.Name(s.Name), SystemStream{s.Changelog.System, s.Changelog.Stream + AccessLogSuffix}
		refuse(key, log, "the access log of the store "+quote(s.Name))
		switch {
		case slices.Contains(inputs, log):
			v.fail(errorAt(v.c, key, "remove the key, or name another changelog", "the access log's topic, %s, is an input of the job, which would process its own calls", log))
		case len(log.Stream) > maxTopicName:
			v.fail(errorAt(v.c, key, "shorten the name in "+StoreChangelog.Name(s.Name), "the access log's topic, %s, would have a name of more than %d letters", quote(log.Stream), maxTopicName))
		}
	}
}

// unlogged warns of settings of a changelog that is none: whoever sets them takes
// the state for safe.
func (v *validator) unlogged(stores []StoreConfig) {
	told := map[string]bool{}
	for _, key := range v.c.Keys() {
		d, sp := match(key)
		if d == nil || sp.re == nil || !slices.Contains([]*Decl{StoreChangelogReplication.d, StoreChangelogSetting.d, StoreChangelogMinCompactionLag.d, StoreChangelogMaxMessageBytes.d}, d) {
			continue
		}
		name := sp.params(key)[0]
		i := slices.IndexFunc(stores, func(s StoreConfig) bool { return s.Name == name })
		if i < 0 || stores[i].Logged() || told[name] {
			continue
		}
		told[name] = true
		v.warn(key, "the store has no changelog, so what it holds ends with its container; set %s", StoreChangelog.Name(name))
	}
}

// ownTopics begin the names of the topics that Kafka and the jobs themselves
// write.
var ownTopics = []string{"__consumer_offsets", "__transaction_state", "__samza_coordinator_", "__samza_checkpoint_"}

// changelogName refuses names that Kafka takes for no topic, and those of topics
// that hold something else.
func (v *validator) changelogName(s StoreConfig) {
	name, key := s.Changelog.Stream, StoreChangelog.Name(s.Name)
	if !s.Logged() {
		return
	}
	strange, found := noTopicLetter(name)
	switch {
	case found:
		v.fail(errorAt(v.c, key, "", "%s holds %q; a topic's name has letters, digits, '.', '_' and '-'", quote(name), strange))
	case name == "." || name == ".." || len(name) > maxTopicName:
		v.fail(errorAt(v.c, key, "", "%s is no name of a topic, which has up to %d letters, digits, '.', '_' and '-'", quote(name), maxTopicName))
	case slices.ContainsFunc(ownTopics, func(own string) bool { return strings.HasPrefix(name, own) }):
		v.fail(errorAt(v.c, key, "name a topic that nobody else writes to", "%s is a topic of Kafka's, or of a job's own records", quote(name)))
	}
}

// maxTopicName is Kafka's.
const maxTopicName = 249

// ttl holds the changelog of a store whose entries end to what a restore takes
// for granted: a topic that drops records keeps each of them until its entry
// has ended.
func (v *validator) ttl(s StoreConfig) {
	if s.TTL <= 0 {
		return
	}
	if asked := StoreTTL.Of(v.c, s.Name); asked < s.TTL {
		v.warn(StoreTTL.Name(s.Name), "%d is less than the least, %d, which takes its place", asked.Milliseconds(), s.TTL.Milliseconds())
	}
	if len(s.SideInputs) > 0 {
		v.fail(errorAt(v.c, StoreTTL.Name(s.Name), "remove the key", "entries of a store that is filled from side inputs do not end here"))
	}
	key := StoreChangelogSetting.Name(s.Name, "retention.ms")
	value, set := v.c.Get(key)
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if set && s.Logged() && strings.Contains(s.Topic["cleanup.policy"], "delete") && (err != nil || n >= 0 && n < s.TTL.Milliseconds()) {
		v.fail(errorAt(v.c, key, fmt.Sprintf("set it to %d or more, or remove it", s.TTL.Milliseconds()),
			"%s: the changelog would drop records before their entries end (%s is %d)", quote(value), StoreTTL.Name(s.Name), s.TTL.Milliseconds()))
	}
}
