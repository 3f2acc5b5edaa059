package storage

import (
	"strings"
	"time"

	"heddle/config"
	"heddle/storage/engine"
	"heddle/system"
)

// Unlimited is the size of a cache that holds everything.
const Unlimited = -1

// Spec says how a store is made (Samza: stores.NAME.*).
type Spec struct {
	// Name is the store's name.
	Name string
	// Engine is engine.Memory or engine.Pebble (stores.NAME.factory).
	Engine string
	// KeySerde and ValueSerde name serdes (stores.NAME.key.serde, .msg.serde);
	// "" leaves bytes as they are.
	KeySerde, ValueSerde string
	// Changelog is the stream that every change is written to; the zero value
	// means none, and what the store holds is lost with the container.
	Changelog system.StreamID
	// SideInputs are the streams that fill the store instead of a task
	// (stores.NAME.side.inputs); SideProcessor names what makes entries of their
	// messages (stores.NAME.side.inputs.processor.factory), "" the message itself.
	// Shared tells that the tasks of a container have one copy
	// (heddle.stores.NAME.shared).
	SideInputs    []system.StreamID
	SideProcessor string
	Shared        bool
	// CacheEntries bounds the cache (stores.NAME.object.cache.size); 0: no
	// cache, every write goes through; Unlimited.
	CacheEntries int
	// ObjectBytes bounds what the cache's entries take in a container, about
	// (heddle.stores.NAME.object.cache.bytes); 0: no bound.
	ObjectBytes int64
	// WriteBatch is the number of changed keys that are written together
	// without waiting for a commit (stores.NAME.write.batch.size); 0 and 1: each
	// at once; Unlimited: all at the commit.
	WriteBatch int
	// CacheBytes bounds the engine's caches of blocks and of rows in a container
	// (stores.NAME.container.cache.size.bytes); 0: the engine's own choice.
	CacheBytes int64
	// WriteBufferBytes bounds what is pending in a container until the next
	// commit, and what the engine holds in memory before it goes to a file
	// (stores.NAME.container.write.buffer.size.bytes); 0 stands for 32 MiB.
	WriteBufferBytes int64
	// Compression, BlockBytes and WAL are engine.Options'.
	Compression string
	BlockBytes  int
	WAL         bool
	// CleanAtStart drops local state at each start
	// (stores.NAME.clean.on.container.start).
	CleanAtStart bool
	// MaxMessageSize is the size in bytes above which a value is large
	// (stores.NAME.changelog.max.message.size.bytes); DisallowLarge refuses large
	// ones (stores.NAME.disallow.large.messages), DropLarge passes them over
	// (stores.NAME.drop.large.messages).
	MaxMessageSize           int64
	DisallowLarge, DropLarge bool
	// AccessLogRatio is the percentage of the task's calls that go to the access
	// log (stores.NAME.accesslog.sampling.ratio); 0: there is none
	// (stores.NAME.accesslog.enabled).
	AccessLogRatio int
	// QuotaBytes is what the store of one task may take
	// (heddle.stores.NAME.quota.bytes); 0: as much as there is.
	QuotaBytes int64
	// WriteBuffers, Compactions and OpenFiles are engine.Options'; Properties are
	// the engine's metrics that are published besides the usual ones
	// (stores.NAME.rocksdb.metrics.list).
	WriteBuffers, Compactions, OpenFiles int
	Properties                           []string
	// TTL is how long after its write an entry ends (stores.NAME.rocksdb.ttl.ms);
	// 0 and below: never.
	TTL time.Duration
	// Topic holds the settings with which the changelog's topic is made, under
	// Kafka's names.
	Topic map[string]string
	// Policy decides how far the store is restored.
	Policy Policy
}

// Logged tells if the store has a changelog.
func (s Spec) Logged() bool { return s.Changelog != system.StreamID{} }

// OnDisk tells if the store's engine lies on disk.
func (s Spec) OnDisk() bool { return s.Engine != engine.Memory }

// defaultWriteBuffer is Samza's container.write.buffer.size.bytes.
const defaultWriteBuffer = 32 << 20

// DefaultDeleteRetention is Samza's delete.retention.ms of changelogs.
const DefaultDeleteRetention = 24 * time.Hour

// DefaultMinCompactionLag is Samza's min.compaction.lag.ms of changelogs.
const DefaultMinCompactionLag = 4 * time.Hour

// Specs gives the stores that a configuration describes, sorted by name.
//
// Where Samza's keys for the cache are not set (object.cache.size,
// write.batch.size), each changed key is written once a commit; a store whose
// engine is in memory caches everything, since a bound would save no memory,
// and one on disk as much as its bytes allow.
func Specs(c config.Config) ([]Spec, error) {
	stores, err := config.Stores(c)
	if err != nil {
		return nil, err
	}
	specs := make([]Spec, len(stores))
	for i, s := range stores {
		specs[i] = Spec{
			Name: s.Name, Engine: s.Engine, KeySerde: s.KeySerde, ValueSerde: s.MsgSerde,
			Changelog:     system.StreamID(s.Changelog),
			SideProcessor: s.SideProcessor, Shared: s.Shared,
			CacheEntries: s.CacheEntries, WriteBatch: s.WriteBatch,
			CacheBytes: s.CacheBytes, WriteBufferBytes: s.WriteBufferBytes,
			Compression: s.Compression, BlockBytes: int(s.BlockBytes), WAL: s.WAL, CleanAtStart: s.CleanAtStart,
			MaxMessageSize: s.MaxMessageSize, DisallowLarge: s.DisallowLarge, DropLarge: s.DropLarge,
			TTL: s.TTL, Topic: s.Topic,
			AccessLogRatio: s.AccessLogRatio, QuotaBytes: s.QuotaBytes,
			WriteBuffers: s.WriteBuffers, Compactions: s.Compactions, OpenFiles: s.OpenFiles, Properties: s.Properties,
			Policy: Policy{
				ExactlyOnce:      config.ExactlyOnce(c),
				DeleteRetention:  s.DeleteRetention,
				ByAge:            s.TTL > 0 && !strings.Contains(s.Topic["cleanup.policy"], "compact"),
				ToNewest:         !config.TaskTransactionalRestore.Of(c),
				DropExisting:     !config.TaskTransactionalRetain.Of(c),
				Unrecorded:       !config.TaskTransactionalCheckpoint.Of(c),
				MinCompactionLag: s.MinCompactionLag,
			},
		}
		for _, in := range s.SideInputs {
			specs[i].SideInputs = append(specs[i].SideInputs, system.StreamID(in))
		}
		if !config.StoreCacheEntries.IsSet(c, s.Name) {
			specs[i].CacheEntries = Unlimited
			if specs[i].OnDisk() {
				specs[i].ObjectBytes = s.ObjectBytes
			}
		}
		if !config.StoreWriteBatch.IsSet(c, s.Name) {
			specs[i].WriteBatch = Unlimited
		}
	}
	return specs, nil
}
