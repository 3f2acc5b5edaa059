// Package table is for tasks that look things up in a store elsewhere, a
// database or a service, while they process (Samza: RemoteTable with its rate
// limiter, retry policy, batch provider and CachingTable).
//
// What talks to the store is the task's own code, a Read and if need be a Write
// function. A Table puts around it what each of them needs: the same key is not
// asked for again while it is known, keys asked for at the same time by several
// tasks of a container go in one call, no more of them than the store can take,
// and what fails for a moment is tried again.
//
// It is not a store with a changelog (package storage), it holds nothing that
// would be missed, and it knows no commits: a Put returns when the store has
// the entry. Tasks that are processed again after a crash put again, so writes
// have to be of the kind that may come twice.
package table
