package engine

import "errors"

// Engine holds bytes by key, in the order of the keys. It is used by one
// goroutine, but for its iterators, each of which may live in another.
type Engine interface {
	// Get appends the value of key to dst; ok is false, and dst as it was, if
	// the key is absent. It keeps nothing of key.
	Get(dst []byte, key string) (value []byte, ok bool, err error)
	// Apply makes the writes, in order, and replaces the mark unless that is
	// nil: all of it or none. It may keep keys, not values. The keys need not be
	// sorted; a later write of a key wins.
	Apply(batch []Write, mark []byte) error
	// Mark is the last mark that was applied; nil if there was none.
	Mark() ([]byte, error)
	// Range iterates over the keys in [from, to) as they are now; a to that is
	// empty stands for the end. What is applied later is not seen.
	Range(from, to string) Iterator
	// Snapshot is the engine as it is now. What is applied later is not seen.
	Snapshot() Snapshot
	// Close gives up everything. An engine on disk keeps, for the next time it
	// is opened, what it held; one in memory nothing.
	Close() error
}

// Concurrent is an Engine that can be read by other goroutines while its own
// writes to it.
type Concurrent interface {
	Engine
	// Reader gives one more goroutine a way to read. It sees what was applied:
	// of each batch all or nothing, from the return of Apply on. The engine's own
	// goroutine calls it.
	Reader() Reader
}

// Reader reads an Engine without locks. One goroutine uses it, but for its
// iterators, each of which may live in another.
type Reader interface {
	// Get, Range and Snapshot are Engine's.
	Get(dst []byte, key string) (value []byte, ok bool, err error)
	Range(from, to string) Iterator
	Snapshot() Snapshot
}

// Measured is an Engine that tells about itself.
type Measured interface {
	Engine
	// Properties gives what it counts, by the names of RocksDB's properties where
	// they mean the same ("rocksdb.size-all-mem-tables"). It costs about as much
	// as a few reads.
	Properties() map[string]float64
	// Held is about how many bytes its entries take, in memory and on disk,
	// without what is only waiting to be removed.
	Held() int64
}

// OnDisk is an Engine whose folder outlives it.
type OnDisk interface {
	Engine
	// Flush returns when all that was applied survives the loss of the process
	// and of the machine.
	Flush() error
	// Load begins to fill the engine with many writes, in any order, of which a
	// later one of the same key wins over an earlier one and over what the engine
	// held. Nothing else may be called until its Finish or Abort.
	Load() (Load, error)
	// Copy makes a copy of the engine as it is now in a new folder, without
	// copying files where the file system can link them. Everything in it can be
	// opened as an engine, and no file in it ever changes.
	Copy(dir string) error
	// Size is about how many bytes the engine takes on disk.
	Size() int64
}

// Load is a bulk of writes on its way into an engine on disk.
type Load interface {
	// Add takes a write; a nil value deletes the key. Neither slice is kept.
	Add(key, value []byte) error
	// Finish puts everything in, together with the mark, all at once and durably.
	// A crash before it returns leaves the engine as it was when Load began, with
	// the mark of that time; one that was empty has none.
	Finish(mark []byte) error
	// Abort gives up what was added. The engine is of no use afterwards: close
	// it and remove its folder.
	Abort() error
}

// Write sets a key, or deletes it where Value is nil. An empty Value is a
// value.
type Write struct {
	Key   string
	Value []byte
	// At is when the task wrote it, in ms since the Unix epoch, for layers above
	// the engine; engines do not look at it. 0: they do not need to know.
	At int64
}

// Snapshot is an engine as it was at one moment, for any goroutine. After the
// engine is closed its ranges fail.
type Snapshot interface {
	// Range is Engine's.
	Range(from, to string) Iterator
	// Close gives it up; iterators that are open go on.
	Close() error
}

// Iterator walks over the entries of a range:
//
//	for it.Next() { use(it.Key(), it.Value()) }
//	if err := it.Err(); err != nil { ... }
type Iterator interface {
	Next() bool
	// Key and Value are those of the current entry. Both are valid until Next
	// or Close is called and must not be changed.
	Key() string
	Value() []byte
	Err() error
	Close() error
}

// Names of engines, as stores.NAME.factory gives them.
const (
	// Memory holds everything in memory (Samza:
	// InMemoryKeyValueStorageEngineFactory).
	Memory = "memory"
	// Pebble holds it on disk; it stands for Samza's RocksDB
	// (RocksDbKeyValueStorageEngineFactory).
	Pebble = "pebble"
)

// Errors that tell a caller what to do about a folder.
var (
	// ErrLocked: a living process has the folder open.
	ErrLocked = errors.New("the folder is in use by a living process")
	// ErrCorrupt: what is there cannot be read, or fails its checksums; removing
	// the folder and restoring it is the way out.
	ErrCorrupt = errors.New("the files are damaged")
	// ErrFull: the disk is full, or a quota is used up.
	ErrFull = errors.New("the disk is full")
	// ErrReadOnly: the folder cannot be written to.
	ErrReadOnly = errors.New("the folder cannot be written to")
	// ErrForeign: the folder holds the data of something else. Nothing in it was
	// changed; another folder is the way out.
	ErrForeign = errors.New("the folder belongs to something else")
)
