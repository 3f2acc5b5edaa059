package job

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"heddle/coordinator"
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
// name of its container: while the application runs as the NodeManagers have
// them, those of ended containers too; after its end what the NodeManagers have
// put on the cluster's file system, if they do (yarn.log-aggregation-enable).
func (c *Cluster) Logs(ctx context.Context, which Which, l Logs, w io.Writer) error {
	r, err := c.find(ctx, which)
	if err != nil {
		return err
	}
	f := &logFollower{cluster: c, logs: l, w: w, at: map[string]int64{}, put: map[string]int64{}, masters: map[yarn.ContainerID]bool{}, searched: map[yarn.AttemptID]map[yarn.ContainerID]string{}, reader: &yarn.LogReader{User: c.user}}
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
	if r.State.Done() {
		if err := f.aggregated(ctx, r); err != nil {
			return err
		}
	}
	if !f.wrote {
		return c.gone(r)
	}
	return nil
}

type logFollower struct {
	cluster *Cluster
	reader  *yarn.LogReader
	logs    Logs
	w       io.Writer
	at      map[string]int64 // what was read on the nodes, by container and file
	put     map[string]int64 // what was found of them on the cluster's file system
	masters map[yarn.ContainerID]bool
	wrote   bool
	had     []coordinator.Execution // what the application master told last
	// nodes are the web servers of the nodes that know the application, found
	// once they are needed; searched what search has found.
	nodes    []string
	searched map[yarn.AttemptID]map[yarn.ContainerID]string
}

// place is a container whose logs a node may have.
type place struct {
	id yarn.ContainerID
	// http is the address of the node's web server.
	http string
}

// places finds the containers of an application: those that the ResourceManager
// knows, which are the running ones; the application master's of earlier
// attempts; and those of the present one that have ended, which only it knows.
func (f *logFollower) places(ctx context.Context, r yarn.ApplicationReport) ([]place, error) {
	attempts, err := f.cluster.client.Attempts(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	found := map[yarn.ContainerID]string{}
	for _, a := range attempts {
		containers, err := f.cluster.client.Containers(ctx, a.ID)
		if err != nil && !errors.Is(err, yarn.ErrNotFound) {
			return nil, err
		}
		for _, k := range containers {
			found[k.ID] = k.HTTPAddress
		}
		f.masters[a.Container] = true
	}
	known := map[yarn.AttemptID]bool{}
	for _, x := range f.executions(ctx, r) {
		if id, err := yarn.ParseContainerID(x.ID); err == nil {
			known[id.Attempt] = true
			if found[id] == "" {
				found[id] = x.NodeHTTP
			}
		}
	}
	for _, a := range attempts {
		// An attempt that has ended has told its containers to nobody.
		if !known[a.ID] && (a.ID != r.Attempt || r.State.Done()) {
			maps.Copy(found, f.search(ctx, a))
		}
	}
	var out []place
	for id, http := range found {
		out = append(out, place{id, http})
	}
	slices.SortFunc(out, func(a, b place) int { return a.id.Compare(b.id) })
	return out, nil
}

// executions asks the application master for the containers that it had. An
// application master that cannot be asked now has the rest of the logs shown.
func (f *logFollower) executions(ctx context.Context, r yarn.ApplicationReport) (all []coordinator.Execution) {
	if r.State != yarn.StateRunning {
		return f.had
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := f.cluster.ask(ctx, r, func(o coordinator.Operator) (err error) { all, err = o.Executions(ctx); return err })
	if err != nil {
		f.cluster.log.Debug("the application master did not tell its past containers", "cause", err)
		return f.had
	}
	f.had = all
	return all
}

// round writes what is new in the logs of all containers.
func (f *logFollower) round(ctx context.Context, r yarn.ApplicationReport) error {
	places, err := f.places(ctx, r)
	if err != nil {
		return err
	}
	for _, p := range places {
		if f.logs.Container != "" && f.logs.Container != p.id.String() || p.http == "" {
			continue
		}
		for _, file := range f.logs.Files {
			if err := f.file(ctx, p, file); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *logFollower) file(ctx context.Context, p place, file string) error {
	key := p.id.String() + "/" + file
	for {
		chunk, err := f.reader.Read(ctx, p.http, p.id, file, f.at[key], 0)
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
		if err := f.lines(p.id, file, bytes.NewReader(chunk.Data)); err != nil {
			return err
		}
	}
}

// lines writes lines after the name of their container and file.
func (f *logFollower) lines(id yarn.ContainerID, file string, from io.Reader) error {
	name := id.String()
	if f.masters[id] {
		name += " (application master)"
	}
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			f.wrote = true
			if _, err := fmt.Fprintf(f.w, "%s %s | %s\n", name, file, strings.TrimRight(line, "\r\n")); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
