package console

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"heddle/container/events"
)

// Options of a Console.
type Options struct {
	// Plain makes plain log lines even on a terminal, without samples of
	// messages (--quiet).
	Plain bool
	// Job is the job's name, for the heading.
	Job string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Console shows one run. It is an events.Sink.
type Console struct {
	out      io.Writer
	terminal bool
	quiet    bool
	style    style
	width    func() int
	now      func() time.Time
	stop     chan struct{}
	stopped  sync.WaitGroup

	// waiting are the events since the last beat. Its lock is held for moments
	// only: a terminal that does not take output (Ctrl-S) must not hold up the
	// job.
	waitingMu sync.Mutex
	waiting   []events.Event

	mu     sync.Mutex
	digest *digest
	status string // what stands in the last line of the terminal
	ended  bool
	// lastProgress is when a plain run last told how far it is.
	lastProgress time.Time
	begun        time.Time
}

// beat is how often lines are written; progressEach how often a plain run
// tells how far it is.
const (
	beat         = 200 * time.Millisecond
	progressEach = 10 * time.Second
)

// Open begins to show a run on out, which is a terminal or not.
func Open(out io.Writer, o Options) *Console {
	c := &Console{out: out, now: o.Now, digest: newDigest(), stop: make(chan struct{}), quiet: o.Plain}
	if c.now == nil {
		c.now = time.Now
	}
	c.begun = c.now()
	c.lastProgress = c.begun
	if f, ok := out.(*os.File); ok && !o.Plain && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		c.terminal = true
		c.style.color = os.Getenv("NO_COLOR") == ""
		c.width = func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil || w <= 0 {
				return 80
			}
			return w
		}
	}
	if c.terminal {
		fmt.Fprintf(out, "%s  %s\n", c.style.paint(bold, o.Job), c.style.paint(dim, "runs in this process; Ctrl-C stops it in order"))
	}
	c.stopped.Go(c.run)
	return c
}

func (c *Console) run() {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
			c.mu.Lock()
			c.flush()
			c.mu.Unlock()
		}
	}
}

// Event takes an event in. It is shown at the next beat.
func (c *Console) Event(e events.Event) {
	c.waitingMu.Lock()
	defer c.waitingMu.Unlock()
	if len(c.waiting) < waitingMost {
		c.waiting = append(c.waiting, e)
	}
}

// waitingMost bounds the events that wait while nothing can be shown; what
// comes beyond is not shown.
const waitingMost = 10_000

// take needs c.mu. It hands the waiting events to the digest.
func (c *Console) take() {
	c.waitingMu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.waitingMu.Unlock()
	for _, e := range waiting {
		c.digest.add(e)
	}
}

// flush needs c.mu. It writes what there is to say.
func (c *Console) flush() {
	now := c.now()
	c.take()
	for _, l := range c.digest.lines(now, false) {
		c.write(now, l)
	}
	switch {
	case c.terminal:
		c.draw(c.digest.status(now))
	case now.Sub(c.lastProgress) >= progressEach && !c.digest.running0.IsZero():
		c.lastProgress = now
		c.write(now, line{label: "progress", text: c.digest.status(now)})
	}
}

// write needs c.mu.
func (c *Console) write(now time.Time, l line) {
	if !c.terminal {
		if c.quiet && (l.label == "in" || l.label == "out") {
			return
		}
		label := l.label + ": "
		if l.logged {
			label = "" // the level says the same
		}
		fmt.Fprintf(c.out, "%s %-5s %s%s\n", now.Format("2006-01-02 15:04:05.000"), level(l.kind), label, printable(l.text))
		return
	}
	text := c.style.render(now.Format("15:04:05"), l, c.width())
	if c.status != "" {
		fmt.Fprint(c.out, eraseLine)
		c.status = ""
	}
	fmt.Fprintln(c.out, text)
}

func level(k kind) string {
	switch k {
	case bad:
		return "ERROR"
	case careful:
		return "WARN"
	case plain, good:
	}
	return "INFO"
}

// draw needs c.mu. It replaces the terminal's last line.
func (c *Console) draw(status string) {
	if status == c.status {
		return
	}
	fmt.Fprint(c.out, eraseLine, c.style.paint(dim, shorten(status, c.width()-1)))
	c.status = status
}

// End shows the rest and how it ended. The error itself is for the caller to
// show.
func (c *Console) End(err error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	close(c.stop)
	c.mu.Unlock()
	c.stopped.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.take()
	for _, l := range c.digest.lines(now, true) {
		c.write(now, l)
	}
	if c.status != "" {
		fmt.Fprint(c.out, eraseLine)
		c.status = ""
	}
	if err != nil {
		c.write(now, line{label: "failed", kind: bad, text: "the cause is the last line; what was not committed is read again at the next start"})
		return
	}
	c.write(now, line{label: "done", kind: good, text: c.digest.summary()})
}
