package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// StoreConfig is what a configuration says of one store.
type StoreConfig struct {
	// Name is the store's.
	Name string
	// Engine is our name of it: "memory" or "pebble".
	Engine string
	// KeySerde and MsgSerde are names of serdes (Serde); empty: bytes as they
	// are.
	KeySerde, MsgSerde string
	// Changelog is the topic that logs the store; the zero value: none.
	Changelog SystemStream
	// SideInputs are the streams that the store is filled from; none: the task
	// writes it. SideProcessor names the function that makes entries of their
	// messages; "": key and value are the entry. Shared: a container's tasks have
	// one copy.
	SideInputs    []SystemStream
	SideProcessor string
	Shared        bool
	// CacheEntries is the size of the cache of objects; 0: none.
	CacheEntries int
	// ObjectBytes bounds that cache in a container, to be divided by its tasks,
	// if its size is not set.
	ObjectBytes int64
	// WriteBatch is the number of changed entries written together; 0: each at
	// once.
	WriteBatch int
	// CacheBytes and WriteBufferBytes are the engine's, for the container, to
	// be divided by its tasks.
	CacheBytes, WriteBufferBytes int64
	// Compression ("snappy", "zstd", "lz4", "none") and BlockBytes are of the
	// engine's blocks; WAL makes it write a log of its own.
	Compression string
	BlockBytes  int64
	WAL         bool
	// CleanAtStart drops local state at each start.
	CleanAtStart bool
	// AccessLogRatio is the percentage of calls that go to the access log; 0:
	// there is none.
	AccessLogRatio int
	// QuotaBytes bounds the store of one task; 0: nothing does.
	QuotaBytes int64
	// WriteBuffers, Compactions and OpenFiles tune the engine; 0: its default.
	// Properties are metrics of its that are published, too.
	WriteBuffers, Compactions, OpenFiles int
	Properties                           []string
	// TTL is the time after which entries expire; 0 or less: never.
	TTL time.Duration
	// MaxMessageSize is the size above which a record counts as large.
	MaxMessageSize int64
	// DisallowLarge and DropLarge say what happens to those.
	DisallowLarge, DropLarge bool
	// DeleteRetention is the changelog's delete.retention.ms, and the age above
	// which local state is not used.
	DeleteRetention time.Duration
	// MinCompactionLag is the changelog's min.compaction.lag.ms with
	// transactional restore.
	MinCompactionLag time.Duration
	// Topic holds the changelog topic's settings under Kafka's names, as Samza
	// makes it. The replication factor is ReplicationFactor's.
	Topic map[string]string
}

// Logged tells whether the store has a changelog.
func (s StoreConfig) Logged() bool { return s.Changelog != SystemStream{} }

// StoreNames returns the names of the stores, sorted: those that have a
// factory.
func StoreNames(c Config) []string {
	var out []string
	for _, key := range c.Keys() {
		rest, ok := strings.CutPrefix(key, "stores.")
		if name, isFactory := strings.CutSuffix(rest, ".factory"); ok && isFactory && name != "default" && !strings.HasSuffix(name, ".side.inputs.processor") {
			out = append(out, name)
		}
	}
	return out
}

// Stores returns every store, sorted by name.
func Stores(c Config) ([]StoreConfig, error) {
	var out []StoreConfig
	for _, name := range StoreNames(c) {
		s, err := store(c, name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func store(c Config, name string) (StoreConfig, error) {
	var first error
	s := StoreConfig{
		Name:             name,
		Engine:           read(&first, c, StoreFactory, name),
		KeySerde:         read(&first, c, StoreKeySerde, name),
		MsgSerde:         read(&first, c, StoreMsgSerde, name),
		CacheEntries:     read(&first, c, StoreCacheEntries, name),
		ObjectBytes:      read(&first, c, StoreObjectBytes, name),
		WriteBatch:       read(&first, c, StoreWriteBatch, name),
		CacheBytes:       read(&first, c, StoreCacheBytes, name),
		WriteBufferBytes: read(&first, c, StoreWriteBufferBytes, name),
		Compression:      read(&first, c, StoreCompression, name),
		BlockBytes:       read(&first, c, StoreBlockBytes, name),
		WAL:              read(&first, c, StoreWAL, name),
		CleanAtStart:     read(&first, c, StoreCleanAtStart, name),
		TTL:              read(&first, c, StoreTTL, name),
		MaxMessageSize:   read(&first, c, StoreMaxMessageSize, name),
		DisallowLarge:    read(&first, c, StoreDisallowLarge, name),
		DropLarge:        read(&first, c, StoreDropLarge, name),
		DeleteRetention:  read(&first, c, StoreChangelogDeleteRetention, name),
		MinCompactionLag: read(&first, c, StoreChangelogMinCompactionLag, name),
	}
	if read(&first, c, StoreAccessLog, name) {
		s.AccessLogRatio = read(&first, c, StoreAccessLogSampling, name)
	}
	s.QuotaBytes = read(&first, c, StoreQuota, name)
	s.Properties = read(&first, c, StoreMetricsList, name)
	for k, n := range map[*Key[int]]*int{&StoreWriteBuffers: &s.WriteBuffers, &StoreCompactions: &s.Compactions, &StoreOpenFiles: &s.OpenFiles} {
		if k.IsSet(c, name) {
			*n = read(&first, c, *k, name)
		}
	}
	if s.TTL > 0 {
		s.TTL = max(s.TTL, minTTL)
	}
	changelog := read(&first, c, StoreChangelog, name)
	if first != nil {
		return s, first
	}
	var err error
	if s.Changelog, err = changelogStream(c, StoreChangelog.Name(name), changelog); err != nil {
		return s, err
	}
	if err := sideInputs(c, &s); err != nil {
		return s, err
	}
	if s.Logged() {
		if err := deleteRetention(c, &s); err != nil {
			return s, err
		}
		maxMessage, err := topicBytes(c, StoreChangelogMaxMessageBytes, s.Changelog.System, "max.message.bytes", name)
		if err != nil {
			return s, err
		}
		s.Topic = changelogTopic(c, s, maxMessage)
	}
	return s, nil
}

// minTTL is what a shorter TTL stands for, as in Samza.
const minTTL = time.Second

// read reads a key, and keeps the first error of several.
func read[T any](first *error, c Config, k Key[T], params ...string) T {
	v, err := k.Get(c, params...)
	if err != nil && *first == nil {
		*first = err
	}
	return v
}

// changelogStream reads "stream" or "system.stream". What stands before the
// first dot is a system in Samza, whether there is such a one or not.
func changelogStream(c Config, key, value string) (SystemStream, error) {
	if value == "" {
		return SystemStream{}, nil
	}
	if strings.Contains(value, ".") {
		return resolveStream(c, key, value)
	}
	system, err := ChangelogSystem(c)
	if err != nil {
		return SystemStream{}, err
	}
	return Physical(c, system, value), nil
}

// deleteRetention obeys a delete.retention.ms that is set as one of the topic's own
// settings: how old local state may be follows from what the topic keeps, whichever
// key says so. (Samza looks at the other key alone, and would bring back what was
// deleted.)
func deleteRetention(c Config, s *StoreConfig) error {
	key := StoreChangelogSetting.Name(s.Name, "delete.retention.ms")
	value, set := c.Get(key)
	if !set {
		return nil
	}
	d, err := millis.parse(value)
	if err == nil && d < 0 {
		err = errors.New("expected 0 milliseconds or more")
	}
	if err != nil {
		return typeError(c, key, value, err)
	}
	s.DeleteRetention = max(d, time.Millisecond) // 0 would stand for the default
	return nil
}

// changelogTopic gives the settings with which Samza makes a changelog topic
// (KafkaConfig.getChangelogKafkaProperties), but that a TTL of 0 is none: Samza
// makes a topic that keeps nothing then; and that the store's own
// changelog.max.message.bytes counts with a TTL, too.
func changelogTopic(c Config, s StoreConfig, maxMessage string) map[string]string {
	t := map[string]string{
		"segment.bytes":       "536870912",
		"delete.retention.ms": strconv.FormatInt(s.DeleteRetention.Milliseconds(), 10),
	}
	if s.TTL <= 0 {
		t["cleanup.policy"] = "compact"
		t["max.message.bytes"] = maxMessage
	} else if _, set := c.Get("stores." + s.Name + ".changelog.kafka.cleanup.policy"); !set {
		t["cleanup.policy"] = "delete"
		t["retention.ms"] = strconv.FormatInt(s.TTL.Milliseconds(), 10)
	}
	if StoreChangelogMaxMessageBytes.IsSet(c, s.Name) {
		t["max.message.bytes"] = maxMessage
	}
	if TaskTransactionalRestore.Of(c) {
		t["min.compaction.lag.ms"] = strconv.FormatInt(s.MinCompactionLag.Milliseconds(), 10)
	}
	for k, p := range c.below("stores." + s.Name + ".changelog.kafka.") {
		t[k] = strings.TrimSpace(p.value)
	}
	return t
}

// CoordinatorTopic gives the settings with which Samza 1.8.0 makes the
// coordinator topic on this system (reference/samza.md, errata 1: without
// max.message.bytes).
func CoordinatorTopic(c Config, system string) (map[string]string, error) {
	segment, err := topicBytes(c, JobCoordinatorSegmentBytes, system, "segment.bytes")
	if err != nil {
		return nil, err
	}
	return map[string]string{"cleanup.policy": "compact", "segment.bytes": segment}, nil
}

// CheckpointTopic gives the settings with which Samza makes the checkpoint
// topic on this system (KafkaConfig.getCheckpointTopicProperties).
func CheckpointTopic(c Config, system string) (map[string]string, error) {
	segment, err := topicBytes(c, TaskCheckpointSegmentBytes, system, "segment.bytes")
	if err != nil {
		return nil, err
	}
	message, err := topicBytes(c, TaskCheckpointMaxMessageBytes, system, "max.message.bytes")
	if err != nil {
		return nil, err
	}
	return map[string]string{"cleanup.policy": "compact", "segment.bytes": segment, "max.message.bytes": message}, nil
}

// topicBytes is a topic setting of a key of its own, else of the system's
// default streams, else the key's default.
func topicBytes(c Config, k Key[int64], system, setting string, params ...string) (string, error) {
	other := SystemDefaultSetting.Name(system, setting)
	if v, ok := c.Get(other); ok && !k.IsSet(c, params...) {
		n, err := k.kind.parse(v)
		if err != nil {
			return "", typeError(c, other, v, err)
		}
		return strconv.FormatInt(n, 10), nil
	}
	n, err := k.Get(c, params...)
	return strconv.FormatInt(n, 10), err
}

// ContainerCount is the number of containers: job.autosizing.container.count
// when autosizing is on, else job.container.count, else (on YARN) the old
// yarn.container.count.
func ContainerCount(c Config) (int, error) {
	return autosized(c, JobAutosizingContainerCount, JobContainerCount)
}

// ContainerMemoryMB is the memory of a container in MiB, with autosizing.
func ContainerMemoryMB(c Config) (int, error) {
	return autosized(c, JobAutosizingMemory, ContainerMemory)
}

// ContainerCPUCores is the number of cores of a container, with autosizing.
func ContainerCPUCores(c Config) (int, error) {
	return autosized(c, JobAutosizingCores, ContainerCores)
}

func autosized(c Config, auto, own Key[int]) (int, error) {
	on, err := JobAutosizing.Get(c)
	if err != nil {
		return 0, err
	}
	if on && auto.IsSet(c) {
		return auto.Get(c)
	}
	return own.Get(c)
}
