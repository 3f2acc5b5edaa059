package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// failed says what failed, in which folder, and of which kind it is, so that
// errors.Is finds the kinds of package engine.
func failed(op, dir string, err error) error {
	if err == nil {
		return nil
	}
	err = oneLine{err}
	if kind := kindOf(err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%s of the store in %s: %w: %w", op, dir, kind, err)
	}
	return fmt.Errorf("%s of the store in %s: %w", op, dir, err)
}

// oneLine is an error of which the first line is told: the database adds lines
// for its own use.
type oneLine struct{ error }

func (e oneLine) Error() string {
	first, _, _ := strings.Cut(e.error.Error(), "\n")
	return first
}

func (e oneLine) Unwrap() error { return e.error }

// kindOf is the error of package engine that err is a case of; nil: none.
func kindOf(err error) error {
	for _, k := range []error{engine.ErrLocked, engine.ErrCorrupt, engine.ErrFull, engine.ErrReadOnly, engine.ErrForeign} {
		if errors.Is(err, k) {
			return k
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return engine.ErrFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), errors.Is(err, pebble.ErrReadOnly):
		return engine.ErrReadOnly
	case pebble.IsCorruptionError(err), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.EIO), errors.Is(err, pebble.ErrDBNotPristine):
		return engine.ErrCorrupt
	}
	return nil
}

// kindOfOpen is kindOf for an error of opening a folder. There, a file that is
// missing, of the wrong size or not to be decoded is damage, too.
func kindOfOpen(err error) error {
	if kind := kindOf(err); kind != nil {
		return kind
	}
	switch {
	case isLocked(err):
		return engine.ErrLocked
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return nil
	case isResource(err):
		return nil
	}
	return engine.ErrCorrupt
}

// isLocked finds the errors of a lock that another holds: of the system if it
// is another process, without a type of its own if it is this one.
func isLocked(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && strings.Contains(err.Error(), "LOCK") ||
		strings.Contains(err.Error(), "lock held by current process")
}

// isResource finds errors that say nothing about the folder.
func isResource(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) ||
		errors.Is(err, syscall.EINTR) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}
