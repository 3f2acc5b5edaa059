package config

import (
	"fmt"
	"strings"
)

// Kind is a kind of things that a configuration names: by our name, by Samza's
// class name, or by the class's simple name.
type Kind string

// The kinds.
const (
	KindJobFactory  Kind = "job factory"
	KindSerde       Kind = "serde"
	KindSystem      Kind = "system factory"
	KindCheckpoint  Kind = "checkpoint manager"
	KindStore       Kind = "store engine"
	KindGrouper     Kind = "grouper of partitions into tasks"
	KindTaskGrouper Kind = "grouper of tasks into containers"
	KindReporter    Kind = "metrics reporter"
	KindRewriter    Kind = "configuration rewriter"
	KindChooser     Kind = "message chooser"
)

// Alias is one thing of a kind.
type Alias struct {
	// Kind is what it is one of.
	Kind Kind
	// Name is ours.
	Name string
	// Class is Samza's class for it, as checkpoint keys and the coordinator
	// stream hold it; empty for what Samza does not have.
	Class string
	// Others are further names of ours and of Samza.
	Others []string
	// Missing says why it cannot be used, for what Samza has and we do not;
	// empty otherwise.
	Missing string
}

const (
	notBuilt   = "not supported yet"
	javaObject = "a Java object's own format, which nothing but Java can read"
)

var aliases = []Alias{
	{Kind: KindJobFactory, Name: "thread", Class: "org.apache.samza.job.local.ThreadJobFactory", Others: []string{"local"}},
	{Kind: KindJobFactory, Name: "process", Class: "org.apache.samza.job.local.ProcessJobFactory"},
	{Kind: KindJobFactory, Name: "yarn", Class: "org.apache.samza.job.yarn.YarnJobFactory"},

	{Kind: KindSerde, Name: "string", Class: "org.apache.samza.serializers.StringSerdeFactory"},
	{Kind: KindSerde, Name: "json", Class: "org.apache.samza.serializers.JsonSerdeFactory", Others: []string{"org.apache.samza.serializers.JsonSerdeV2Factory"}},
	{Kind: KindSerde, Name: "integer", Class: "org.apache.samza.serializers.IntegerSerdeFactory", Others: []string{"int"}},
	{Kind: KindSerde, Name: "long", Class: "org.apache.samza.serializers.LongSerdeFactory"},
	{Kind: KindSerde, Name: "double", Class: "org.apache.samza.serializers.DoubleSerdeFactory"},
	{Kind: KindSerde, Name: "bytes", Class: "org.apache.samza.serializers.ByteSerdeFactory", Others: []string{"byte", "bytebuffer", "org.apache.samza.serializers.ByteBufferSerdeFactory", "org.apache.samza.serializers.NoOpSerde"}},
	{Kind: KindSerde, Name: "avro"},
	{Kind: KindSerde, Name: "protobuf"},
	{Kind: KindSerde, Name: "metrics-snapshot", Class: "org.apache.samza.serializers.MetricsSnapshotSerdeFactory"},
	{Kind: KindSerde, Name: "metrics-snapshot-v2", Class: "org.apache.samza.serializers.MetricsSnapshotSerdeV2Factory"},
	{Kind: KindSerde, Name: "uuid", Class: "org.apache.samza.serializers.UUIDSerdeFactory", Missing: notBuilt},
	{Kind: KindSerde, Name: "serializable", Class: "org.apache.samza.serializers.SerializableSerdeFactory", Missing: javaObject},

	{Kind: KindSystem, Name: "kafka", Class: "org.apache.samza.system.kafka.KafkaSystemFactory"},
	{Kind: KindSystem, Name: "memory", Class: "org.apache.samza.system.inmemory.InMemorySystemFactory", Others: []string{"inmemory"}},
	{Kind: KindSystem, Name: "hdfs", Class: "org.apache.samza.system.hdfs.HdfsSystemFactory", Missing: notBuilt},
	{Kind: KindSystem, Name: "file", Class: "org.apache.samza.system.filereader.FileReaderSystemFactory", Missing: notBuilt},
	{Kind: KindSystem, Name: "kinesis", Class: "org.apache.samza.system.kinesis.KinesisSystemFactory", Missing: notBuilt},
	{Kind: KindSystem, Name: "eventhub", Class: "org.apache.samza.system.eventhub.EventHubSystemFactory", Missing: notBuilt},
	{Kind: KindSystem, Name: "elasticsearch", Class: "org.apache.samza.system.elasticsearch.ElasticsearchSystemFactory", Missing: notBuilt},
	{Kind: KindSystem, Name: "azureblob", Class: "org.apache.samza.system.azureblob.AzureBlobSystemFactory", Missing: notBuilt},

	{Kind: KindCheckpoint, Name: "kafka", Class: "org.apache.samza.checkpoint.kafka.KafkaCheckpointManagerFactory"},
	{Kind: KindCheckpoint, Name: "file", Class: "org.apache.samza.checkpoint.file.FileSystemCheckpointManagerFactory"},
	{Kind: KindCheckpoint, Name: "none"},
	{Kind: KindCheckpoint, Name: "azure", Class: "org.apache.samza.checkpoint.azure.AzureCheckpointManagerFactory", Missing: notBuilt},

	{Kind: KindStore, Name: "memory", Class: "org.apache.samza.storage.kv.inmemory.InMemoryKeyValueStorageEngineFactory", Others: []string{"inmemory"}},
	{Kind: KindStore, Name: "pebble", Class: "org.apache.samza.storage.kv.RocksDbKeyValueStorageEngineFactory", Others: []string{"rocksdb", "org.apache.samza.storage.kv.KeyValueStorageEngineFactory", "org.apache.samza.storage.kv.LevelDbKeyValueStorageEngineFactory"}},

	{Kind: KindGrouper, Name: "partition", Class: "org.apache.samza.container.grouper.stream.GroupByPartitionFactory"},
	{Kind: KindGrouper, Name: "ssp", Class: "org.apache.samza.container.grouper.stream.GroupBySystemStreamPartitionFactory"},
	{Kind: KindGrouper, Name: "single", Class: "org.apache.samza.container.grouper.stream.AllSspToSingleTaskGrouperFactory", Missing: notBuilt},

	{Kind: KindTaskGrouper, Name: "container-count", Class: "org.apache.samza.container.grouper.task.GroupByContainerCountFactory"},
	{Kind: KindTaskGrouper, Name: "container-ids", Class: "org.apache.samza.container.grouper.task.GroupByContainerIdsFactory", Missing: notBuilt},

	{Kind: KindReporter, Name: "snapshot", Class: "org.apache.samza.metrics.reporter.MetricsSnapshotReporterFactory"},
	{Kind: KindReporter, Name: "log", Class: "org.apache.samza.metrics.reporter.LoggingMetricsReporterFactory"},
	{Kind: KindReporter, Name: "jmx", Class: "org.apache.samza.metrics.reporter.JmxReporterFactory"},

	{Kind: KindRewriter, Name: "environment", Class: "org.apache.samza.config.EnvironmentConfigRewriter"},
	{Kind: KindRewriter, Name: "regex", Class: "org.apache.samza.config.RegExTopicGenerator"},

	{Kind: KindChooser, Name: "round-robin", Class: "org.apache.samza.system.chooser.RoundRobinChooserFactory", Others: []string{"org.apache.samza.system.chooser.RoundRobinChooser"}},
}

// Aliases returns everything of a kind, what is missing here included.
func Aliases(k Kind) []Alias {
	var out []Alias
	for _, a := range aliases {
		if a.Kind == k {
			out = append(out, a)
		}
	}
	return out
}

// Canonical finds a thing by our name, Samza's class name or the class's simple
// name, letters in any case. The error lists what is known, and says so when
// the thing is known but cannot be used.
func Canonical(k Kind, name string) (Alias, error) {
	name = strings.TrimSpace(name)
	for _, a := range aliases {
		if a.Kind != k || !a.is(name) {
			continue
		}
		if a.Missing != "" {
			return a, fmt.Errorf("the %s %s is known to Samza, but %s; there are: %s", k, name, a.Missing, strings.Join(names(k), ", "))
		}
		return a, nil
	}
	var all []string
	for _, a := range aliases {
		if a.Kind == k && a.Missing == "" {
			all = append(append(all, a.Name, a.Class), a.Others...)
		}
	}
	there := strings.Join(names(k), ", ")
	if k == KindStore {
		there += " (Samza's RocksDB factory means pebble)"
	}
	return Alias{Kind: k}, fmt.Errorf("no %s %s%s; there are: %s", k, quote(name), didYouMean(name, all), there)
}

func (a Alias) is(name string) bool {
	for _, n := range append([]string{a.Name, a.Class}, a.Others...) {
		if n != "" && (strings.EqualFold(n, name) || strings.EqualFold(simpleName(n), name)) {
			return true
		}
	}
	return false
}

func names(k Kind) []string {
	var out []string
	for _, a := range Aliases(k) {
		if a.Missing == "" {
			out = append(out, a.Name)
		}
	}
	return out
}

// JobFactory says where a job runs.
type JobFactory string

// The job factories.
const (
	Thread  JobFactory = "thread"  // one process holds the whole job
	Process JobFactory = "process" // the AM's part in run-job, each container a child process
	YARN    JobFactory = "yarn"    // an application on a YARN cluster
)

// Factory returns job.factory.class; Thread when nothing is set. The error
// lists the known ones.
func Factory(c Config) (JobFactory, error) {
	name, err := JobFactoryClass.Get(c)
	return JobFactory(name), err
}

func onYARN(c Config) bool {
	f, err := Factory(c)
	return err == nil && f == YARN
}

// Grouper returns how partitions become tasks. Its Class is the name that
// checkpoint keys hold.
func Grouper(c Config) (Alias, error) {
	name, err := JobGrouper.Get(c)
	if err != nil {
		return Alias{Kind: KindGrouper}, err
	}
	return Canonical(KindGrouper, name)
}
