package job

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Say tells a person what goes on, on stderr: a line for each step, and on a
// terminal a line that moves for what takes longer.
type Say struct {
	w        io.Writer
	held     *Held
	terminal bool
	quiet    bool

	mu     sync.Mutex
	moving bool
	last   time.Time
	// told is the last line that was written elsewhere than on a terminal.
	told string
}

// NewSay writes to w; quiet leaves out everything but warnings.
func NewSay(w io.Writer, quiet bool) *Say {
	s := &Say{w: w, quiet: quiet}
	if h, ok := w.(*Held); ok {
		s.held, w = h, h.w
	}
	if f, ok := w.(*os.File); ok {
		s.terminal = term.IsTerminal(int(f.Fd()))
	}
	return s
}

// Release lets what was held back out: the checks are over, and if something
// goes wrong now, it is not what the first line could tell.
func (s *Say) Release() {
	if s.held != nil {
		s.held.Release()
	}
}

// Step writes a line.
func (s *Say) Step(format string, args ...any) {
	if s.quiet {
		return
	}
	s.Release()
	s.line(fmt.Sprintf(format, args...))
}

// Now writes a line even when quiet, for who waits: what was held back comes out,
// too.
func (s *Say) Now(format string, args ...any) {
	s.Release()
	s.line(fmt.Sprintf(format, args...))
}

// Warn writes a line even when quiet.
func (s *Say) Warn(format string, args ...any) { s.line("warning: " + fmt.Sprintf(format, args...)) }

func (s *Say) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.w, text)
}

func (s *Say) clear() {
	if s.moving {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.moving = false
	}
}

// Moving replaces the line that moves, at most ten times a second; elsewhere
// than on a terminal it writes a line every five seconds, and the same line
// again every minute.
func (s *Say) Moving(format string, args ...any) {
	if s.quiet {
		return
	}
	s.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	pause := 100 * time.Millisecond
	if !s.terminal {
		pause = 5 * time.Second
		if s.last.IsZero() {
			s.last = now
		}
	}
	if now.Sub(s.last) < pause {
		return
	}
	if !s.terminal {
		text := fmt.Sprintf(format, args...)
		if text == s.told && now.Sub(s.last) < sameLine {
			return
		}
		s.last, s.told = now, text
		fmt.Fprintln(s.w, text)
		return
	}
	s.last = now
	fmt.Fprintf(s.w, "\r\x1b[K"+format, args...)
	s.moving = true
}

// Done ends a line that moves.
func (s *Say) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.last, s.told = time.Time{}, ""
}

// sameLine is after how long a line that says nothing new is written again.
const sameLine = time.Minute

// Count writes a number of things for people ("1 partition", "4 partitions").
func Count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Bytes writes a size for people ("12.3 MiB").
func Bytes(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
