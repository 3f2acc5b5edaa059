package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"heddle/internal/launch"
)

// logFile is where a run in the background writes what it says.
func (j *Job) logFile() string { return launch.FileOf(j.home(), j.Name(), "log") }

// LogsHere writes the log of the job's run in the background, the present one or
// else the last, to w.
func (j *Job) LogsHere(ctx context.Context, follow bool, w io.Writer) error {
	h, missing := j.Here(ctx)
	f, err := os.Open(j.logFile())
	switch {
	case errors.Is(err, os.ErrNotExist) && missing == nil:
		return Usage("job %s runs in the foreground of process %d, and its log is there; run-job --detach writes one into %s", j.Name(), h.address.PID, j.logFile())
	case errors.Is(err, os.ErrNotExist):
		return missing
	case err != nil:
		return fmt.Errorf("log of job %s: %w", j.Name(), err)
	}
	defer f.Close()
	for {
		over := missing != nil || !launch.Runs(h.address.PID)
		if _, err := io.Copy(w, f); err != nil {
			return fmt.Errorf("log of job %s: %w", j.Name(), err)
		}
		if over || !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// openLog begins a new log and keeps the one before it.
func (j *Job) openLog() (*os.File, error) {
	file := j.logFile()
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		if err = os.Rename(file, file+".1"); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("log of job %s (heddle.home): %w", j.Name(), err)
	}
	return f, nil
}
