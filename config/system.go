package config

const (
	sectionSystem     = "Systems"
	sectionStream     = "Streams"
	sectionSerializer = "Serdes"
)

// streamOld gives the places where a stream's property is looked up after
// streams.<id>: the old per-stream form, then the system's default. The lookup
// itself, which needs the stream's id and its topic, is Stream.
const streamDoc = " Looked up as `streams.<id>.samza.X`, `systems.<system>.streams.<topic>.samza.X`, `systems.<system>.default.stream.samza.X`"

// Keys of the systems.
var (
	SystemFactory = declare(sectionSystem, "systems.<system>.samza.factory", named(KindSystem), "", spec{
		doc:  "What the system is: `kafka`, `memory`. A system with nothing but bootstrap addresses is Kafka.",
		kind: KindSystem,
	})
	SystemKeySerde = declare(sectionSystem, "systems.<system>.samza.key.serde", word, "", spec{
		doc: "Serde of the keys of all streams of the system (0.13; the last place that is looked at).",
	})
	SystemMsgSerde = declare(sectionSystem, "systems.<system>.samza.msg.serde", word, "", spec{
		doc: "Serde of the messages of all streams of the system (0.13; the last place that is looked at).",
	})
	SystemOffsetDefault = declare(sectionSystem, "systems.<system>.samza.offset.default", offsetDefault, "upcoming", spec{
		doc: "Where inputs without a checkpoint start (0.13; the last place that is looked at).",
	})
	SystemFetchThreshold = declare(sectionSystem, "systems.<system>.samza.fetch.threshold", integer(1), 10000, spec{
		doc: "Messages that a container keeps ready for its tasks, over all its partitions. Samza's default 10000 was 50000 in 0.13.",
	})
	SystemFetchThresholdBytes = declare(sectionSystem, "systems.<system>.samza.fetch.threshold.bytes", byteCount(-1), -1, spec{
		doc: "The same in bytes; wins over the number of messages. Half of it is shared by the partitions. Not above 0: no limit.",
	})
	SystemDeleteCommitted = declare(sectionSystem, "systems.<system>.samza.delete.committed.messages", boolean, false, spec{
		doc: "Messages of streams that say so are deleted from the topic after a commit.", status: NotYet,
	})
	SystemConsumerBootstrap = declare(sectionSystem, "systems.<system>.consumer.bootstrap.servers", list, nil, spec{
		doc: "Kafka addresses to read from, host:port.",
		def: "systems.<system>.producer.bootstrap.servers",
		els: []string{"systems.<system>.producer.bootstrap.servers"},
	})
	SystemProducerBootstrap = declare(sectionSystem, "systems.<system>.producer.bootstrap.servers", list, nil, spec{
		doc: "Kafka addresses, host:port; `embedded` starts a Kafka in the process.",
		def: "systems.<system>.consumer.bootstrap.servers, else embedded",
		els: []string{"systems.<system>.consumer.bootstrap.servers"},
	})
	SystemAutoOffsetReset = declare(sectionSystem, "systems.<system>.consumer.auto.offset.reset", offsetReset, "", spec{
		doc: "Where reading goes on when the offset asked for no longer exists: earliest, latest (old: smallest, largest), or none, which stops the container.",
		def: "the stream's offset.default",
	})
	SystemFetchMessageMaxBytes = declare(sectionSystem, "systems.<system>.consumer.fetch.message.max.bytes", byteCount(1), 1048576, spec{
		doc: "Bytes of a partition in one fetch (0.13; Kafka: max.partition.fetch.bytes).",
	})
	_ = declare(sectionSystem, "systems.<system>.streams.<topic...>.consumer.fetch.message.max.bytes", byteCount(1), 1048576, spec{
		doc: "The same for one topic (0.13).", status: NoEffectYet,
	})
	SystemStreamAutoOffsetReset = declare(sectionSystem, "systems.<system>.streams.<topic...>.consumer.auto.offset.reset", offsetReset, "", spec{
		doc: "The same for one topic (0.13).", def: "systems.<system>.consumer.auto.offset.reset",
		els: []string{"systems.<system>.consumer.auto.offset.reset"},
	})
	SystemConsumerSetting = declare(sectionSystem, "systems.<system>.consumer.<setting...>", text, "", spec{
		doc: "Kafka's consumer settings under Kafka's names: TLS, SASL, fetch sizes.",
	})
	SystemProducerSetting = declare(sectionSystem, "systems.<system>.producer.<setting...>", text, "", spec{
		doc: "Kafka's producer settings under Kafka's names: TLS, SASL, compression, batches.",
	})
	SystemDefaultReplication = declare(sectionSystem, "systems.<system>.default.stream.replication.factor", integer(1), 2, spec{
		doc: "Replicas of topics that are made, when nothing more special is set.",
		def: "2, or the number of brokers if there are fewer",
	})
	SystemDefaultPartitions = declare(sectionSystem, "systems.<system>.default.stream.partition.count", integer(1), 1, spec{
		doc: "Partitions of topics that are made, when nothing more special is set.",
		def: "the broker's default",
	})
	SystemDefaultSetting = declare(sectionSystem, "systems.<system>.default.stream.<setting...>", text, "", spec{
		doc: "Kafka's topic settings for topics that are made.",
	})
)

// Keys of the streams. Stream resolves them for one stream.
var (
	StreamSystem = declare(sectionStream, "streams.<id>.samza.system", word, "", spec{
		doc: "System of the stream.", def: "job.default.system, else the only system",
	})
	StreamPhysicalName = declare(sectionStream, "streams.<id>.samza.physical.name", word, "", spec{
		doc: "Name of the topic.", def: "the stream's id",
	})
	StreamKeySerde = declareStream("samza.key.serde", word, "", spec{
		doc: "Serde of the keys." + streamDoc + ", `systems.<system>.samza.X`.", def: "bytes as they are",
	})
	StreamMsgSerde = declareStream("samza.msg.serde", word, "", spec{
		doc: "Serde of the messages." + streamDoc + ", `systems.<system>.samza.X`.", def: "bytes as they are",
	})
	StreamOffsetDefault = declareStream("samza.offset.default", offsetDefault, "upcoming", spec{
		doc: "Where the input starts without a checkpoint: oldest or upcoming." + streamDoc + ", `systems.<system>.samza.X`.",
	})
	StreamResetOffset = declareStream("samza.reset.offset", boolean, false, spec{
		doc: "Checkpoints of the input are passed over at every start of a container." + streamDoc + ".",
	})
	StreamPriority = declareStream("samza.priority", integer(-1), -1, spec{
		doc: "Of the messages at hand those of the streams with the highest priority come first, strictly. A bootstrap stream that sets none stands above all, any other at 0." + streamDoc + ".",
	})
	StreamBootstrap = declareStream("samza.bootstrap", boolean, false, spec{
		doc: "At every start of a container each task reads the stream, from its checkpoint, to the end that it has then, before any other." + streamDoc + ".",
	})
	StreamBroadcast = declareStream("samza.broadcast", boolean, false, spec{
		doc: "Every task reads all partitions of the input, as with task.broadcast.inputs." + streamDoc + ".",
	})
	StreamBounded = declareStream("samza.bounded", boolean, false, spec{
		doc: "The stream has an end." + streamDoc + ".", status: NotYet,
	})
	StreamIntermediate = declareStream("samza.intermediate", boolean, false, spec{
		doc: "The stream lies between operators of Samza's high-level API, with its framing." + streamDoc + ".", status: NotYet,
	})
	StreamDeleteCommitted = declareStream("samza.delete.committed.messages", boolean, false, spec{
		doc: "The topic's messages are deleted after a commit." + streamDoc + ".", status: NotYet,
	})
	StreamReplicationFactor = declare(sectionStream, "streams.<id>.replication.factor", integer(1), 2, spec{
		doc: "Replicas of the topic, if it has to be made.",
		def: "systems.<system>.default.stream.replication.factor, else 2, or the number of brokers if there are fewer",
	})
	StreamPartitions = declare(sectionStream, "streams.<id>.partition.count", integer(1), 1, spec{
		doc: "Partitions of the topic, if it has to be made. (Ours: Samza makes such topics with one.)",
		def: "systems.<system>.default.stream.partition.count, else the broker's default",
	})
	StreamSetting = declare(sectionStream, "streams.<id>.<setting...>", text, "", spec{
		doc: "Kafka's topic settings, if the topic has to be made.",
	})
	_ = declare(sectionStream, "systems.<system>.streams.<topic...>.<setting>", text, "", spec{
		doc: "The same, by topic (0.13).",
	})
)

// Keys of the serdes.
var (
	SerdeClass = declare(sectionSerializer, "serializers.registry.<serde>.class", named(KindSerde), "", spec{
		doc:  "What the serde of this name is. The built-in names need no registration.",
		kind: KindSerde,
	})
	_ = declare(sectionSerializer, "serializers.registry.<serde>.samza.serialized.instance", text, "", spec{
		doc: "A Java object in base64, which nothing but Java can read.", status: NotYet,
	})
	SerdeSetting = declare(sectionSerializer, "serializers.registry.<serde>.<setting...>", text, "", spec{
		doc: "Settings of the serde.",
	})
)

// Keys that Samza knows and that have no meaning here.
var _ = []Key[string]{
	ignored(sectionSystem, "systems.<system>.consumer.zookeeper.<setting...>", "Kafka's clients no longer use ZooKeeper."),
	ignored(sectionSystem, "systems.<system>.consumer.key.deserializer", "Java class; Samza replaces it too."),
	ignored(sectionSystem, "systems.<system>.consumer.value.deserializer", "Java class; Samza replaces it too."),
	ignored(sectionSystem, "systems.<system>.producer.key.serializer", "Java class; Samza replaces it too."),
	ignored(sectionSystem, "systems.<system>.producer.value.serializer", "Java class; Samza replaces it too."),
	ignored(sectionSystem, "systems.<system>.producer.producer.type", "Kafka 0.8: sending is always asynchronous."),
	ignored(sectionSystem, "systems.<system>.producer.metadata.broker.list", "Kafka 0.7: see producer.bootstrap.servers."),
}

// declareStream declares streams.<id>.<property> with the older places of the
// same property as further spellings of it.
func declareStream[T any](property string, k kind[T], def T, s spec) Key[T] {
	key := declare(sectionStream, "streams.<id>."+property, k, def, s)
	key.d.places = []string{
		"systems.<system>.streams.<topic...>." + property,
		"systems.<system>.default.stream." + property,
	}
	return key
}

// offsetDefault is where an input without a checkpoint starts.
var offsetDefault = oneOf("oldest", "upcoming")

// offsetReset is Kafka's auto.offset.reset in the old and new spellings.
var offsetReset = kind[string]{
	name: "earliest, latest or none",
	parse: func(s string) (string, error) {
		switch s, err := oneOf("earliest", "latest", "none", "smallest", "largest").parse(s); s {
		case "smallest":
			return "earliest", nil
		case "largest":
			return "latest", nil
		default:
			return s, err
		}
	},
	format: func(s string) string { return s },
}
