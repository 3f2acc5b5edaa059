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
	// exitDisk is a container's alone: its local state could not be opened, read or
	// written (sysexits.h: EX_IOERR). The application master then asks for no host
	// in particular (am.ExitDisk).
	exitDisk = 74
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
	case errors.Is(err, system.ErrNoStream):
		return exitUsage
	case errors.Is(err, system.ErrUnreachable), errors.Is(err, coordinator.ErrRefused):
		return exitUnreachable
	}
	return exitFailed
}

// diskError is why a container ends whose local state failed.
type diskError struct{ error }

func (diskError) ExitCode() int   { return exitDisk }
func (e diskError) Unwrap() error { return e.error }

// blamed tells a container's error by its exit code if the disk is to blame. A job
// in one process has no other disk to go to, and just fails.
func blamed(err error) error {
	var disk *storage.DiskError
	if errors.As(err, &disk) {
		return diskError{err}
	}
	return err
}

// usageError is a wrong use of the program.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }
func (e *usageError) ExitCode() int { return exitUsage }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
