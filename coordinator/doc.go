// Package coordinator is what the application master knows and tells: the
// coordinator stream in Samza's format (configuration, locality, assignments),
// the JobModel that follows from it and from the inputs' partitions, and the
// HTTP server from which containers take the JobModel and their commands, to
// which they report, and where people see how the job does.
//
// It decides nothing about containers: when one is started, stopped or given up
// is the business of package am, which a Server asks through State and tells
// through Events. The same server serves a job that runs in one process.
//
// What travels is in files of its own: command.go (to a container), report.go (from
// it), question.go (about its state), status.go (to people and programs), runner.go
// (from whoever runs the job). Times in it are in milliseconds since the Unix epoch.
//
// Formats are those of Samza 1.8 (its packages coordinator.stream.messages,
// job.model and coordinator.server), so that a job may go from Samza to Heddle
// and back.
package coordinator
