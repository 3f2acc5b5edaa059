package job

import (
	"context"
	"errors"
	"fmt"

	"heddle/coordinator"
	"heddle/system"
	"heddle/system/files"
	"heddle/yarn"
)

// Exit codes of the contract.
const (
	ExitDone        = 0
	ExitFailed      = 1 // the job failed
	ExitUsage       = 2 // wrong usage or configuration, a missing topic or package
	ExitUnreachable = 3 // a service could not be reached, or refused
)

// ExitCode gives the contract's code for an error: what the error itself says
// (it has a method ExitCode), else by its kind.
func ExitCode(err error) int {
	var coded interface{ ExitCode() int }
	var unreachable *yarn.UnreachableError
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, system.ErrUnreachable), errors.Is(err, files.ErrUnreachable),
		errors.As(err, &unreachable), errors.Is(err, coordinator.ErrRefused):
		return ExitUnreachable
	case errors.As(err, &coded):
		return coded.ExitCode()
	case errors.Is(err, system.ErrNoStream):
		return ExitUsage
	case errors.Is(err, context.Canceled):
		return ExitDone
	}
	return ExitFailed
}

// usageError is a wrong use, known before anything was changed.
type usageError struct{ error }

func (usageError) ExitCode() int   { return ExitUsage }
func (e usageError) Unwrap() error { return e.error }

// Usage makes an error with exit code 2.
func Usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// refusedError is a service's no.
type refusedError struct{ error }

func (refusedError) ExitCode() int   { return ExitUnreachable }
func (e refusedError) Unwrap() error { return e.error }

// failedError ends run-job with the exit code of a failed job; its text was
// shown already if Shown.
type failedError struct {
	error
	code int
}

func (e failedError) ExitCode() int { return e.code }
func (e failedError) Unwrap() error { return e.error }
