package task

import (
	"errors"
	"iter"
)

// Store is an ordered key-value store that belongs to one task (Samza:
// KeyValueStore). Keys are ordered by their encoded bytes. With a changelog its
// content survives the container: what was put before the last commit is there
// after a restart, what came later is not, and its input is processed again.
//
// Keys and values are typed by the store's serdes; without a serde they are
// []byte. An error means that the store is unusable, but for ErrTooLarge,
// ErrOverQuota and keys or values that the serde refuses, after which it is as
// it was before the call; return it, unless you know better.
type Store interface {
	// Get gives the value, or nil if the key is absent.
	Get(key any) (any, error)
	// GetInto reads the value into v, a pointer, and says if the key was there.
	GetInto(key any, v any) (bool, error)
	// GetAll gives the values of the keys, in the order of the keys; nil for
	// those that are absent.
	GetAll(keys []any) ([]any, error)
	// Put sets the value; a nil value deletes the key.
	Put(key, value any) error
	Delete(key any) error
	// PutAll makes the writes in their order; a nil value deletes the key. If one
	// of them is refused, none is made (Samza: putAll, deleteAll).
	PutAll(entries []Entry) error
	// Range gives the entries from (inclusive) to (exclusive) in order; a nil
	// bound is open. Changes made while it runs are not seen. A failure is
	// yielded as the last entry's Err. However large the store is, it holds no
	// more than a few blocks of it in memory.
	Range(from, to any) iter.Seq[Entry]
	// All is Range(nil, nil).
	All() iter.Seq[Entry]
	// Prefix gives the entries whose encoded key begins with the encoded
	// prefix.
	Prefix(prefix any) iter.Seq[Entry]
	// Snapshot gives the entries of a range as they are now, for as long as it is
	// not closed (Samza: snapshot). Bounds are Range's.
	Snapshot(from, to any) (Snapshot, error)
	// Flush hands what is cached to the engine and the changelog. Commits do it;
	// a task seldom needs to.
	Flush() error
}

// Snapshot is a range of a Store as it was at one moment. It may be read more
// than once, and by any goroutine. It holds on to what the store has replaced
// since, on disk and in memory, so close it soon.
type Snapshot interface {
	// Entries gives the entries in order, as Store.Range does.
	Entries() iter.Seq[Entry]
	// Close gives the snapshot up; iterations under way end by themselves.
	Close() error
}

// Entry is one pair of a Store's iterators, and one write of PutAll.
type Entry struct {
	Key, Value any
	// Err ends the iteration; Key and Value are nil then. PutAll does not look at
	// it.
	Err error
}

// What a Store refuses without any change of it.
var (
	// ErrTooLarge: the record would be larger than its changelog takes, or than
	// stores.S.changelog.max.message.size.bytes with
	// stores.S.disallow.large.messages (Samza: RecordTooLargeException).
	ErrTooLarge = errors.New("the record is too large")
	// ErrOverQuota: the store is as large as heddle.stores.S.quota.bytes allows.
	// Reads and deletions go on.
	ErrOverQuota = errors.New("the store's quota is used up")
)
