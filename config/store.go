package config

import (
	"errors"
	"strings"
	"time"
)

const sectionStore = "Stores"

// Keys of the stores. Stores resolves them.
var (
	StoreFactory = declare(sectionStore, "stores.<store...>.factory", named(KindStore), "", spec{
		doc:  "The store's engine: `memory`, or `pebble` (Samza: RocksDB). A store exists if it has this key.",
		kind: KindStore,
	})
	StoreKeySerde = declare(sectionStore, "stores.<store...>.key.serde", word, "", spec{
		doc: "Serde of the store's keys.", def: "bytes as they are",
	})
	StoreMsgSerde = declare(sectionStore, "stores.<store...>.msg.serde", word, "", spec{
		doc: "Serde of the store's values.", def: "bytes as they are",
	})
	StoreChangelog = declare(sectionStore, "stores.<store...>.changelog", word, "", spec{
		doc: "Topic to which every change is written, and from which the store is restored: stream or system.stream. Without it, state is lost with the container.",
	})
	StoreChangelogReplication = declare(sectionStore, "stores.<store...>.changelog.replication.factor", integer(1), 2, spec{
		doc: "Replicas of the changelog topic.",
		def: "stores.default.changelog.replication.factor, else systems.<system>.default.stream.replication.factor, else 2, or the number of brokers if there are fewer",
	})
	StoreChangelogSetting = declare(sectionStore, "stores.<store...>.changelog.kafka.<setting...>", text, "", spec{
		doc: "Kafka's topic settings of the changelog; they win over all others.",
	})
	StoreChangelogDeleteRetention = declare(sectionStore, "stores.<store...>.changelog.delete.retention.ms", positive(millis), 24*time.Hour, spec{
		doc: "Topic setting delete.retention.ms of the changelog; local state that is older is not used.",
	})
	StoreChangelogMinCompactionLag = declare(sectionStore, "stores.<store...>.changelog.min.compaction.lag.ms", positive(millis), 4*time.Hour, spec{
		doc: "Topic setting min.compaction.lag.ms of the changelog, with task.transactional.state.restore.enabled.",
		els: []string{"stores.default.changelog.min.compaction.lag.ms"},
		def: "stores.default.changelog.min.compaction.lag.ms, else 14400000",
	})
	StoreChangelogMaxMessageBytes = declare(sectionStore, "stores.<store...>.changelog.max.message.bytes", byteCount(1), 1000012, spec{
		doc: "Topic setting max.message.bytes of the changelog.",
		def: "systems.<system>.default.stream.max.message.bytes, else 1000012",
	})
	StoreMaxMessageSize = declare(sectionStore, "stores.<store...>.changelog.max.message.size.bytes", byteCount(1), 1048576, spec{
		doc: "A value of more bytes counts as large; see stores.<store...>.disallow.large.messages and .drop.large.messages. Whatever they say, a record that is larger than the changelog's topic or the producer takes is refused before anything is written.",
	})
	StoreDisallowLarge = declare(sectionStore, "stores.<store...>.disallow.large.messages", boolean, false, spec{
		doc: "A large value is an error of Put, and changes nothing.",
	})
	StoreDropLarge = declare(sectionStore, "stores.<store...>.drop.large.messages", boolean, false, spec{
		doc: "A large value, or one that the changelog would not take, is passed over and counted; the key keeps its old value. With disallow.large.messages it is an error all the same.",
	})
	StoreCacheEntries = declare(sectionStore, "stores.<store...>.object.cache.size", integer(0), 1000, spec{
		doc: "Entries of a task's cache of objects for the store; 0: none.",
		def: "all for a store in memory, what heddle.stores.<store>.object.cache.bytes holds for one on disk",
	})
	StoreObjectBytes = declare(sectionStore, "heddle.stores.<store...>.object.cache.bytes", byteCount(1), 33554432, spec{
		doc: "What the cache of objects of a store on disk takes in a container, about, shared by its tasks. It counts where object.cache.size is not set.",
	})
	StoreQuota = declare(sectionStore, "heddle.stores.<store...>.quota.bytes", byteCount(0), 0, spec{
		doc: "What the store of one task may take, on disk or in memory where it lies there. At four fifths of it there is a warning; when it is full Put is an error, while reads and deletions go on. 0: no limit.",
	})
	StoreWriteBatch = declare(sectionStore, "stores.<store...>.write.batch.size", integer(0), 500, spec{
		doc: "Changed entries of the cache that are written together; 0: each at once.",
		def: "all, at each commit",
	})
	StoreTTL = declare(sectionStore, "stores.<store...>.rocksdb.ttl.ms", millis, -time.Millisecond, spec{
		doc: "An entry ends this long after it was written, in an engine in memory, too; at least 1000. The changelog's topic is then made with cleanup.policy=delete and this as retention.ms, unless stores.<store...>.changelog.kafka.cleanup.policy says otherwise. 0 and less: never.",
		def: "never",
	})
	StoreSideInputs = declare(sectionStore, "stores.<store...>.side.inputs", list, nil, spec{
		doc: "Streams from which the store is filled, instead of a changelog; the task reads it only. A task gets the partitions that the grouper gives it.",
	})
	StoreSideInputsProcessor = declare(sectionStore, "stores.<store...>.side.inputs.processor.factory", word, "", spec{
		doc: "The function that turns the side inputs' messages into entries, by the name under which the program holds it (container.WithSideInput).",
		def: "a message's key and value are the entry; no value deletes it",
	})
	StoreShared = declare(sectionStore, "heddle.stores.<store...>.shared", boolean, false, spec{
		doc: "One copy for all tasks of a container, from all partitions of the side inputs. The streams are no inputs of the tasks then.",
	})
	StoreAccessLog = declare(sectionStore, "stores.<store...>.accesslog.enabled", boolean, false, spec{
		doc: "A sample of the task's calls goes to the topic <changelog>-access-log, in Samza's form. The store needs a changelog.",
	})
	StoreAccessLogSampling = declare(sectionStore, "stores.<store...>.accesslog.sampling.ratio", integer(0), 50, spec{
		doc: "How many of a hundred calls are logged.",
	})
	StoreBackupFactories = declare(sectionStore, "stores.<store...>.backup.factories", backupFactories, nil, spec{
		doc: "How state is backed up; only the Kafka changelog is known.",
		def: "the Kafka changelog, if there is one", els: []string{"stores.backup.factories"},
	})
	StoreRestoreFactories = declare(sectionStore, "stores.<store...>.restore.factories", backupFactories, nil, spec{
		doc: "How state is restored; only the Kafka changelog is known.",
		def: "the Kafka changelog, if there is one", els: []string{"stores.restore.factories"},
	})
	_ = declare(sectionStore, "stores.backup.factories", backupFactories, nil, spec{
		doc: "The same for all stores.",
	})
	_ = declare(sectionStore, "stores.restore.factories", backupFactories, nil, spec{
		doc: "The same for all stores.",
	})
	StoreDefaultReplication = declare(sectionStore, "stores.default.changelog.replication.factor", integer(1), 2, spec{
		doc: "Replicas of changelog topics whose store sets none.",
		def: "systems.<system>.default.stream.replication.factor, else 2, or the number of brokers if there are fewer",
	})
	StoreDefaultMinCompactionLag = declare(sectionStore, "stores.default.changelog.min.compaction.lag.ms", positive(millis), 4*time.Hour, spec{
		doc: "min.compaction.lag.ms of changelog topics whose store sets none.",
	})
)

// Keys that tune RocksDB.
var (
	StoreCacheBytes = declare(sectionStore, "stores.<store...>.container.cache.size.bytes", byteCount(0), 104857600, spec{
		doc: "Cache of the engine in a container, shared by its tasks: half of it holds blocks of the files, half of it single entries.",
	})
	StoreWriteBufferBytes = declare(sectionStore, "stores.<store...>.container.write.buffer.size.bytes", byteCount(0), 33554432, spec{
		doc: "What is written between two commits, and the engine's memory for what it did not write to files yet, in a container, shared by its tasks. Above it a commit is asked for.",
	})
	StoreCompression = declare(sectionStore, "stores.<store...>.rocksdb.compression", compression, "snappy", spec{
		doc: "Compression of blocks: snappy, zstd, lz4, none.",
	})
	StoreBlockBytes = declare(sectionStore, "stores.<store...>.rocksdb.block.size.bytes", byteCount(1), 4096, spec{
		doc: "Size of a block.",
	})
	StoreWriteBuffers = declare(sectionStore, "stores.<store...>.rocksdb.num.write.buffers", integer(1), 3, spec{
		doc: "Memtables of a task's store: the one that is written to, and those that wait to be flushed. When there are more, writes wait.",
	})
	StoreCompactions = declare(sectionStore, "stores.<store...>.rocksdb.compaction.max.background.compactions", integer(1), 1, spec{
		doc: "Compactions of a task's store that may run at a time (Samza: 4).",
		els: []string{"stores.<store...>.rocksdb.max.background.jobs"},
	})
	_ = declare(sectionStore, "stores.<store...>.rocksdb.max.background.jobs", integer(1), 1, spec{
		doc: "The same, by RocksDB's newer name.",
	})
	StoreOpenFiles = declare(sectionStore, "stores.<store...>.rocksdb.max.open.files", integer(-1), 1000, spec{
		doc: "Files that the store holds open in a container; -1 and 0: 1000.",
	})
	StoreMetricsList = declare(sectionStore, "stores.<store...>.rocksdb.metrics.list", list, nil, spec{
		doc: "RocksDB's properties that are published as metrics besides the usual ones: rocksdb.num-immutable-mem-table, .live-sst-files-size, .total-sst-files-size, .num-live-sst-files, .num-files-at-levelN, .block-cache-usage, .num-running-compactions, .compaction-pending, .estimate-pending-compaction-bytes, .num-snapshots. The engine has no others.",
	})
	StoreWAL = declare(sectionStore, "stores.<store...>.rocksdb.wal.enabled", boolean, false, spec{
		doc: "The engine writes a log of its own; otherwise the changelog alone makes state durable, and a crash falls back to an earlier commit.",
	})
	StoreCleanAtStart = declare(sectionStore, "stores.<store...>.clean.on.container.start", boolean, false, spec{
		doc: "Local state is dropped at start.",
	})
)

// EngineProperties are RocksDB's properties that the engine on disk has, apart from
// rocksdb.num-files-at-levelN.
var EngineProperties = []string{
	"rocksdb.block-cache-usage", "rocksdb.compaction-pending", "rocksdb.cur-size-all-mem-tables",
	"rocksdb.estimate-pending-compaction-bytes", "rocksdb.estimate-table-readers-mem", "rocksdb.live-sst-files-size",
	"rocksdb.num-immutable-mem-table", "rocksdb.num-live-sst-files", "rocksdb.num-running-compactions",
	"rocksdb.num-snapshots", "rocksdb.size-all-mem-tables", "rocksdb.total-sst-files-size",
}

// Keys that Samza knows and that have no meaning here.
var _ = []Key[string]{
	ignored(sectionStore, "stores.<store...>.rocksdb.compaction.style", "RocksDB's."),
	ignored(sectionStore, "stores.<store...>.rocksdb.max.log.file.size.bytes", "RocksDB's."),
	ignored(sectionStore, "stores.<store...>.rocksdb.keep.log.file.num", "RocksDB's."),
	ignored(sectionStore, "stores.<store...>.rocksdb.<setting...>", "RocksDB's."),
	ignored(sectionStore, "stores.<store...>.leveldb.<setting...>", "LevelDB's."),
	ignored(sectionStore, "stores-default.<setting...>", "RocksDB's."),
	ignored(sectionStore, "stores.<store...>.side.inputs.processor.serialized.instance", "A Java object."),
	ignored(sectionStore, "stores.<store...>.samza.serialized.instance", "A Java object."),
	declare(sectionStore, "blob.store.<setting...>", text, "", spec{
		doc:    "Samza's backups of stores. Here: snapshots on a file system that all machines reach, heddle.snapshot.uri.",
		status: NoMeaning, instead: "set heddle.snapshot.uri for copies of stores outside of Kafka, to restore from",
	}),
}

// compression takes RocksDB's names; what the engine does not have stands for
// what comes nearest.
var compression = kind[string]{
	name: "snappy, zstd, lz4 or none",
	parse: func(s string) (string, error) {
		switch w := strings.ToLower(strings.TrimSpace(s)); w {
		case "snappy", "zstd", "lz4", "none":
			return w, nil
		case "lz4hc":
			return "lz4", nil
		case "zlib", "bzip2":
			return "zstd", nil
		}
		return "", errors.New("it is none of snappy, zstd, lz4, none (lz4hc, zlib and bzip2 stand for what comes nearest)")
	},
	format: func(s string) string { return s },
}
