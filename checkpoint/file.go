package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Files is a Log that keeps one file for each task (Samza:
// FileSystemCheckpointManager): <folder>/<job name>-<task name>-checkpoints,
// in version 1. Unlike Samza's, the folder is made if it is missing, and a file
// is replaced in one step.
type Files struct {
	folder, job string
	stores      Stores

	mu   sync.Mutex
	last map[string]Checkpoint
}

const fileSuffix = "-checkpoints"

// NewFiles keeps the checkpoints of a job in a folder.
func NewFiles(folder, jobName string, stores Stores) *Files {
	return &Files{folder: folder, job: jobName, stores: stores, last: map[string]Checkpoint{}}
}

// Start makes the folder and reads what is in it.
func (f *Files) Start(context.Context) error {
	if err := os.MkdirAll(f.folder, 0o755); err != nil {
		return fmt.Errorf("make the folder for checkpoints (task.checkpoint.path): %w", err)
	}
	return f.read()
}

// read takes in the files of the folder, if it is there.
func (f *Files) read() error {
	files, err := os.ReadDir(f.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the folder of checkpoints (task.checkpoint.path): %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range files {
		name, ok := strings.CutPrefix(file.Name(), f.job+"-")
		task, ok2 := strings.CutSuffix(name, fileSuffix)
		if !ok || !ok2 || !file.Type().IsRegular() {
			continue
		}
		path := filepath.Join(f.folder, file.Name())
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the checkpoint of task %q: %w", task, err)
		}
		c, err := ParseV1(b, f.stores)
		if err != nil {
			return fmt.Errorf("checkpoint of task %q in %s: %w; repair the file, or delete it to let the task begin anew", task, path, err)
		}
		f.last[task] = c
	}
	return nil
}

// Last gives the task's newest checkpoint.
func (f *Files) Last(taskName string) (Checkpoint, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.last[taskName]
	return c, ok
}

// Write replaces the task's file.
func (f *Files) Write(_ context.Context, taskName string, c Checkpoint) error {
	path := filepath.Join(f.folder, f.job+"-"+taskName+fileSuffix)
	if err := replaceFile(path, AppendV1(nil, c)); err != nil {
		return fmt.Errorf("write the checkpoint of task %q: %w", taskName, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[taskName] = c
	return nil
}

// Close does nothing.
func (f *Files) Close() error { return nil }

// replaceFile leaves the old content or the new one, whatever happens.
func replaceFile(path string, content []byte) (err error) {
	t, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(t.Name()) // best effort; err says what went wrong
		}
	}()
	_, err = t.Write(content)
	if err == nil {
		err = t.Sync()
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}
