package storage

import (
	"context"
	"time"

	"heddle/storage/engine"
	"heddle/storage/local"
)

// Identity names one store of one task of one job, and says how its entries
// are laid out.
type Identity = local.Identity

// Snapshots keeps copies of stores on disk somewhere that survives the machine.
// Every task of a container calls it, from a goroutine of its own.
type Snapshots interface {
	// Fetch puts the newest complete snapshot that is of use into w.Dir; found is
	// false if there is none, and the folder is empty then. An error means that
	// the store is restored from the changelog alone, with a warning.
	Fetch(ctx context.Context, w Wanted) (found bool, err error)
	// Take is called by the task's goroutine after each commit, when the engine
	// holds just the committed state; it decides itself whether a snapshot is
	// due. It returns soon: it makes a Copy and uploads that elsewhere. An error
	// is a warning, for the changelog holds all of it.
	Take(ctx context.Context, id Identity, e engine.OnDisk) error
	// Newest is when the newest snapshot that it knows of was taken; the zero time
	// if it knows of none, which it may later. It returns at once.
	Newest(id Identity) time.Time
}

// Wanted says what a snapshot has to be of, and where it is to go.
type Wanted struct {
	ID Identity
	// Dir does not exist yet or is empty. What is put there is opened as an
	// engine.
	Dir string
	// Useless says why a state of so many bytes with this mark is not to be
	// fetched: it does not fit the checkpoint and the changelog, or there is a
	// better one here; "" if it is.
	Useless func(m Mark, bytes int64) string
	// Progress is told how many bytes have come. Any goroutine calls it.
	Progress func(done, total int64)
}
