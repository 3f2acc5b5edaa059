package storage

import "fmt"

// Engine holds bytes by key, in the order of the keys. It is used by one
// goroutine, but for its iterators, each of which may live in another.
type Engine interface {
	// Get appends the value of key to dst; ok is false, and dst as it was, if
	// the key is absent. It keeps nothing of key.
	Get(dst []byte, key string) (value []byte, ok bool, err error)
	// Apply makes the writes, in order, all or none. It may keep keys, not
	// values.
	Apply(batch []Write) error
	// Range iterates over the keys in [from, to) as they are now; a to that is
	// empty stands for the end. What is applied later is not seen.
	Range(from, to string) Iterator
	// Close gives up everything.
	Close() error
}

// Write sets a key, or deletes it where Value is nil. An empty Value is a
// value.
type Write struct {
	Key   string
	Value []byte
}

// Iterator walks over the entries of a range:
//
//	for it.Next() { use(it.Key(), it.Value()) }
//	if err := it.Err(); err != nil { ... }
type Iterator interface {
	Next() bool
	// Key and Value are those of the current entry. The value is valid until
	// Next is called and must not be changed.
	Key() string
	Value() []byte
	Err() error
	Close() error
}

// Engines that Spec.Engine may name.
const (
	// EngineMemory holds everything in memory (Samza:
	// InMemoryKeyValueStorageEngineFactory).
	EngineMemory = "memory"
	// EnginePebble stands for Samza's RocksDB. Until there is an engine on disk,
	// its stores are held in memory, too.
	EnginePebble = "pebble"
)

func openEngine(name string) (Engine, error) {
	switch name {
	case EngineMemory, EnginePebble:
		return newMemory(), nil
	}
	return nil, fmt.Errorf("engine %q is not known; there are %s and %s", name, EngineMemory, EnginePebble)
}
