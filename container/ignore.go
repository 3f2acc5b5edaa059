package container

import (
	"errors"
	"fmt"
	"strings"
)

// ignored is task.ignored.exceptions: errors of Process and Window that are
// counted and passed over, their message being processed. "*" is every error;
// any other entry is a Go type as %T prints it, with or without its star
// ("strconv.NumError"), of the error or of one that it wraps. Panics are never
// passed over.
type ignored struct {
	all   bool
	types map[string]bool
}

func newIgnored(entries []string) ignored {
	ig := ignored{types: map[string]bool{}}
	for _, e := range entries {
		e = strings.TrimSpace(e)
		ig.all = ig.all || e == "*"
		ig.types[strings.TrimPrefix(e, "*")] = true
	}
	return ig
}

func (ig ignored) match(err error) bool {
	if !ig.all && len(ig.types) == 0 {
		return false
	}
	var p *panicError
	return !errors.As(err, &p) && (ig.all || ig.matchTypes(err))
}

func (ig ignored) matchTypes(err error) bool {
	if err == nil {
		return false
	}
	if ig.types[strings.TrimPrefix(fmt.Sprintf("%T", err), "*")] {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // it unwraps by itself, to see each
	case interface{ Unwrap() error }:
		return ig.matchTypes(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if ig.matchTypes(inner) {
				return true
			}
		}
	}
	return false
}
