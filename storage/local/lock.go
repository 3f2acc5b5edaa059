package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

var errHeld = errors.New("a living process uses it")

// take makes the folder if need be and locks it; errHeld if another has it.
func take(dir string, id Identity) (*Folder, error) {
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by who cleans
		}
		if err != nil {
			return nil, err
		}
		ok, err := hold(lock)
		if ok {
			if err := lock.Truncate(0); err == nil {
				// Only for messages.
				_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
			}
			return &Folder{dir: dir, id: id, lock: lock}, nil
		}
		_ = lock.Close() // it was not taken
		if err != nil {
			return nil, err
		}
	}
}

// hold locks the file; ok is false without an error if it is not the folder's
// any more by then.
func hold(lock *os.File) (ok bool, err error) {
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, errHeld
		}
		return false, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	held, err := lock.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(lock.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, there), err
}

// holder is the process that says it has the folder.
func holder(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil || len(b) > 20 || len(b) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
