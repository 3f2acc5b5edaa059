package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// scratch is the folder in which this process keeps copies until they are
// uploaded. It lies on the disk of the stores, so that copies are links. What a
// process leaves behind that was killed is removed by the next.
//
//	<dir>/<random>/LOCK    held by the process
//	<dir>/<random>/<n>     a copy
type scratch struct {
	dir  string
	lock *os.File
	n    int
}

const (
	scratchLock = "LOCK"
	// scratchYoung is the age below which a folder that nobody holds may be one
	// that is being made.
	scratchYoung = time.Minute
)

// openScratch makes a folder of its own below dir, and removes those whose
// processes have ended.
func openScratch(dir string, now time.Time) (*scratch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for copies: %w", err)
	}
	swept := sweepScratch(dir, now)
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("folder for copies: %w", err), swept)
	}
	lock, err := os.OpenFile(filepath.Join(own, scratchLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return &scratch{dir: own, lock: lock}, swept
		}
		err = errors.Join(err, lock.Close())
	}
	return nil, errors.Join(fmt.Errorf("lock of the folder for copies: %w", err), os.RemoveAll(own), swept)
}

// sweepScratch removes the folders below dir that no process holds.
func sweepScratch(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !abandoned(filepath.Join(dir, e.Name()), now) {
			continue
		}
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

func abandoned(dir string, now time.Time) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	young := now.Sub(info.ModTime()) < scratchYoung
	lock, err := os.OpenFile(filepath.Join(dir, scratchLock), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return !young
	}
	if err != nil {
		return false
	}
	defer lock.Close()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && !young
}

// next names a folder for a copy. It does not make it.
func (s *scratch) next() string {
	s.n++
	return filepath.Join(s.dir, strconv.Itoa(s.n))
}

// close removes everything.
func (s *scratch) close() error {
	return errors.Join(os.RemoveAll(s.dir), s.lock.Close())
}
