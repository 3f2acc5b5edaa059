// Package jobmodel says who does what: which tasks a job has, which input
// partitions each reads, which changelog partition is its own, and which
// container runs it (Samza: JobModel, ContainerModel, TaskModel), and gives the
// JSON that Samza's containers and ours read.
//
// Everything here is a function of its arguments: the partition counts, the
// configuration and what was assigned before. Reading those is the business of
// package coordinator.
package jobmodel
