package container

import (
	"errors"
	"fmt"

	"heddle/coordinator"
	"heddle/system"
)

// Exit codes of the contract.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
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

// usageError is a wrong use of the program.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }
func (e *usageError) ExitCode() int { return exitUsage }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
