package config

import "time"

const sectionTask = "Task"

// Keys of the tasks.
var (
	TaskClass = declare(sectionTask, "task.class", word, "", spec{
		doc:      "Name under which the program registered the task.",
		required: true,
	})
	TaskInputs = declare(sectionTask, "task.inputs", list, nil, spec{
		doc:      "Streams that the tasks read, each as system.stream, split at the first dot.",
		required: true,
	})
	TaskBroadcastInputs = declare(sectionTask, "task.broadcast.inputs", list, nil, spec{
		doc: "Partitions that every task reads: system.stream#3 or system.stream#[0-3].",
	})
	TaskWindow = declare(sectionTask, "task.window.ms", millis, -time.Millisecond, spec{
		doc: "Time between calls of a task's window; 0 or less: never.",
	})
	TaskCommit = declare(sectionTask, "task.commit.ms", millis, time.Minute, spec{
		doc: "Time between a task's commits; 0 or less: only those that the task asks for, and the one at a graceful stop. With heddle.processing.guarantee=exactly-once the default is 1000, and it must be positive.",
	})
	TaskCommitMaxDelay = declare(sectionTask, "task.commit.max.delay.ms", millis, time.Minute, spec{
		doc: "While a commit is under way, further ones are skipped for this long; then processing waits. Here processing always waits for its task's commit; under exactly-once it lengthens the transactions' time-out (the longer of a minute, and three times task.commit.ms and this).",
	})
	TaskCommitTimeout = declare(sectionTask, "task.commit.timeout.ms", positive(millis), 30*time.Minute, spec{
		doc: "A commit that takes longer fails the container.",
	})
	TaskCheckpointFactory = declare(sectionTask, "task.checkpoint.factory", named(KindCheckpoint), "kafka", spec{
		doc:  "Where checkpoints lie: `kafka`, `file`, or `none`. (Samza: none when nothing is set, and the next start silently skips.)",
		kind: KindCheckpoint,
	})
	TaskCheckpointSystem = declare(sectionTask, "task.checkpoint.system", word, "", spec{
		doc: "System of the checkpoint topic.",
		def: "job.default.system, else the only system",
		els: []string{"job.default.system"},
	})
	TaskCheckpointReplicationFactor = declare(sectionTask, "task.checkpoint.replication.factor", integer(1), 3, spec{
		doc: "Replicas of the checkpoint topic.",
		def: "systems.<system>.default.stream.replication.factor, else 3, or the number of brokers if there are fewer",
	})
	TaskCheckpointSegmentBytes = declare(sectionTask, "task.checkpoint.segment.bytes", byteCount(14), 26214400, spec{
		doc: "Topic setting segment.bytes of the checkpoint topic.",
		def: "systems.<system>.default.stream.segment.bytes, else 26214400",
	})
	TaskCheckpointMaxMessageBytes = declare(sectionTask, "task.checkpoint.max.message.bytes", byteCount(1), 1000012, spec{
		doc: "Topic setting max.message.bytes of the checkpoint topic.",
		def: "systems.<system>.default.stream.max.message.bytes, else 1000012",
	})
	TaskCheckpointPath = declare(sectionTask, "task.checkpoint.path", word, "", spec{
		doc: "Folder of the checkpoints when the factory is `file`.",
		def: "checkpoints/ in heddle.home",
	})
	TaskCheckpointWriteVersions = declare(sectionTask, "task.checkpoint.write.versions", versions, []string{"1", "2"}, spec{
		doc: "Versions of the checkpoint format that are written, in order.",
	})
	TaskCheckpointReadVersions = declare(sectionTask, "task.checkpoint.read.versions", versions, []string{"1"}, spec{
		doc: "Versions of the checkpoint format that are read, the preferred one first.",
	})
	TaskLiveCheckpointMaxAge = declare(sectionTask, "task.live.checkpoint.max.age", millis, 10*time.Minute, spec{
		doc: "A checkpoint of a less preferred version wins if it is newer by more than this.",
	})
	TaskTransactionalCheckpoint = declare(sectionTask, "task.transactional.state.checkpoint.enabled", boolean, true, spec{
		doc: "Changelog offsets are part of the checkpoint.",
	})
	TaskTransactionalRestore = declare(sectionTask, "task.transactional.state.restore.enabled", boolean, true, spec{
		doc: "State is restored to the changelog offset of the checkpoint; what came later is undone.",
	})
	TaskTransactionalRetain = declare(sectionTask, "task.transactional.state.retain.existing.state", boolean, true, spec{
		doc: "A changelog without an offset in the checkpoint is restored whole; false: undone whole.",
	})
	TaskDropDeserialization = declare(sectionTask, "task.drop.deserialization.errors", boolean, false, spec{
		doc: "Messages that cannot be decoded are dropped and counted; otherwise they stop the container.",
	})
	TaskDropSerialization = declare(sectionTask, "task.drop.serialization.errors", boolean, false, spec{
		doc: "Messages that cannot be encoded are dropped and counted; otherwise they stop the container.",
	})
	TaskDropProducer = declare(sectionTask, "task.drop.producer.errors", boolean, false, spec{
		doc: "Messages that cannot be sent are dropped and counted; otherwise they stop the container.",
	})
	TaskIgnoredExceptions = declare(sectionTask, "task.ignored.exceptions", list, nil, spec{
		doc: "Errors of a task's process and window that are counted and passed over, their message being processed: Go types as %T prints them, or `*` for all. (In Samza the setting does not reach StreamTask.process.)",
	})
	TaskShutdown = declare(sectionTask, "task.shutdown.ms", positive(millis), 30*time.Second, spec{
		doc: "Time that a graceful stop may take before it is forced.",
	})
	TaskMaxConcurrency = declare(sectionTask, "task.max.concurrency", integer(1), 1, spec{
		doc:    "Messages of one task in flight at a time. Here each task processes its messages in order.",
		status: NoEffectYet,
	})
)

// Keys that Samza knows and that are not built yet, or have no effect here.
var (
	_ = declare(sectionTask, "task.async.commit", boolean, false, spec{
		doc: "Processing goes on while a commit runs.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.callback.timeout.ms", millis, -time.Millisecond, spec{
		doc: "An asynchronous task that takes longer for a message fails the container.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.callback.watermark.timeout.ms", millis, -time.Millisecond, spec{
		doc: "The same for watermarks.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.callback.drain.timeout.ms", millis, -time.Millisecond, spec{
		doc: "The same while draining.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.consumer.batch.size", integer(0), 0, spec{
		doc: "Messages taken from one partition before the next has its turn.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.chooser.class", named(KindChooser), "round-robin", spec{
		doc: "Picks the stream of the next message.", status: NotYet, kind: KindChooser,
	})
	_ = declare(sectionTask, "task.commit.skip.commit.during.failures.enabled", boolean, false, spec{
		doc: "Failed commits are skipped, within limits.", status: NotYet,
	})
	_ = declare(sectionTask, "task.commit.skip.commit.exception.max.limit", integer(0), 5, spec{
		doc: "Failed commits that may be skipped.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.commit.skip.commit.timeout.max.limit", integer(0), 2, spec{
		doc: "Commits over time that may be skipped.", status: NoEffectYet,
	})
	_ = declare(sectionTask, "task.watermark.idle.timeout.ms", millis, -time.Millisecond, spec{
		doc: "Idle tasks no longer hold up watermarks.", status: NoMeaning,
	})
	_ = declare(sectionTask, "task.watermark.quorum.size,percentage", fraction(0, 1), 0.5, spec{
		doc: "Share of tasks that make a watermark. (The key really holds a comma.)", status: NoMeaning,
	})
)

// Keys that Samza knows and that have no meaning here.
var _ = []Key[string]{
	ignored(sectionTask, "task.opts", "JVM flags of the containers."),
	ignored(sectionTask, "task.java.home", "There is no JVM."),
	ignored(sectionTask, "task.execute", "The script that starts Samza's containers; ours is always bin/run-container."),
	ignored(sectionTask, "task.command.class", "Samza's hook for containers that are not Java."),
	ignored(sectionTask, "task.max.idle.ms", "The run loop does not poll."),
	ignored(sectionTask, "task.poll.interval.ms", "The run loop does not poll."),
	ignored(sectionTask, "task.log4j.<setting...>", "There is no log4j."),
	ignored(sectionTask, "additional.classpath.dir", "There is no class path."),
	ignored(sectionTask, "container.disk.quota.<setting...>", "Disk quotas of Samza's containers."),
	ignored(sectionTask, "container.disk.poll.interval.ms", "Disk quotas of Samza's containers."),
	ignored(sectionTask, "job.container.task.executor.factory", "Threads are Go's."),
	ignored(sectionTask, "job.operator.framework.executor.enabled", "Threads are Go's."),
	ignored(sectionTask, "samza.log.dir", "Logs go where the factory puts them."),
	ignored(sectionTask, "samza.internal.<setting...>", "Samza's own switches."),
	ignored(sectionTask, "worker.opts", "JVM flags of Beam's workers."),
}
