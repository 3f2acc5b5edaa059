//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the file's lock, which goes when the file is closed or the
// process ends, however it ends; false if another holds it.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
