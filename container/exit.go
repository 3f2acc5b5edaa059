package container

import (
	"errors"
	"fmt"

	"heddle/coordinator"
	"heddle/storage"
	"heddle/system"
)

// Exit codes of the contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	// What follows is a container's, for its application master (am.ExitDisk,
	// am.ExitConfig), and exitConfig also that of a job that run-job runs in one
	// process. Its local state could not be opened, read or written
	// (sysexits.h: EX_IOERR).
	exitDisk = 74
	// It is configured wrongly (EX_CONFIG). It is not exitUsage, with which Go's
	// runtime ends a process, too: a panic in a goroutine of the user's is one.
	exitConfig = 78
	// exitTerminated is a container's alone; see errTerminated.
	exitTerminated = 143
)

// exitCode gives the contract's code for why a program ends: what the error
// itself says (config.Error and others have ExitCode), else by its kind.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.Is(err, system.ErrRemade):
		// Nothing is to be corrected: the next start reads the new one from its
		// beginning.
		return exitFailed
	case errors.Is(err, system.ErrNoStream):
		return exitUsage
	case errors.Is(err, system.ErrUnreachable), errors.Is(err, coordinator.ErrRefused):
		return exitUnreachable
	}
	return exitFailed
}

// blamedError is why a container ends, with an exit code that says what is to blame.
type blamedError struct {
	error
	code int
}

func (e blamedError) ExitCode() int { return e.code }
func (e blamedError) Unwrap() error { return e.error }

// blamed gives a container's error the exit code that its application master goes
// by. A job in one process has no other disk to go to, and just fails.
func blamed(err error) error {
	var disk *storage.DiskError
	switch {
	case errors.As(err, &disk):
		return blamedError{err, exitDisk}
	case exitCode(err) == exitUsage:
		return blamedError{err, exitConfig}
	}
	return err
}

// usageError is a wrong use of the program.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }
func (e *usageError) ExitCode() int { return exitUsage }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
