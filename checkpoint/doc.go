// Package checkpoint keeps how far each task has come: the last processed
// offset of every input partition, and for logged stores the changelog offset
// that belongs to it, in Samza's formats (versions 1 and 2), in a Kafka topic
// or in files.
//
// It decides nothing: when a checkpoint is written, and what follows from one
// that was read, is the business of package container.
package checkpoint
