// Package memory is a system whose streams live in the memory of the process,
// for tests of tasks and of the container, with faults to order: sends that
// fail, acknowledgements that come late or never, gaps in the offsets, records
// that retention has taken away.
//
// A Broker stands for the servers and outlives the Systems that use it, as a
// Kafka outlives the containers: a test that "restarts a container" makes a new
// System on the same Broker.
//
// It is no system for jobs: nothing is kept, and nothing is bounded.
package memory
