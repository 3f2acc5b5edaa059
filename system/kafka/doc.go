// Package kafka is the system that keeps its streams in Apache Kafka, or in the
// Kafka that package system/kafka/embedded serves in the process.
//
// A System is made from the keys "systems.NAME.*" of a job and connects when it
// is first used. It holds up to three clients of franz-go: one to ask and to
// read single partitions to an end (Admin, Read), one to write (Producer, shared
// by all tasks), and one for each Consumer.
//
// Partitions are assigned by the caller. The package joins no consumer group,
// commits no offsets and decides nothing about checkpoints: that is the business
// of packages container and checkpoint.
//
// # Files
//
//	system.go       the system, its clients and their end; link.go is one client, and
//	                whether it has reached Kafka
//	settings.go     the keys that have a meaning; settingreader.go reads one
//	admin.go        asks and makes; read.go reads a partition to an end, find.go waits
//	                for topics that are not known yet
//	consumer.go     assigned partitions: leader.go is what one broker is asked for,
//	                fetchsession.go what it knows already, batches.go what it answers
//	producer.go     writing at-least-once: outbox.go is one writer of it,
//	                partitioner.go where a record goes, limit.go how large it may be
//	transactor.go   writing exactly once, what all writers share: txnoutbox.go is one
//	                writer, txnfill.go what it holds, txnsend.go how that goes out,
//	                txnend.go commit and abort
//	decide.go       which checkpoints are committed, behind others' transactions
//	security.go     TLS and SASL: certificates.go, keystore.go, jaas.go, gssapi.go, oauth.go
//	errors.go       why Kafka could not be asked; remedy.go what a person can do
//
// # Settings
//
// They are Kafka's own, under Kafka's (Java's) names below
// "systems.NAME.consumer." and "systems.NAME.producer."; what they mean here, and
// which of them have no meaning here, stands in settings.go. TLS and SASL
// settings of one of the two count for both, unless the other has its own;
// asking and reading to an end follow the consumer's, as Samza's do.
package kafka
