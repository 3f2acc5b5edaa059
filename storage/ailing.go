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
	case errors.Is(err, engine.ErrCorrupt):
		way = "the local state is thrown away and restored by the next start"
	case errors.Is(err, engine.ErrLocked):
		way = "end the process that uses it"
	default:
		return err
	}
	return fmt.Errorf("local state of store %q of task %q in %s: %w; %s", store, task, path, err, way)
}
