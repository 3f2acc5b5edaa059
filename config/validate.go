package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ValidateKeys checks each key by itself: types, unknown keys, old spellings,
// keys without meaning here, values that are not supported yet. It asks for no
// key to be there, so that commands which need only a system can use it.
func ValidateKeys(c Config) ([]Warning, error) {
	v := validator{c: c, yarn: onYARN(c)}
	v.keys()
	return v.warnings, errors.Join(v.errs...)
}

// Validate checks a job's configuration as far as it can be known without a
// service: everything of ValidateKeys; required keys; systems, serdes, stores
// and streams that fit together. All faults are reported at once, as *Error
// joined.
func Validate(c Config) ([]Warning, error) {
	v := validator{c: c, yarn: onYARN(c)}
	v.keys()
	v.job()
	return v.warnings, errors.Join(v.errs...)
}

type validator struct {
	c        Config
	yarn     bool
	warnings []Warning
	errs     []error
}

// fail keeps an error, once: the same fault may be found by a key and by what
// uses it.
func (v *validator) fail(err error) {
	if err == nil || slices.ContainsFunc(v.errs, func(e error) bool { return e.Error() == err.Error() }) {
		return
	}
	v.errs = append(v.errs, err)
}

func (v *validator) warn(key, format string, args ...any) {
	v.warnings = append(v.warnings, Warning{Key: key, Origin: v.c.Origin(key), Text: fmt.Sprintf(format, args...)})
}

// ownSpaces are the first parts of the keys that we or Samza know; keys
// outside are the user's own.
var ownSpaces = []string{
	"app", "cluster-manager", "heddle", "job", "metrics", "serializers", "stores", "streams", "systems", "task", "yarn",
}

func (v *validator) keys() {
	var meaningless, later, old []string
	for _, key := range v.c.Keys() {
		if strings.HasPrefix(key, "yarn.") && !v.yarn {
			continue
		}
		d, s := match(key)
		if d == nil {
			v.unknown(key)
			continue
		}
		value, _ := v.c.Get(key)
		switch d.Status {
		case NoMeaning:
			meaningless = append(meaningless, key)
			continue
		case NotYet:
			if !d.isDefault(value) {
				v.fail(errorAt(v.c, key, "remove the key", "known to Samza, not supported yet (%s)", firstSentence(d.Doc)))
			}
			continue
		case NoEffectYet:
			if !d.isDefault(value) {
				later = append(later, key)
			}
		}
		if s.old {
			old = append(old, key)
		}
		if err := d.check(value); err != nil {
			v.fail(typeError(v.c, key, value, err))
		}
	}
	v.name("these keys have no meaning here and are ignored", meaningless)
	v.name("these keys have no effect yet", later)
	v.spellings(old)
}

// name warns once of several keys.
func (v *validator) name(what string, keys []string) {
	switch len(keys) {
	case 0:
	case 1:
		v.warn(keys[0], "%s", strings.NewReplacer("these keys have", "this key has", "are ignored", "is ignored").Replace(what))
	default:
		v.warnings = append(v.warnings, Warning{Text: what + ": " + strings.Join(keys, ", ")})
	}
}

// spellings warns once of keys in an old spelling, and of each that is set in
// both.
func (v *validator) spellings(old []string) {
	var pairs []string
	for _, key := range old {
		d, s := match(key)
		now := d.pattern.fill(s.params(key))
		if _, ok := v.c.Get(now); ok {
			v.warn(key, "the old spelling of %s, which is set too and wins", now)
			continue
		}
		pairs = append(pairs, key+" is now "+now)
	}
	if len(pairs) > 0 {
		v.warnings = append(v.warnings, Warning{Text: "old spellings, still read: " + strings.Join(pairs, ", ")})
	}
}

// params are the names that stand in the placeholders' places.
func (s spelling) params(key string) []string {
	if s.re == nil {
		return nil
	}
	return s.re.FindStringSubmatch(key)[1:]
}

func (v *validator) unknown(key string) {
	space, _, dotted := strings.Cut(key, ".")
	near := nearestKey(key)
	own := dotted && slices.Contains(ownSpaces, space)
	hint := ""
	if near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	switch {
	case space == "heddle":
		v.fail(errorAt(v.c, key, hint, "there is no such key"))
	case own && near != "":
		v.warn(key, "unknown; %s", hint)
	case own:
		v.warn(key, "unknown")
	case near != "" && distance(key, near, 3) < 3:
		// A key of the user's own, unless it is a slip of the pen.
		v.warn(key, "unknown, and taken for a key of your own; %s", hint)
	}
}

func (v *validator) job() {
	_, err := Factory(v.c)
	v.fail(err)
	v.required(JobName.d, "a name for the job, such as job.name=clicks")
	v.topicName(JobName)
	v.topicName(JobID)
	v.required(TaskClass.d, "the name under which the program registered its task")
	if !TaskBroadcastInputs.IsSet(v.c) {
		v.required(TaskInputs.d, "the streams to read, such as task.inputs=kafka.clicks")
	}
	v.systems()
	v.streams()
	v.stores()
	v.sideInputs()
	v.checkpoints()
	v.guarantee()
	v.rewriters()
	v.reporters()
	v.preloads()
	_, err = ContainerCount(v.c)
	v.fail(err)
}

func (v *validator) required(d *Decl, what string) {
	if _, value, ok := d.lookup(v.c, nil); ok && strings.Trim(value, " ,\t") != "" {
		return
	}
	key := d.Name
	// A misspelt key is the likeliest reason for a missing one.
	for _, k := range v.c.Keys() {
		if known, _ := match(k); known == nil && nearestKey(k) == key {
			what = fmt.Sprintf("%s: %s is set, was it meant?", what, k)
		}
	}
	v.fail(errorAt(v.c, key, "", "not set; expected %s", what))
}

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
		if d == nil || d.Section != sectionStore || s.re == nil {
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

func (v *validator) checkpoints() {
	name, err := TaskCheckpointFactory.Get(v.c)
	v.fail(err)
	switch {
	case err != nil:
	case name == "none":
		v.warn(TaskCheckpointFactory.Name(), "checkpoints are off: after a restart every input starts at its default offset")
	case name == "kafka":
		_, err := CheckpointSystem(v.c)
		v.fail(err)
	}
}

func (v *validator) rewriters() {
	for _, r := range JobConfigRewriters.Of(v.c) {
		if !JobConfigRewriterClass.IsSet(v.c, r) {
			v.fail(errorAt(v.c, JobConfigRewriters.Name(), "", "the rewriter %s has no class; set %s to one of %s",
				quote(r), JobConfigRewriterClass.Name(r), strings.Join(names(KindRewriter), ", ")))
		}
	}
}

func (v *validator) reporters() {
	for _, r := range MetricsReporters.Of(v.c) {
		class, err := MetricsReporterClass.Get(v.c, r)
		v.fail(err)
		switch {
		case err != nil:
		case class == "":
			v.fail(errorAt(v.c, MetricsReporters.Name(), "", "the reporter %s has no class; set %s to one of %s",
				quote(r), MetricsReporterClass.Name(r), strings.Join(names(KindReporter), ", ")))
		case class == "jmx":
			v.warn(MetricsReporterClass.Name(r), "there is no JMX; the application master serves Prometheus text at /metrics")
		case class == "snapshot":
			_, err := resolveStream(v.c, MetricsReporterStream.Name(r), MetricsReporterStream.Of(v.c, r))
			v.fail(err)
		}
	}
}

func (v *validator) preloads() {
	for _, p := range Preloads(v.c) {
		if _, err := SystemKind(v.c, p.Stream.System); err != nil {
			v.fail(errorAt(v.c, p.ConfigKey, "", "the system %s is not defined; there are: %s",
				quote(p.Stream.System), strings.Join(Systems(v.c), ", ")))
		}
	}
}

// Preload is a file whose lines are appended to a stream at every start.
type Preload struct {
	Stream SystemStream
	// Path is the file's, as the key has it.
	Path string
	// KeyField is the field of JSON lines that becomes the key; may be empty.
	KeyField string
	// ConfigKey is the key that says so.
	ConfigKey string
}

// Preloads returns heddle.preload.*, sorted by stream.
func Preloads(c Config) []Preload {
	var out []Preload
	for _, key := range c.Keys() {
		d, s := match(key)
		if d != HeddlePreload.d {
			continue
		}
		p := s.params(key)
		path, _ := c.Get(key)
		out = append(out, Preload{
			Stream: Physical(c, p[0], p[1]), Path: strings.TrimSpace(path),
			KeyField: HeddlePreloadStreamKey.Of(c, p[0], p[1]), ConfigKey: key,
		})
	}
	return out
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}
