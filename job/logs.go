package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"heddle/yarn"
)

// Logs says which logs are wanted.
type Logs struct {
	// Follow goes on until the application ends, or ctx.
	Follow bool
	// Container is one container's id; "" for all, the application master's
	// first.
	Container string
	// Files are the names of log files; none: stdout and stderr.
	Files []string
}

// followEvery is the time between two looks at the logs.
const followEvery = 500 * time.Millisecond

// Logs writes the logs of an application's containers to w, each line after the
// name of its container, as the NodeManagers have them: those of running
// containers and of ended ones until YARN removes them.
func (c *Cluster) Logs(ctx context.Context, which Which, l Logs, w io.Writer) error {
	r, err := c.find(ctx, which)
	if err != nil {
		return err
	}
	f := &logFollower{cluster: c, logs: l, w: w, at: map[string]int64{}, reader: &yarn.LogReader{User: c.user}}
	if len(f.logs.Files) == 0 {
		f.logs.Files = []string{"stdout", "stderr"}
	}
	for {
		if err := f.round(ctx, r); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // a person has seen enough
			}
			return err
		}
		if !l.Follow || r.State.Done() {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
		if r, err = c.client.Report(ctx, r.ID); err != nil {
			return err
		}
	}
	if !f.wrote {
		return Usage("%s: no node has logs of it: it has not started anything yet, or YARN has removed them", r.ID)
	}
	return nil
}

type logFollower struct {
	cluster *Cluster
	reader  *yarn.LogReader
	logs    Logs
	w       io.Writer
	at      map[string]int64 // what was read, by container and file
	wrote   bool
}

// round writes what is new in the logs of all containers.
func (f *logFollower) round(ctx context.Context, r yarn.ApplicationReport) error {
	attempts, err := f.cluster.client.Attempts(ctx, r.ID)
	if err != nil {
		return err
	}
	for _, a := range attempts {
		containers, err := f.cluster.client.Containers(ctx, a.ID)
		if err != nil && !errors.Is(err, yarn.ErrNotFound) {
			return err
		}
		slices.SortFunc(containers, func(x, y yarn.ContainerReport) int { return x.ID.Compare(y.ID) })
		for _, k := range containers {
			if f.logs.Container != "" && f.logs.Container != k.ID.String() {
				continue
			}
			name := k.ID.String()
			if k.ID == a.Container {
				name += " (application master)"
			}
			for _, file := range f.logs.Files {
				if err := f.file(ctx, k, name, file); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *logFollower) file(ctx context.Context, k yarn.ContainerReport, name, file string) error {
	key := k.ID.String() + "/" + file
	for {
		chunk, err := f.reader.Read(ctx, k.HTTPAddress, k.ID, file, f.at[key], 0)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return nil // not there yet, or not there any more
		}
		if len(chunk.Data) == 0 {
			return nil
		}
		f.at[key] = chunk.Next()
		f.wrote = true
		for line := range strings.Lines(string(chunk.Data)) {
			if _, err := fmt.Fprintf(f.w, "%s %s | %s\n", name, file, strings.TrimRight(line, "\r\n")); err != nil {
				return err
			}
		}
	}
}
