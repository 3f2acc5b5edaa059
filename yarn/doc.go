// Package yarn is a client of Hadoop YARN without Java: the three protocols that
// an application needs, each behind Go types.
//
//   - Client speaks to the ResourceManager for the one who submits: new
//     application, submit, reports, kill, nodes, queues.
//   - Master speaks to its scheduler for the application master: register,
//     allocate, finish; it keeps the table of what was asked for, numbers its
//     calls, and recovers after a restart or failover of the ResourceManager.
//   - Nodes speaks to the NodeManagers: start, status, stop of containers.
//   - LogReader reads the logs of containers from the NodeManagers' web servers.
//
// LaunchContext describes a process to launch; EnvLiteral, Command and their
// kin write it so that the two shells that YARN puts between a launch context
// and the process leave it as it was meant.
//
// Package rpc beneath it carries the calls, package security the tokens, and
// package hadoopconf reads where a cluster is. This package knows nothing of
// stream jobs, and no protobuf type appears in its interface. Messages follow
// Hadoop 3.4.1; servers from 2.8 on understand them.
package yarn
