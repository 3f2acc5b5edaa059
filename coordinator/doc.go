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
// # Files
//
// What travels is in files of its own: command.go (to a container), report.go (from
// it), question.go (about its state), status.go (to people and programs), runner.go
// (from whoever runs the job). Times in it are in milliseconds since the Unix epoch.
//
//	stream.go       the coordinator stream; message.go its records, snapshot.go what
//	                they come to, submit.go what a submit writes
//	model.go        the JobModel of a configuration and the inputs' partitions
//	start.go        what a start does before its first container; locality.go where
//	                containers ran
//	server.go       the HTTP server: listen.go, routes.go, credential.go who may,
//	                endpoints.go what containers ask, mailbox.go what waits for them
//	board.go        the newest reports, and the status that follows; prometheus.go
//	                the same as metrics, page.go for people
//	state.go        the tasks' state: staterequest.go what is asked for, stateplaces.go
//	                where a key is likely to be, stateasks.go the questions to
//	                containers, statehtml.go the page
//	client.go       the container's side; operator.go that of people and of run-job
//
// # Formats
//
// They are those of Samza 1.8 (its packages coordinator.stream.messages,
// job.model and coordinator.server), so that a job may go from Samza to Heddle
// and back.
package coordinator
