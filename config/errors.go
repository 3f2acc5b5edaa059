package config

import (
	"fmt"
	"strings"
)

// Error is one fault of a configuration: wrong usage, exit code 2. Several are
// joined with errors.Join; errors.As finds the first.
type Error struct {
	// Key is the key at fault, as the file has it.
	Key string
	// Origin is where that key stands; its Source is empty when no key is at
	// fault but one is missing.
	Origin Origin
	// Problem says what is wrong and what was expected.
	Problem string
	// Hint says what to do; it may be empty.
	Hint string
}

// Error is one line: place, key, problem, hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Origin.Source != "" && e.Origin.Source != OriginDefault && e.Origin.Source != OriginGiven {
		b.WriteString(e.Origin.String())
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// ExitCode is 2: the contract's code for wrong usage or configuration.
func (e *Error) ExitCode() int { return 2 }

// errorAt makes the error for a key that is set in c, or is missing there.
func errorAt(c Config, key, hint, format string, args ...any) *Error {
	return &Error{Key: key, Origin: c.Origin(key), Problem: fmt.Sprintf(format, args...), Hint: hint}
}

// Warning is a remark on a configuration that works.
type Warning struct {
	// Key is the key it is about; empty when it is about several, or none.
	Key string
	// Origin is where the key, or the thing remarked on, stands.
	Origin Origin
	// Text is the remark.
	Text string
}

// String is one line: place, key, text.
func (w Warning) String() string {
	e := Error{Key: w.Key, Origin: w.Origin, Problem: w.Text}
	return e.Error()
}
