package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Check tells, before anything is made, why the job's folder could not be made or
// written to.
func (j Job) Check() error {
	for dir := j.Dir(); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			if dir != filepath.Dir(dir) {
				continue // the folder above it counts
			}
			return err
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is a file", dir)
		}
		if err := syscall.Access(dir, mayEnter|mayWrite); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		return nil
	}
}

// What access(2) is asked for.
const (
	mayEnter = 1
	mayWrite = 2
)
