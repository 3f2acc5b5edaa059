package steady

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Options say what a Meter is to do.
type Options struct {
	// Records is how many will be processed in all.
	Records int64
	// After is how many of them come before the steady part can begin.
	After int64
	// Report is the file that Write writes to.
	Report string
	// Profile is the file for a CPU profile of the steady part; "" is none. Beside it,
	// in a file whose name ends with .heap, lies what was in use when most was.
	Profile string
}

// The steady part, in hundredths of all records, unless it begins later.
const (
	fromPercent = 10
	toPercent   = 95
)

// Meter counts processed records. Add may be called from any goroutine.
type Meter struct {
	o        Options
	from, to int64
	done     atomic.Int64
	// Each is written once, by the Add that reaches from or to.
	begin, end sample
	profile    *os.File
	err        error

	ready     sample
	readyPeak int64
	// scanned is set by Scanned.
	scanned     int64
	scanSeconds float64
}

// began is when the process did, but for what Go does before.
var began = time.Now()

// sample is a moment: the time, and what the process had used by then.
type sample struct {
	wall time.Time
	cpu  time.Duration
}

// Report is what Write writes, as JSON.
type Report struct {
	// Records is how many were processed in all.
	Records int64 `json:"records"`
	// The steady part.
	SteadyRecords    int64   `json:"steadyRecords"`
	SteadySeconds    float64 `json:"steadySeconds"`
	SteadyCPUSeconds float64 `json:"steadyCPUSeconds"`
	// CPUSeconds is user and system time of the process since it began.
	CPUSeconds float64 `json:"cpuSeconds"`
	// ReadySeconds and ReadyCPUSeconds are from the start of the process to Ready,
	// ReadyRSSBytes its largest resident size until then.
	ReadySeconds    float64 `json:"readySeconds,omitempty"`
	ReadyCPUSeconds float64 `json:"readyCPUSeconds,omitempty"`
	ReadyRSSBytes   int64   `json:"readyRSSBytes,omitempty"`
	// Scanned entries of a store were read in ScanSeconds.
	Scanned     int64   `json:"scanned,omitempty"`
	ScanSeconds float64 `json:"scanSeconds,omitempty"`
	// PeakRSSBytes is the process's largest resident size.
	PeakRSSBytes int64 `json:"peakRSSBytes"`
}

// New makes a meter.
func New(o Options) (*Meter, error) {
	m := &Meter{o: o, from: max(o.Records*fromPercent/100, o.After), to: o.Records * toPercent / 100}
	if m.from < 1 || m.to <= m.from {
		return nil, fmt.Errorf("%d records are too few to find a steady part in", o.Records)
	}
	if o.Profile != "" {
		var err error
		if m.profile, err = os.Create(o.Profile); err != nil {
			return nil, fmt.Errorf("CPU profile: %w", err)
		}
		go watchHeap(o.Profile+".heap", func() bool { return true })
	}
	return m, nil
}

// Add counts n records.
func (m *Meter) Add(n int64) {
	now := m.done.Add(n)
	switch before := now - n; {
	case before < m.from && now >= m.from:
		if m.profile != nil {
			m.err = pprof.StartCPUProfile(m.profile)
		}
		m.begin = take()
	case before < m.to && now >= m.to:
		m.end = take()
		if m.profile != nil {
			pprof.StopCPUProfile()
		}
	}
}

// ProfileUntilReady writes a CPU profile, from now on until the first Ready of a
// Meter, to the file that EnvReadyProfile names in the environment. Beside it, in a
// file whose name ends with .heap, lies what was in use when most was until then.
func ProfileUntilReady() error {
	file := os.Getenv(EnvReadyProfile)
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	untilReady.Store(f)
	go watchHeap(file+".heap", func() bool { return untilReady.Load() != nil })
	return pprof.StartCPUProfile(f)
}

// EnvReadyProfile names the file of ProfileUntilReady.
const EnvReadyProfile = "BENCH_READY_PROFILE"

var untilReady atomic.Pointer[os.File]

// Ready notes that the process can begin with its records; of several calls the
// last counts. Only one goroutine may call it at a time.
func (m *Meter) Ready() (err error) {
	m.ready = take()
	if f := untilReady.Swap(nil); f != nil {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			return fmt.Errorf("CPU profile: %w", err)
		}
	}
	m.readyPeak, err = peakRSS()
	return err
}

// Scanned notes that so many entries of a store were read in that time. Only one
// goroutine may call it at a time.
func (m *Meter) Scanned(entries int64, took time.Duration) {
	m.scanned += entries
	m.scanSeconds += took.Seconds()
}

// Write writes the report, once everything is processed.
func (m *Meter) Write() error {
	if m.err != nil {
		return fmt.Errorf("CPU profile: %w", m.err)
	}
	if m.profile != nil {
		if err := m.profile.Close(); err != nil {
			return fmt.Errorf("CPU profile: %w", err)
		}
	}
	r := Report{Records: m.done.Load(), CPUSeconds: take().cpu.Seconds()}
	if !m.begin.wall.IsZero() && !m.end.wall.IsZero() {
		r.SteadyRecords = m.to - m.from
		r.SteadySeconds = m.end.wall.Sub(m.begin.wall).Seconds()
		r.SteadyCPUSeconds = (m.end.cpu - m.begin.cpu).Seconds()
	}
	if !m.ready.wall.IsZero() {
		r.ReadySeconds, r.ReadyCPUSeconds, r.ReadyRSSBytes = m.ready.wall.Sub(began).Seconds(), m.ready.cpu.Seconds(), m.readyPeak
	}
	r.Scanned, r.ScanSeconds = m.scanned, m.scanSeconds
	var err error
	if r.PeakRSSBytes, err = peakRSS(); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(m.o.Report, b, 0o600); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// take reads the clocks.
func take() sample {
	s := sample{wall: time.Now()}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		s.cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return s
}

// peakRSS reads the kernel's high-water mark. That of getrusage would do for a
// process that nobody started: it begins with the size of the parent.
func peakRSS() (int64, error) {
	const file = "/proc/self/status"
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("peak memory: %w", err)
	}
	return parsePeak(string(b))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("peak memory: VmHWM: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("peak memory: the kernel gives no VmHWM")
}

// Read reads a report.
func Read(file string) (Report, error) {
	var r Report
	b, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("report %s: %w", file, err)
	}
	return r, nil
}

// every is how many records a Count collects before it tells the meter: few
// enough for a thousand tasks to be near the truth.
const every = 16

// Count is one worker's way to a Meter; it costs nothing worth mentioning per
// record. One goroutine uses it.
type Count struct {
	Meter *Meter
	n     int64
}

// One counts a record.
func (c *Count) One() {
	if c.n++; c.n == every {
		c.Meter.Add(every)
		c.n = 0
	}
}

// Rest hands over what was not counted yet.
func (c *Count) Rest() {
	c.Meter.Add(c.n)
	c.n = 0
}
