// Package engine says what holds the bytes of a store: keys in order, writes in
// batches, iterators that see one moment. The engines themselves are in
// engine/memory and engine/pebble.
//
// An engine knows nothing of serdes, caches and changelogs. It keeps one thing
// for the layers above besides the entries: a mark, which is replaced together
// with a batch, all or none, and says what the entries are the state of. What
// an engine on disk finds after a crash is what it held after some Apply, no
// more and no less, and Mark tells after which.
package engine
