// Package container is one container of a job: it runs the tasks of its share
// of the job model (Samza: SamzaContainer, RunLoop, TaskInstance).
//
// # Shape
//
// One goroutine per task (loop.go) owns everything of the task: the order of
// its messages, its stores, its commits. One goroutine per input system
// (fetch.go) polls the consumer and hands batches, never single messages, to
// the tasks' inboxes (inbox.go). What a task does next, which buffers are full
// and where a partition is read from are decided by functions without clock,
// goroutine or I/O (op.go, flow.go, start.go).
//
// The hot path, one call of a task's Process, costs one atomic load besides the
// call: timers, commits asked for by other tasks and the end of the container
// are bits of one word per task (signals.go) that the loop looks at between two
// messages.
//
// # Order of a commit
//
// Stores flush into their changelogs; the producer is flushed and its errors
// are checked; the changelog positions are known from the acknowledgements;
// then the checkpoint is written (commit.go). A failure anywhere fails the
// container, and no offset is passed.
//
// # Programs
//
// Main is the whole of a user's main function: container mode (started by the
// application master), whole-job mode (--run-local) and --list-tasks.
//
// What the package is not: it asks no cluster for anything (package am), it
// does not decide who runs which task (package jobmodel), and it draws nothing
// on terminals (internal/console; package container/events is the door).
package container
