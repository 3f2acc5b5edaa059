// Package job does what run-job does: it reads a job's configuration, checks
// everything that can be known before anything is changed (package plan), and
// runs the job in one process, as processes of this machine, or on YARN; it
// looks after jobs that run on YARN.
//
// The sub-packages each do one part: program finds and builds the user's code,
// pack makes packages, plan decides about topics, scaffold writes a new job, topic
// reads and writes streams. The flags are in cmd/run-job.
package job
