// Package storage holds the state of tasks: ordered key-value stores that are
// rebuilt from a changelog after a container is gone (Samza: StorageEngine,
// ContainerStorageManager, samza-kv).
//
// A store is made of layers, each in a file of its own, from the task
// downwards:
//
//	store.go      what the task sees: keys and values typed by serdes; with it
//	              ranges.go, batch.go and snapshot.go
//	timed.go      how long a sample of the task's calls takes
//	accesslog.go  a sample of the task's calls, to a topic
//	quota.go      how much a store may take
//	large.go      which records are too large to be written
//	cached.go     a cache of values (cache.go), and the list of changed keys: one
//	              write per key and flush goes further down
//	changelog.go  each write becomes a record of the changelog topic
//	ttl.go        entries end some time after they were written; sweep.go takes
//	              them out of the engine
//	pending.go    what was written since the last commit
//	engine/       what holds the bytes of the committed state in order
//
// opened.go is a store with all its layers, and open.go how they are put on top of
// each other.
//
// A Set is all the stores of one task. Its life is Open, Restore, then for
// each commit Flush, the outbox's Flush and Positions, and Close. What of the
// changelog is replayed and what is undone at a restore is decided in plan.go,
// by a function without I/O; prepare.go finds what there is to begin with,
// replay.go reads the changelog, undo.go takes back what was not committed.
//
// A Side is a store that side inputs fill: sideplan.go decides, sidefill.go reads
// them to their ends, sidetake.go applies what comes then, sidemark.go says how
// far it is, and lent.go is what a task sees of it. View (view.go) is what others
// may see of a store.
//
// The package does not know when to commit, nor what a checkpoint is; that is
// the business of packages container and checkpoint.
package storage
