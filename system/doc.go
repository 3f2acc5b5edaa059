// Package system is the interface between Heddle and the systems that hold its
// streams (Samza: SystemFactory, SystemConsumer, SystemProducer, SystemAdmin).
// The implementations are system/kafka (a real Kafka, or the one embedded in
// the process) and system/memory (for tests of tasks).
//
// It holds no policy: which partitions a container reads, from where, when it
// pauses and when it commits is decided in package container.
package system
