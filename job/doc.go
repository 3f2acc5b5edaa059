// Package job does what run-job does: it reads a job's configuration, checks
// everything that can be known before anything is changed (package plan), and
// runs the job in one process, as processes of this machine, or on YARN; it
// looks after jobs that run on YARN.
//
// # Files
//
//	source.go       where a configuration comes from
//	check.go        what is checked before anything is changed; rehearse.go whether
//	                topics would be made; change.go what is changed then: topics,
//	                preloaded inputs
//	local.go        a job in one process; processes.go as processes; background.go
//	                either without a terminal; claim.go that it runs once, localrun.go
//	                how it is replaced; here.go finds it again
//	submit.go       a job on YARN: bundle.go and package.go its package, submission.go
//	                one submit, follow.go how it comes up; cluster.go is the cluster
//	status.go       and list.go, kill.go, logs.go (aggregated.go, search.go)
//	positions.go    checkpoints and the lag (gaps.go); moves.go sets them
//	state.go        questions about the state; rebuild.go makes a store anew from its
//	                changelog, rebuilt.go reads it, snapshots.go looks after snapshots
//	validate.go     the plan; dev.go runs what changes
//	say.go          what a person is told; held.go what waits behind the error
//
// # Parts
//
// The sub-packages each do one part: program finds and builds the user's code,
// pack makes packages, plan decides about topics, scaffold writes a new job, topic
// reads and writes streams. The flags are in cmd/run-job.
package job
