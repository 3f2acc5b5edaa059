// Package embedded serves a Kafka in the process: the fake broker of franz-go
// (kfake), with its topics kept on disk in a folder, for local runs on a machine
// with nothing installed.
//
// One process serves a folder and holds its lock; others (children, other jobs,
// the topic commands) connect to the address that it writes there. When it ends
// or dies, one of those that still use the folder takes the lock and serves on,
// at the same port if it can; clients see a short outage. What was acknowledged
// before is on disk and is served again.
//
// It is no Kafka for work that matters to more than one person: one broker, no
// security beyond the loopback address, no compaction and no retention. The page
// docs/embedded-kafka.md lists what differs from a real Kafka.
package embedded
