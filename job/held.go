package job

import (
	"io"
	"sync"
	"time"
)

// Held keeps back warnings and log lines of the checks before a start, since
// the first line on stderr has to be the error if there is one. They come out
// when something begins (Release), or when they have been kept for a while.
type Held struct {
	w io.Writer

	mu    sync.Mutex
	lines []byte
	open  bool
	timer *time.Timer
}

// heldFor is longer than the checks try to reach a service that is away.
const heldFor = 20 * time.Second

// Hold holds back what is written to w.
func Hold(w io.Writer) *Held { return &Held{w: w} }

// Write keeps b, or passes it on after Release.
func (h *Held) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open {
		return h.w.Write(b)
	}
	if h.timer == nil {
		h.timer = time.AfterFunc(heldFor, h.Release)
	}
	h.lines = append(h.lines, b...)
	return len(b), nil
}

// Release writes what was kept; from then on nothing is.
func (h *Held) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open {
		return
	}
	h.open = true
	if h.timer != nil {
		h.timer.Stop()
	}
	_, _ = h.w.Write(h.lines)
	h.lines = nil
}
