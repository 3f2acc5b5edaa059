package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"heddle/storage/engine"
)

// DiskError is an error of local state that cannot be opened, read or written: a
// full disk or quota, a read-only one, one that fails, files that are damaged. The
// changelog has all that was committed, so that a process on another disk gets on
// as well as one on this.
type DiskError struct {
	of, way string
	err     error
}

// Error names the store, the task, the folder and the way out.
func (e *DiskError) Error() string { return fmt.Sprintf("%s: %v; %s", e.of, e.err, e.way) }

// Unwrap gives what failed.
func (e *DiskError) Unwrap() error { return e.err }

// ailing adds to an error of a disk which store and folder it is about, and
// the way out: a *DiskError. Other errors stay as they are.
func ailing(err error, store, task, path string) error {
	way := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		way = "make room on its disk or raise the quota, or let state lie elsewhere (job.logged.store.base.dir); nothing that was committed is lost"
	case errors.Is(err, engine.ErrReadOnly), errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		way = "make the folder one that the job can write to, or let state lie elsewhere (job.logged.store.base.dir)"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		way = "a file is in the place of a folder: move it away, or let state lie elsewhere (job.logged.store.base.dir)"
	case errors.Is(err, engine.ErrCorrupt):
		way = "the local state is thrown away and restored by the next start"
	case errors.Is(err, syscall.EIO):
		way = "the disk fails: replace it, or let state lie elsewhere (job.logged.store.base.dir); nothing that was committed is lost"
	case errors.Is(err, engine.ErrLocked):
		way = "end the process that uses it"
	default:
		return err
	}
	of := fmt.Sprintf("local state of store %q", store)
	if task != "" {
		of += fmt.Sprintf(" of task %q", task)
	}
	if path != "" { // otherwise the error names it
		of += " in " + path
	}
	return &DiskError{of, way, err}
}
