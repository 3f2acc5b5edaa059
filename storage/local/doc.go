// Package local keeps the folders in which stores on disk outlive the container
// that wrote them: where they lie, who they belong to, who uses them now, and
// when they go.
//
// A folder belongs to one store of one task of one job:
//
//	<base>/heddle-v1/<job.name>-<job.id>/<store>/<task>
//	    LOCK        held by the process that uses the folder
//	    IDENTITY    what the state is of, with a checksum
//	    state/      the engine's files
//
// The component heddle-v1 keeps it apart from Samza's folders below the same
// base, which are neither opened nor deleted.
//
// The package knows nothing of engines and changelogs: whether the state in a
// folder is of use is decided by package storage.
package local
