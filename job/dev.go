package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"heddle/config"
	"heddle/internal/launch"
)

// Dev runs a job in one process and starts it anew when its code or its
// configuration changes. What does not build or is not valid leaves the job
// running as it was.
type Dev struct {
	Source Source
	Place  Place
	Log    *slog.Logger
	Say    *Say
	// Building takes what the compiler prints.
	Building io.Writer
	// Command makes the command that runs the job once.
	Command func() *exec.Cmd
	// Every is the time between two looks at the files.
	Every time.Duration
}

// stamp is what tells a changed file.
type stamp struct {
	size    int64
	changed time.Time
}

// watched are the files that a job is made of: its properties files, and the
// sources in its program's folder or the program itself.
func (d *Dev) watched(j *Job) map[string]stamp {
	files := map[string]stamp{}
	note := func(path string) {
		if info, err := os.Stat(path); err == nil {
			files[path] = stamp{info.Size(), info.ModTime()}
		}
	}
	for _, p := range d.Source.Paths {
		if path, ok := config.LocalPath(p); ok {
			note(path)
		}
	}
	if j == nil {
		return files
	}
	p, err := j.findProgram()
	if err != nil {
		return files
	}
	if p.Dir == "" {
		note(p.Binary)
		return files
	}
	for _, path := range sources(p.Dir) {
		note(path)
	}
	return files
}

// sources are the files that a build of the folder's package may read.
func sources(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // what cannot be read is not watched
		case e.IsDir() && path != dir && strings.HasPrefix(e.Name(), "."):
			return filepath.SkipDir
		case e.Type().IsRegular() && (strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") || e.Name() == "go.mod"):
			found = append(found, path)
		}
		return nil
	})
	return found
}

// difference names the first file that was changed, made or removed.
func difference(before, now map[string]stamp) (string, bool) {
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if b, ok := before[path]; !ok || b != now[path] {
			return path, true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, ok := now[path]; !ok {
			return path, true
		}
	}
	return "", false
}

// ready reads the configuration and builds the program; nil if that cannot be
// run.
func (d *Dev) ready(ctx context.Context) (*Job, error) {
	j, err := Load(ctx, d.Source, d.Place, d.Say, d.Log)
	if err != nil {
		return nil, err
	}
	p, err := j.findProgram()
	if err != nil {
		return j, err
	}
	_, err = p.Ready(ctx, j.home(), d.Building)
	return j, err
}

// run is one run of the job.
type run struct {
	cmd  *exec.Cmd
	done chan error
}

func (d *Dev) begin(t *launch.Tether) (*run, error) {
	r := &run{cmd: d.Command(), done: make(chan error, 1)}
	t.Tie(r.cmd)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { r.done <- r.cmd.Wait() }()
	return r, nil
}

// end stops a run gracefully and waits for it.
func (r *run) end() {
	if r == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.done //nolint:errcheck // it was told to end: how it ended does not matter
}

// claim keeps other devs of the job away until it is withdrawn. A dev beside a run
// is refused: it would wait for a change of the files with nothing to stop.
func (d *Dev) claim(ctx context.Context, j *Job) (*launch.Claim, error) {
	name := j.Name() + ".dev"
	c, err := launch.TakeClaim(j.home(), name, "dev")
	if errors.Is(err, launch.ErrClaimed) {
		h, _, err := launch.HolderOf(j.home(), name)
		return nil, cmp.Or(err, error(refusedError{fmt.Errorf("dev: process %d is a dev of the job %s already, and starts it anew whenever its files change; end that one first", h.PID, j.Name())}))
	}
	if err != nil {
		return nil, err
	}
	h, lives, err := living(ctx, j.below().holder)
	switch {
	case err != nil || !lives:
	case h.Doing != "":
		err = j.claimed(ctx, h, "")
	default:
		r := j.running(ctx, h)
		err = refusedError{fmt.Errorf("dev: the job %s runs already as %s; stop it first with run-job kill and %s", j.Name(), r.what, r.how)}
	}
	if err != nil {
		c.Withdraw()
		return nil, err
	}
	return c, nil
}

// Run runs the job until ctx ends; then it stops it gracefully.
func (d *Dev) Run(ctx context.Context) error {
	j, err := d.ready(ctx)
	if err != nil {
		return err
	}
	claim, err := d.claim(ctx, j)
	if err != nil {
		return err
	}
	defer claim.Withdraw()
	d.Say.Release()
	files := d.watched(j)
	t, err := launch.NewTether()
	if err != nil {
		return err
	}
	defer t.Close()
	current, err := d.begin(t)
	if err != nil {
		return err
	}
	tick := time.NewTicker(d.Every)
	defer tick.Stop()
	for {
		var ended chan error
		if current != nil {
			ended = current.done
		}
		select {
		case <-ctx.Done():
			current.end()
			return nil
		case err := <-ended:
			current = nil
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return err
			}
			d.Say.Step("dev: the job has ended; waiting for a change of its files")
			continue
		case <-tick.C:
		}
		now := d.watched(j)
		path, changed := difference(files, now)
		if !changed {
			continue
		}
		files = now
		d.Say.Step("dev: %s has changed", path)
		next, err := d.ready(ctx)
		if next != nil {
			j, files = next, d.settled(next, now)
		}
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			d.Say.Warn("%v; the job is left as it was", err)
			continue
		}
		current.end()
		if current, err = d.begin(t); err != nil {
			return fmt.Errorf("dev: %w", err)
		}
	}
}

// settled are the files to compare with after a build: those from before it, so
// that what was changed while it ran is seen, and those that only the new
// configuration names.
func (d *Dev) settled(j *Job, before map[string]stamp) map[string]stamp {
	files := d.watched(j)
	for path := range files {
		if s, ok := before[path]; ok {
			files[path] = s
		}
	}
	return files
}
