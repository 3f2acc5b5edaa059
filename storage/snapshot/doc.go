// Package snapshot keeps copies of stores on disk in a file system that outlives
// the machine: HDFS, or a folder that all machines share. A store that has to
// begin with nothing takes the newest copy and reads from its changelog only
// what came after it, so that a restore takes time in proportion to the live
// keys, not to the changelog's history.
//
// # What lies there
//
//	<uri>/heddle-v1/<job.name>-<job.id>/<store>/<task>/
//	    manifests/<sequence>-<writer>.json    one for each snapshot
//	    files/<sha256>                        what the snapshots are made of
//
// The files of an engine on disk never change, so a snapshot uploads those only
// that none before it has. They are named by their content: the same name in the
// engine can stand for another content after a restore. Small files lie in the
// manifest itself. The manifest is written last and appears by a rename: without
// it there is no snapshot.
//
// # Parts
//
// What is uploaded, kept, removed and restored from, and when, is decided by
// functions without clock, goroutine or I/O (choose.go, schedule.go). Keeper is
// what storage calls: Take copies the engine's files on the task's goroutine,
// which links them, and one goroutine of the container uploads (upload.go); Fetch
// downloads, checks every byte and falls back to an older snapshot (fetch.go).
//
// # What it is not
//
// A snapshot is no backup: the changelog holds all of the state, and whatever
// goes wrong here costs time only. A failing upload never fails a task; a
// snapshot that is damaged, or of another job, version or serde, is passed over.
// Whether the state of a snapshot fits the checkpoint is decided by package
// storage.
package snapshot
