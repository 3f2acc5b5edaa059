// Package container is one container of a job: it runs the tasks of its share
// of the job model (Samza: SamzaContainer, RunLoop, TaskInstance).
//
// # Shape
//
// One goroutine per task (loop.go) owns everything of the task: the order of
// its messages, its stores, its commits. One goroutine per input system
// (fetch.go) polls the consumer and hands batches, never single messages, to
// the tasks' inboxes (inbox.go). What a task does next, which input comes next,
// which buffers are full and where a partition is read from are decided by
// functions without clock, goroutine or I/O (op.go, choose.go, ahead.go,
// position.go).
//
// The hot path, one call of a task's Process, costs one atomic load besides the
// call: timers, commits asked for by other tasks and the end of the container
// are bits of one word per task (signals.go) that the loop looks at between two
// messages.
//
// # Files
//
//	container.go    the container's life: New, Run; options.go is what it is given
//	control.go      what it is told while it runs: stop, pause, commit, failure
//	start.go        all before the first message, in its order; seal.go where it
//	                begins, written down; shut.go the end
//	instance.go     a task and what belongs to it (Samza: TaskInstance);
//	                context.go is what the task sees of it
//	inputs.go       the input partitions and who reads them; resolve.go what the
//	                configuration says of a stream; connect.go the consumers and
//	                producers
//	output.go       what a task sends; arena.go where it is encoded
//	commit.go       a commit; transaction.go a commit that is exactly once, seal.go
//	                what makes a checkpoint safe, at a commit and at the start
//	stores.go       the task's stores and their restore (restores.go: how far);
//	                statefolders.go where they lie; snapshots.go copies of them
//	side.go         stores filled from side inputs: sidefill.go at the start,
//	                sidefollow.go from then on
//	query.go        questions about the state: asks.go what a task's goroutine is
//	                asked, scan.go ranges read page by page
//	link.go         the tie to the application master; report.go what it is told
//	main.go         a user's program: process.go runs one container, local.go a
//	                whole job (prepare.go, localpages.go); stopper.go and watch.go
//	                how either is told to end, exit.go with which code
//	settings.go     what the configuration says of the run loop
//	measures.go     the registries of metrics; counts.go which there are,
//	                reporters.go who gets them, lag.go how far a container is
//	                behind, progress.go what a terminal shows
//
// # Words
//
// A lane is one input partition of one task. A feed is the same partition as it
// is fetched, once for all its lanes. A parcel is one fetched batch on its way
// to one task. The ring of a task holds its lanes with messages, the next in
// turn first. To seal is to make a checkpoint safe; a position is unsealed if a
// second start would choose another.
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
