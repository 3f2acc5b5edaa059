package config

import "time"

const sectionYARN = "YARN"

// Keys of the cluster manager. They are named after the cluster, but a job
// that runs as processes of one machine obeys those on retries too.
var (
	ContainerMemory = declare(sectionYARN, "cluster-manager.container.memory.mb", integer(1), 1024, spec{
		doc: "Memory of a container, in MiB.", old: []string{"yarn.container.memory.mb"},
	})
	ContainerCores = declare(sectionYARN, "cluster-manager.container.cpu.cores", integer(1), 1, spec{
		doc: "Cores of a container.", old: []string{"yarn.container.cpu.cores"},
	})
	ContainerRetryCount = declare(sectionYARN, "cluster-manager.container.retry.count", integer(-1<<31), 8, spec{
		doc: "Restarts of one container before the job fails; 0: the first failure ends the job; negative: no limit.",
		old: []string{"yarn.container.retry.count"},
	})
	ContainerRetryWindow = declare(sectionYARN, "cluster-manager.container.retry.window.ms", millis, 300*time.Second, spec{
		doc: "A container that ran for so long since its last failure starts counting anew.",
		old: []string{"yarn.container.retry.window.ms"},
	})
	ContainerFailJob = declare(sectionYARN, "cluster-manager.container.fail.job.after.retries", boolean, true, spec{
		doc: "Without restarts left, the job fails; false: it goes on without that container.",
	})
	ContainerLastRetryDelay = declare(sectionYARN, "cluster-manager.container.preferred-host.last.retry.delay.ms", millis, 360*time.Second, spec{
		doc: "Pause, and a second more, before the last restart that cluster-manager.container.retry.count allows, if it is to be on a preferred host; 0: none.",
	})
	ContainerRequestTimeout = declare(sectionYARN, "cluster-manager.container.request.timeout.ms", positive(millis), 5*time.Second, spec{
		doc: "A request for a preferred host, or for any but the one whose disk failed a container, becomes one for any host after this.",
		old: []string{"yarn.container.request.timeout.ms"},
	})
	_ = declare(sectionYARN, "cluster-manager.fault-domain-aware.standby.enabled", boolean, false, spec{
		doc: "Standby containers stand in other racks.", status: NotYet,
	})
)

// Keys of YARN alone: neither parsed nor checked with another job factory.
var (
	YarnPackagePath = declare(sectionYARN, "yarn.package.path", word, "", spec{
		doc: "The job's package: a local file (a relative one as with heddle.task.program), or a URI (hdfs, http, https, file).",
		def: "made by run-job",
	})
	YarnAMMemory = declare(sectionYARN, "yarn.am.container.memory.mb", integer(1), 1024, spec{
		doc: "Memory of the application master, in MiB.",
	})
	YarnAMCores = declare(sectionYARN, "yarn.am.container.cpu.cores", integer(1), 1, spec{
		doc: "Cores of the application master.",
	})
	YarnAMPollInterval = declare(sectionYARN, "yarn.am.poll.interval.ms", positive(millis), time.Second, spec{
		doc: "Time between the application master's heartbeats to the ResourceManager. (While it waits for containers it asks more often.)",
	})
	YarnQueue = declare(sectionYARN, "yarn.queue", word, "", spec{
		doc: "Queue of the application.", def: "the cluster's default",
	})
	YarnContainerLabel = declare(sectionYARN, "yarn.container.label", word, "", spec{
		doc: "Node label for the containers.",
	})
	YarnAMContainerLabel = declare(sectionYARN, "yarn.am.container.label", word, "", spec{
		doc: "Node label for the application master.",
	})
	YarnApplicationType = declare(sectionYARN, "yarn.application.type", word, "Samza", spec{
		doc: "Type of the application, as YARN lists it.",
	})
	YarnKerberosPrincipal = declare(sectionYARN, "yarn.kerberos.principal", word, "", spec{
		doc: "Kerberos principal with which the application master logs in.", status: NotYet,
	})
	YarnKerberosKeytab = declare(sectionYARN, "yarn.kerberos.keytab", word, "", spec{
		doc: "File with the keys of the Kerberos principal.", status: NotYet,
	})
	YarnTokenRenewal = declare(sectionYARN, "yarn.token.renewal.interval.seconds", positive(seconds), 24*time.Hour, spec{
		doc: "How often the application master gets new tokens for the containers.", status: NoEffectYet,
	})
	YarnViewACL = declare(sectionYARN, "yarn.job.view.acl", text, "", spec{
		doc: "Users and groups that may see the application, on a cluster with security.",
	})
	YarnModifyACL = declare(sectionYARN, "yarn.job.modify.acl", text, "", spec{
		doc: "Users and groups that may kill the application, on a cluster with security.",
	})
	YarnCredentialsFile = declare(sectionYARN, "yarn.credentials.file", word, "", spec{
		doc: "Written at submit: where renewed tokens lie.", def: "written at submit",
	})
	YarnStagingDirectory = declare(sectionYARN, "yarn.job.staging.directory", word, "", spec{
		doc: "Folder on the cluster's file system for the job's package and secrets.", def: ".heddle/staging in the user's home",
	})
	YarnResourcePath = declare(sectionYARN, "yarn.resources.<resource>.path", word, "", spec{
		doc: "A further file for every container.", status: NotYet,
	})
	YarnResourceLocalName = declare(sectionYARN, "yarn.resources.<resource>.local.name", word, "", spec{
		doc: "Its name there.", def: "the resource's name", status: NotYet,
	})
	YarnResourceLocalType = declare(sectionYARN, "yarn.resources.<resource>.local.type", oneOf("file", "archive", "pattern"), "file", spec{
		doc: "Whether it is unpacked.", status: NotYet,
	})
	YarnResourceVisibility = declare(sectionYARN, "yarn.resources.<resource>.local.visibility", oneOf("application", "private", "public"), "application", spec{
		doc: "Who shares it.", status: NotYet,
	})
	YarnAMHA = declare(sectionYARN, "yarn.am.high-availability.enabled", boolean, false, spec{
		doc: "Containers outlive the application master.", status: NoEffectYet,
	})
	YarnHeartbeatRetries = declare(sectionYARN, "yarn.container.heartbeat.retry.count", integer(0), 5, spec{
		doc: "How often a container looks for a new application master.", status: NoEffectYet,
	})
	YarnHeartbeatRetrySleep = declare(sectionYARN, "yarn.container.heartbeat.retry-sleep-duration.ms", millis, 10*time.Second, spec{
		doc: "Pause between those.", status: NoEffectYet,
	})
	YarnAMTrackingURL = declare(sectionYARN, "yarn.am.tracking.url", word, "", spec{
		doc: "Written by the application master: its HTTP address.", def: "written by the application master",
	})
)

// Keys that Samza knows and that have no meaning here.
var _ = []Key[string]{
	ignored(sectionYARN, "yarn.am.opts", "JVM flags of the application master."),
	ignored(sectionYARN, "yarn.am.java.home", "There is no JVM."),
	ignored(sectionYARN, "yarn.allocator.sleep.ms", "Containers are matched as they come."),
	ignored(sectionYARN, "cluster-manager.allocator.sleep.ms", "Containers are matched as they come."),
	ignored(sectionYARN, "cluster-manager.jobcoordinator.sleep.interval.ms", "The application master does not poll itself."),
	ignored(sectionYARN, "cluster-manager.fault-domain-manager.factory", "Samza's class."),
	ignored(sectionYARN, "fs.<scheme>.impl", "Java class of a file system."),
	ignored(sectionYARN, "fs.<scheme>.impl.<setting...>", "Settings of a Java class."),
}
