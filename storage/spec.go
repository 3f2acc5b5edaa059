package storage

import (
	"time"

	"heddle/system"
)

// Unlimited is the size of a cache that holds everything.
const Unlimited = -1

// Spec says how a store is made (Samza: stores.NAME.*).
type Spec struct {
	// Name is the store's name.
	Name string
	// Engine is EngineMemory or EnginePebble (stores.NAME.factory).
	Engine string
	// KeySerde and ValueSerde name serdes (stores.NAME.key.serde, .msg.serde);
	// "" leaves bytes as they are.
	KeySerde, ValueSerde string
	// Changelog is the stream that every change is written to; the zero value
	// means none, and what the store holds is lost with the container.
	Changelog system.StreamID
	// CacheEntries bounds the cache (stores.NAME.object.cache.size); 0: no
	// cache, every write goes through; Unlimited.
	CacheEntries int
	// WriteBatch is the number of changed keys that are written together
	// without waiting for a commit (stores.NAME.write.batch.size); 0 and 1: each
	// at once; Unlimited: all at the commit.
	WriteBatch int
	// Topic says how the changelog's topic is made.
	Topic TopicSpec
	// Policy decides how far the store is restored.
	Policy Policy
}

// Logged tells if the store has a changelog.
func (s Spec) Logged() bool { return s.Changelog != system.StreamID{} }

// TopicSpec holds what the settings of a changelog's topic are made of.
type TopicSpec struct {
	// ReplicationFactor is stores.NAME.changelog.replication.factor and what
	// stands in for it; 0 if nobody set one.
	ReplicationFactor int
	// DeleteRetention is stores.NAME.changelog.delete.retention.ms.
	DeleteRetention time.Duration
	// MaxMessageBytes is stores.NAME.changelog.max.message.bytes.
	MaxMessageBytes int
	// TTL is stores.NAME.rocksdb.ttl.ms; 0 and less: none.
	TTL time.Duration
	// Overrides are stores.NAME.changelog.kafka.*.
	Overrides map[string]string
}

// Defaults of Samza, for a Spec made by hand.
const (
	DefaultDeleteRetention  = 24 * time.Hour
	DefaultMinCompactionLag = 4 * time.Hour
	DefaultMaxMessageBytes  = 1000012
	DefaultCacheEntries     = 1000
	DefaultWriteBatch       = 500
)
