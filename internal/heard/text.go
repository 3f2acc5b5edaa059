package heard

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// Text is all that was written to it: a log, or the output of processes. Any
// goroutine writes and reads it. It begins empty.
type Text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends, and never fails.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

// String is what was written and not taken.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// Take gives what was written since it was called last.
func (t *Text) Take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.b.String()
	t.b.Reset()
	return s
}

// Lines counts the lines from one on, the first being 0, that hold all of the parts;
// and all lines.
func (t *Text) Lines(from int, parts ...string) (found, all int) {
	for line := range strings.Lines(t.String()) {
		if all++; all > from && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			found++
		}
	}
	return found, all
}
