package snapshot

import (
	"os"
	"sync"
	"time"

	"heddle/storage"
)

// series is what is known of the snapshots of one store of one task.
type series struct {
	id storage.Identity

	// Under the keeper's lock.
	due      time.Time
	busy     bool // a copy waits or is uploaded
	failures int
	last     storage.Mark
	lastAt   time.Time // of the last upload; zero: none yet
	newest   time.Time // of the newest that is known; zero: none is
	sought   bool      // the newest was looked for, or is about to be

	// Of the goroutine that uploads, but for a restore that was before it.
	mu       sync.Mutex
	sums     map[string]summed // by name in the engine's folder
	bad      map[string]bool   // found damaged
	decoded  map[string][]File // by the manifest's name
	sequence int64             // of the newest manifest when we wrote, or left out, one; 0: never
}

// summed is a file whose content was read once.
type summed struct {
	info os.FileInfo
	sum  string
}

// of needs k.mu.
func (k *Keeper) of(id storage.Identity, now time.Time) *series {
	s := k.series[id]
	if s == nil {
		s = &series{
			id: id, due: nextDue(now, phase(id, k.o.Interval), k.o.Interval),
			sums: map[string]summed{}, bad: map[string]bool{}, decoded: map[string][]File{},
		}
		k.series[id] = s
	}
	return s
}
