package task

import "iter"

// Store is an ordered key-value store that belongs to one task (Samza:
// KeyValueStore). Keys are ordered by their encoded bytes. With a changelog its
// content survives the container: what was put before the last commit is there
// after a restart, what came later is not, and its input is processed again.
//
// Keys and values are typed by the store's serdes; without a serde they are
// []byte. An error means that the store is unusable; return it.
type Store interface {
	// Get gives the value, or nil if the key is absent.
	Get(key any) (any, error)
	// GetInto reads the value into v, a pointer, and says if the key was there.
	GetInto(key any, v any) (bool, error)
	// Put sets the value; a nil value deletes the key.
	Put(key, value any) error
	Delete(key any) error
	// Range gives the entries from (inclusive) to (exclusive) in order; a nil
	// bound is open. Changes made while it runs are not seen. A failure is
	// yielded as the last entry's Err.
	Range(from, to any) iter.Seq[Entry]
	// All is Range(nil, nil).
	All() iter.Seq[Entry]
	// Prefix gives the entries whose encoded key begins with the encoded
	// prefix.
	Prefix(prefix any) iter.Seq[Entry]
	// Flush hands what is cached to the engine and the changelog. Commits do it;
	// a task seldom needs to.
	Flush() error
}

// Entry is one pair of a Store's iterators.
type Entry struct {
	Key, Value any
	// Err ends the iteration; Key and Value are nil then.
	Err error
}
