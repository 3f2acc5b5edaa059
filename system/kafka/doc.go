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
// Settings are Kafka's own, under Kafka's (Java's) names below
// "systems.NAME.consumer." and "systems.NAME.producer."; what they mean here, and
// which of them have no meaning here, stands in settings.go. TLS and SASL
// settings of one of the two count for both, unless the other has its own;
// asking and reading to an end follow the consumer's, as Samza's do.
package kafka
