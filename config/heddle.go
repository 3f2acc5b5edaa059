package config

import "time"

const sectionHeddle = "Heddle"

// Keys of our own.
var (
	HeddleHome = declare(sectionHeddle, "heddle.home", word, ".heddle", spec{
		doc: "Folder of what local runs keep: the embedded Kafka, logs, checkpoints in files. A relative one lies in the current folder.",
	})
	HeddleTaskProgram = declare(sectionHeddle, "heddle.task.program", word, "", spec{
		doc: "The program with the tasks: a folder with a Go main package, or a binary. A relative one lies beside the properties file that names it; given by --config, in the current folder.",
		def: "the Go main package beside a properties file (of several the last), else the stock run-container",
	})
	HeddlePreload = declare(sectionHeddle, "heddle.preload.<system>.<stream...>", word, "", spec{
		doc: "A file whose lines are appended to the stream at every start of run-job, bytes as they are. A relative one lies beside the properties file that names it; given by --config, in the current folder.",
	})
	HeddlePreloadKey = declare(sectionHeddle, "heddle.preload.key", word, "", spec{
		doc: "Field of preloaded JSON lines whose value becomes the message's key.",
		def: "messages without a key",
	})
	HeddlePreloadStreamKey = declare(sectionHeddle, "heddle.preload.key.<system>.<stream...>", word, "", spec{
		doc: "The same for one stream.",
		def: "heddle.preload.key",
		els: []string{"heddle.preload.key"},
	})
	HeddleCoordinatorSecrets = declare(sectionHeddle, "heddle.coordinator.secrets", oneOf("none", "stream"), "none", spec{
		doc: "Whether secrets are written to the coordinator stream, as Samza does: `stream` is needed to go back to Samza, and shows them to everyone who can read the topic.",
	})
	HeddleSnapshotURI = declare(sectionHeddle, "heddle.snapshot.uri", snapshotURI, "", spec{
		doc: "Folder to which copies of the stores on disk that have a changelog go: hdfs://host:port/path, file:///path (one that all machines share), or a path on the cluster's default file system. A restore that finds nothing on its machine takes the newest copy, and of the changelog only the rest.",
		def: "no copies",
	})
	HeddleSnapshotInterval = declare(sectionHeddle, "heddle.snapshot.interval.ms", positive(millis), 10*time.Minute, spec{
		doc: "Time between two snapshots of a store; the stores of different tasks have their turns spread over it. Only files that changed are copied.",
	})
	HeddleSnapshotRetain = declare(sectionHeddle, "heddle.snapshot.retain", integer(1), 2, spec{
		doc: "How many complete snapshots of a store are kept.",
	})
	HeddleSnapshotBytesPerSecond = declare(sectionHeddle, "heddle.snapshot.bytes.per.second", byteCount(0), 0, spec{
		doc: "How fast a container may copy snapshots, and read what it makes their checksums of; 0: as fast as it goes. One store of a container is copied at a time.",
	})
	HeddleMasterFailureWindow = declare(sectionHeddle, "heddle.am.failure.window.ms", millis, 10*time.Minute, spec{
		doc: "How long the death of an application master counts: YARN gives the job up at the cluster's yarn.resourcemanager.am.max-attempts-th within this time. 0: for the job's whole life, as with Samza.",
	})
	HeddleStateQueries = declare(sectionHeddle, "heddle.state.queries", boolean, true, spec{
		doc: "Whether the stores of the running job can be read through its application master: by `run-job state` and on its pages. Like the pages, that needs no credential.",
	})
	HeddleGuarantee = declare(sectionHeddle, "heddle.processing.guarantee", oneOf("at-least-once", "exactly-once"), "at-least-once", spec{
		doc: "What happens to outputs after a crash: `at-least-once`, they may come twice (state is exact all the same); `exactly-once`, outputs, changelogs and checkpoint of a commit are one Kafka transaction, and consumers that read committed records see each output once.",
	})
)

// Keys that run-job sets for the processes of one run. People do not write
// them.
var (
	HeddleRunUntilCaughtUp = declare(sectionHeddle, "heddle.run.until-caught-up", boolean, false, spec{
		doc: "Set by run-job --until-caught-up.",
	})
	HeddleRunPreloaded = declare(sectionHeddle, "heddle.run.preloaded.<system>.<stream...>", word, "", spec{
		doc: "Set by run-job: the offsets of the first records that it preloaded, as partition:offset,...",
	})
	HeddleRunApplication = declare(sectionHeddle, "heddle.run.application", word, "", spec{
		doc: "Set by run-job: the YARN application that the configuration in the coordinator stream is for. The application master waits for its own.",
	})
)
