package storage

import (
	"context"

	"heddle/storage/engine"
	"heddle/storage/local"
)

// Identity names one store of one task of one job, and says how its entries
// are laid out.
type Identity = local.Identity

// Snapshots keeps copies of stores on disk somewhere that survives the machine.
// Every task of a container calls it, from a goroutine of its own.
type Snapshots interface {
	// Fetch puts the newest complete snapshot of the store into dir, which does
	// not exist yet or is empty; found is false if there is none that can be used,
	// and dir is empty or gone then. What it puts there is opened as an engine;
	// its Mark says which state it is, so the checkpoint and the changelog decide
	// whether it is used. An error means that the store is restored from the
	// changelog alone, with a warning.
	Fetch(ctx context.Context, id Identity, dir string) (found bool, err error)
	// Take is called by the task's goroutine after each commit, when the engine
	// holds just the committed state; it decides itself whether a snapshot is
	// due. It returns soon: it makes a Copy and uploads that elsewhere. An error
	// is a warning, for the changelog holds all of it.
	Take(ctx context.Context, id Identity, e engine.OnDisk) error
}
