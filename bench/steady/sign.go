package steady

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Sign is a line that a process leaves for the one that watches it.
type Sign struct {
	// What happened: First, Caught.
	What string `json:"what"`
	// PID is the process's.
	PID int `json:"pid"`
	// UnixNano is when.
	UnixNano int64 `json:"unixNano"`
	// CPUSeconds and PeakRSSBytes are the process's until then.
	CPUSeconds   float64 `json:"cpuSeconds"`
	PeakRSSBytes int64   `json:"peakRSSBytes"`
}

// What a Sign says.
const (
	// First: the process has its first record.
	First = "first"
	// Caught: it has processed as many as it was to.
	Caught = "caught"
)

// Leave appends a sign to a file.
func Leave(file, what string) error {
	now := take()
	s := Sign{What: what, PID: os.Getpid(), UnixNano: now.wall.UnixNano(), CPUSeconds: now.cpu.Seconds()}
	var err error
	if s.PeakRSSBytes, err = peakRSS(); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}

// Time is when the sign was left.
func (s Sign) Time() time.Time { return time.Unix(0, s.UnixNano) }
