package config

import (
	"time"
)

const sectionJob = "Job"

// Keys of the job as a whole.
var (
	JobName = declare(sectionJob, "job.name", word, "", spec{
		doc:      "Name of the job. With job.id it names the YARN application, the coordinator and the checkpoint topic.",
		old:      []string{"app.name"},
		required: true,
	})
	JobID = declare(sectionJob, "job.id", word, "1", spec{
		doc: "Tells instances of one job apart: each has its own coordinator stream, checkpoints and application.",
		old: []string{"app.id"},
	})
	JobFactoryClass = declare(sectionJob, "job.factory.class", named(KindJobFactory), "thread", spec{
		doc:  "Where the job runs: `thread`, all in one process; `process`, each container a process of this machine; `yarn`, on a cluster.",
		kind: KindJobFactory,
	})
	JobDefaultSystem = declare(sectionJob, "job.default.system", word, "", spec{
		doc: "System of every stream and service that names none: coordinator, checkpoints, changelogs, `streams.*` without `samza.system`.",
		def: "the only system, or the only Kafka system",
	})
	JobContainerCount = declare(sectionJob, "job.container.count", integer(1), 1, spec{
		doc: "Number of containers, that share the tasks between them.",
		old: []string{"yarn.container.count"},
	})
	JobConfigRewriters = declare(sectionJob, "job.config.rewriters", list, nil, spec{
		doc: "Names of rewriters that change the configuration before the job is planned, in order.",
	})
	JobConfigRewriterClass = declare(sectionJob, "job.config.rewriter.<rewriter>.class", named(KindRewriter), "", spec{
		doc:  "What the rewriter is: `environment`, which turns SAMZA_FOO_BAR into foo.bar; or `regex`, which adds every topic of a system that matches to task.inputs.",
		kind: KindRewriter,
	})
	JobConfigRewriterSystem = declare(sectionJob, "job.config.rewriter.<rewriter>.system", word, "", spec{
		doc: "System in which the regex rewriter looks for topics.",
	})
	JobConfigRewriterRegex = declare(sectionJob, "job.config.rewriter.<rewriter>.regex", regex, "", spec{
		doc: "Regular expression that a whole topic name must match.",
	})
	JobConfigRewriterConfig = declare(sectionJob, "job.config.rewriter.<rewriter>.config.<setting...>", text, "", spec{
		doc: "Set as `systems.<system>.streams.<topic>.<property>` for each topic that the regex rewriter adds.",
	})
	JobConfigLoaderFactory = declare(sectionJob, "job.config.loader.factory", word, "", spec{
		doc: "Samza's class that reads the file below; only the one for properties files is known.",
	})
	JobConfigLoaderPath = declare(sectionJob, "job.config.loader.properties.path", word, "", spec{
		doc: "A properties file that is read before all others, as Samza 1.5 and later name it in `--config`.",
	})

	JobCoordinatorSystem = declare(sectionJob, "job.coordinator.system", word, "", spec{
		doc: "System that holds the coordinator stream.",
		def: "job.default.system, else the only system",
		els: []string{"job.default.system"},
	})
	JobCoordinatorReplicationFactor = declare(sectionJob, "job.coordinator.replication.factor", integer(1), 3, spec{
		doc: "Replicas of the coordinator topic.",
		def: "systems.<system>.default.stream.replication.factor, else 3, or the number of brokers if there are fewer",
	})
	JobCoordinatorSegmentBytes = declare(sectionJob, "job.coordinator.segment.bytes", byteCount(14), 26214400, spec{
		doc: "Topic setting segment.bytes of the coordinator topic.",
		def: "systems.<system>.default.stream.segment.bytes, else 26214400",
	})
	JobCoordinatorMaxMessageBytes = declare(sectionJob, "job.coordinator.max.message.bytes", byteCount(1), 1000012, spec{
		doc:    "Declared by Samza for the coordinator topic, but not set on it (Samza 1.8.0 makes the topic without).",
		status: NoMeaning,
	})
	JobCoordinatorMonitorPartitions = declare(sectionJob, "job.coordinator.monitor-partition-change.frequency.ms", millis, 300*time.Second, spec{
		doc: "How often the number of partitions of every input is compared with the job's; 0 or less: never.",
	})
	JobCoordinatorMonitorRegex = declare(sectionJob, "job.coordinator.monitor-input-regex.frequency.ms", millis, 300*time.Second, spec{
		doc:    "How often new topics are looked for that a regex rewriter would add; 0 or less: never.",
		status: NoEffectYet,
	})
	JobHeartbeatMonitor = declare(sectionJob, "job.container.heartbeat.monitor.enabled", boolean, true, spec{
		doc: "A container that its application master no longer knows stops itself.",
	})
	JobHostAffinity = declare(sectionJob, "job.host-affinity.enabled", boolean, false, spec{
		doc: "Containers are asked for on the hosts where they ran before, next to their state, and on any host after cluster-manager.container.request.timeout.ms. Where they run is kept in the coordinator stream, and tasks stay in their containers as far as the number of containers allows.",
		old: []string{"yarn.samza.host-affinity.enabled"},
	})
	JobGrouper = declare(sectionJob, "job.systemstreampartition.grouper.factory", named(KindGrouper), "partition", spec{
		doc:  "How input partitions become tasks: `partition`, one task for each partition number of all inputs; `ssp`, one for each partition of each input. Checkpoints hold its name: it must not change while a job has state.",
		kind: KindGrouper,
	})
	JobTaskNameGrouper = declare(sectionJob, "task.name.grouper.factory", named(KindTaskGrouper), "container-count", spec{
		doc:  "How tasks are dealt out to containers.",
		kind: KindTaskGrouper,
	})
	JobInputExpansion = declare(sectionJob, "job.systemstreampartition.input.expansion.enabled", boolean, true, spec{
		doc: "When an input's partitions grow by a multiple, a job with state keeps its tasks; the new partitions go to the task that had their keys.",
	})
	JobCheckpointValidation = declare(sectionJob, "job.checkpoint.validation.enabled", boolean, true, spec{
		doc: "Checkpoints of another grouper, unreadable ones, or a checkpoint topic with several partitions stop the job; otherwise they are a warning.",
	})
	JobChangelogSystem = declare(sectionJob, "job.changelog.system", word, "", spec{
		doc: "System of changelogs that name none.",
		def: "job.default.system, else the only system",
		els: []string{"job.default.system"},
	})
	JobStoreBaseDir = declare(sectionJob, "job.logged.store.base.dir", word, "", spec{
		doc: "Folder for local state that has a changelog, so that the next start on the host finds it; below it lies heddle-v1/<job.name>-<job.id>. The environment's LOGGED_STORE_BASE_DIR wins.",
		def: "on YARN a folder that lives as long as the application; else heddle.home/state",
	})
	JobNonLoggedStoreBaseDir = declare(sectionJob, "job.non-logged.store.base.dir", word, "", spec{
		doc: "Folder for local state without a changelog.",
		def: "on YARN the container's work folder; else heddle.home/state",
	})
	JobDiagnostics = declare(sectionJob, "job.diagnostics.enabled", boolean, false, spec{
		doc:    "Errors and stops are written to a diagnostics stream.",
		status: NoEffectYet,
	})
	JobStartpoint = declare(sectionJob, "job.startpoint.enabled", boolean, true, spec{
		doc:    "Startpoints in the coordinator stream move the start of a task's inputs.",
		status: NoEffectYet,
	})
	JobAutosizing = declare(sectionJob, "job.autosizing.enabled", boolean, false, spec{
		doc: "The values of `job.autosizing.*`, which an outside controller writes, win over those of the job.",
	})
	JobAutosizingContainerCount = declare(sectionJob, "job.autosizing.container.count", integer(1), 1, spec{
		doc: "Number of containers when job.autosizing.enabled.", def: "job.container.count",
	})
	JobAutosizingMemory = declare(sectionJob, "job.autosizing.container.memory.mb", integer(1), 1024, spec{
		doc: "Memory of a container when job.autosizing.enabled.", def: "cluster-manager.container.memory.mb",
	})
	JobAutosizingCores = declare(sectionJob, "job.autosizing.container.cpu.cores", integer(1), 1, spec{
		doc: "Cores of a container when job.autosizing.enabled.", def: "cluster-manager.container.cpu.cores",
	})
	JobRunID = declare(sectionJob, "app.run.id", word, "", spec{
		doc: "Identifies one deployment of the job; made at submit.", def: "made at submit",
	})
	ClusterManagerURLPort = declare(sectionJob, "cluster-manager.jobcoordinator.url.port", integer(0), 0, spec{
		doc: "Port of the application master's HTTP server; 0: any free one.",
	})
)

// Keys that Samza knows and that would change what a job does, but are not
// built yet.
var (
	_ = declare(sectionJob, "app.class", word, "", spec{
		doc: "Java class of an application in Samza's high-level API.", status: NotYet,
	})
	_ = declare(sectionJob, "app.mode", oneOf("stream", "batch"), "stream", spec{
		doc: "BATCH ends the job with its inputs.", status: NotYet,
	})
	_ = declare(sectionJob, "job.standbytasks.replication.factor", integer(1), 1, spec{
		doc: "Copies of each task's state on other hosts.", status: NotYet,
	})
	_ = declare(sectionJob, "job.elasticity.factor", integer(1), 1, spec{
		doc: "Tasks for each partition, by buckets of keys.", status: NotYet,
	})
	_ = declare(sectionJob, "job.systemstreampartition.matcher.class", word, "", spec{
		doc: "Takes only some partitions of the inputs.", status: NotYet,
	})
	_ = declare(sectionJob, "job.systemstreampartition.matcher.config.<setting...>", text, "", spec{
		doc: "Settings of the matcher.", status: NotYet,
	})
	_ = declare(sectionJob, "job.system.stream.partition.mapper.factory", word, "", spec{
		doc: "Java class that maps new partitions of an input to its old ones.", status: NotYet,
	})
	_ = declare(sectionJob, "tables.<setting...>", text, "", spec{
		doc: "Tables of Samza's high-level API.", status: NotYet,
	})
	_ = declare(sectionJob, "samza.sql.<setting...>", text, "", spec{
		doc: "Samza SQL.", status: NotYet,
	})
	_ = declare(sectionJob, "job.drain-monitor.enabled", boolean, false, spec{
		doc: "The job ends cleanly on a drain notice.", status: NotYet,
	})
	_ = declare(sectionJob, "job.drain-monitor.poll.interval.ms", millis, time.Minute, spec{
		doc: "How often drain notices are looked for.", status: NoEffectYet,
	})
	_ = declare(sectionJob, "job.intermediate.stream.partitions", integer(-1), -1, spec{
		doc: "Partitions of the streams between the operators of Samza's high-level API.", status: NoMeaning,
	})
)

var _ = declare(sectionJob, "azure.storage.connect", text, "", spec{
	doc: "Azure is not used.", status: NoMeaning, secret: true,
})

// Keys that Samza knows and that have no meaning here.
var _ = []Key[string]{
	ignored(sectionJob, "app.runner.class", "Samza's runner; bin/run-job.sh runs every job."),
	ignored(sectionJob, "app.main.class", "Java main class."),
	ignored(sectionJob, "app.main.args", "Arguments of the Java main class."),
	ignored(sectionJob, "job.autosizing.container.thread.pool.size", "Threads are Go's."),
	ignored(sectionJob, "job.autosizing.container.maxheap.mb", "There is no Java heap."),
	ignored(sectionJob, "job.autosizing.worker.maxheap.mb", "There is no Java heap."),
	ignored(sectionJob, "job.coordinator.factory", "Samza's standalone coordination."),
	ignored(sectionJob, "job.coordinator.execute", "The script that starts Samza's application master; ours is always bin/run-am."),
	ignored(sectionJob, "job.coordinator.monitor-partition-change", "Samza 0.13; the frequency alone decides."),
	ignored(sectionJob, "job.coordinator.restart.signal.factory", "Samza on static resources."),
	ignored(sectionJob, "job.coordinator.zk.<setting...>", "ZooKeeper is not used."),
	ignored(sectionJob, "job.coordinationUtils.factory", "Samza's standalone coordination."),
	ignored(sectionJob, "job.debounce.time.ms", "Samza's standalone coordination."),
	ignored(sectionJob, "job.container.thread.pool.size", "Threads are Go's: GOMAXPROCS follows the container's cores."),
	ignored(sectionJob, "job.container.commit.thread.pool.size", "Threads are Go's."),
	ignored(sectionJob, "job.container.commit.thread.pool.max.size", "Threads are Go's."),
	ignored(sectionJob, "job.container.restore.thread.pool.size", "Threads are Go's."),
	ignored(sectionJob, "job.container.restore.thread.pool.max.size", "Threads are Go's."),
	ignored(sectionJob, "job.container.single.thread.mode", "Threads are Go's."),
	ignored(sectionJob, "job.jmx.enabled", "There is no JMX.", "cluster-manager.jobcoordinator.jmx.enabled", "yarn.am.jmx.enabled"),
	ignored(sectionJob, "job.security.manager.factory", "Kerberos at YARN and HDFS is not there yet."),
	ignored(sectionJob, "app.api.type", "Samza's planner."),
	ignored(sectionJob, "app.processor-id-generator.class", "Samza's standalone coordination."),
	ignored(sectionJob, "processor.id", "Samza's standalone coordination."),
	ignored(sectionJob, "processor.list", "Samza's standalone coordination."),
	ignored(sectionJob, "job.coordinator.azure.<setting...>", "Azure is not used."),
	ignored(sectionJob, "job.coordinatorstream.config.factory", "Samza's class for the coordinator stream."),
	ignored(sectionJob, "job.metadata.file.enable", "A file for Samza's diagnostics."),
	ignored(sectionJob, "metadata.store.factory", "Metadata lies in the coordinator stream."),
	ignored(sectionJob, "samza.cluster-manager.factory", "Samza's class for YARN."),
	ignored(sectionJob, "locationid.provider.factory", "Samza's standalone coordination."),
	ignored(sectionJob, "startpoint.metadata.store.factory", "Metadata lies in the coordinator stream."),
}

// ignored declares a key without a meaning here; whatever its value, it is
// only named.
func ignored(section, name, why string, old ...string) Key[string] {
	return declare(section, name, text, "", spec{doc: why, status: NoMeaning, old: old})
}
