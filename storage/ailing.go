package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"heddle/storage/engine"
)

// ailing adds to an error of a disk which store and folder it is about, and
// the way out; other errors stay as they are.
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
	return fmt.Errorf("%s: %w; %s", of, err, way)
}
