// Package pebble is the engine that holds a store on disk; it stands for
// Samza's RocksDbKeyValueStorageEngineFactory. A program that imports it holds
// it under the name engine.Pebble:
//
//	import _ "heddle/storage/engine/pebble"
//
// Unless asked to, it writes no log of its own: what a crash leaves is the
// state after some Apply, with the mark of that Apply. That rests on three
// things: a batch lies in one memtable, memtables are flushed in their order,
// and all files of a flush become part of the engine by one record of the
// manifest.
//
// An error of the work in the background (a flush that finds the disk full, a
// file that cannot be read) is kept and is what Apply, Flush, Load and Copy
// return from then on; reads go on as long as they can. After an error that
// leaves open what is on disk, nothing more is written there: the folder is as
// if the process had ended at that moment.
//
// It is not a database to be shared: a folder belongs to one engine, of one
// process, and holds nothing else.
package pebble
