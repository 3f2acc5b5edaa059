package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"heddle/system/files"
	"heddle/yarn"
)

// aggregation is what the cluster's configuration says of the logs of
// applications that have ended.
type aggregation struct {
	on bool
	// folder is where the NodeManagers put them (yarn.nodemanager.remote-app-log-dir).
	folder string
	// local is where each node keeps them (yarn.nodemanager.log-dirs), for so
	// many seconds if they are not aggregated.
	local, retain string
}

func (c *Cluster) aggregation() aggregation {
	on, err := c.conf.Bool("yarn.log-aggregation-enable", false)
	if err != nil {
		c.log.Debug("whether logs are aggregated is not known", "cause", err)
	}
	return aggregation{
		on:     on,
		folder: c.conf.String("yarn.nodemanager.remote-app-log-dir", "/tmp/logs"),
		local:  c.conf.String("yarn.nodemanager.log-dirs", "yarn.nodemanager.log-dirs"),
		retain: c.conf.String("yarn.nodemanager.log.retain-seconds", "10800"),
	}
}

// gone says where the logs of an application are that no node shows.
func (c *Cluster) gone(r yarn.ApplicationReport) error {
	a := c.aggregation()
	switch {
	case !r.State.Done():
		return Usage("%s: no node has logs of it: it has not started anything yet", r.ID)
	case a.on:
		return Usage("%s has ended, and there are no logs of it below %s: its nodes put them there within a minute of its end, and the cluster removes them after yarn.log-aggregation.retain-seconds", r.ID, path.Join(a.folder, r.User))
	}
	return Usage("%s has ended, and a NodeManager shows no logs of ended applications; for %s s after the end (yarn.nodemanager.log.retain-seconds) they lie on the nodes in %s; a cluster with yarn.log-aggregation-enable=true keeps them on its file system, where run-job logs reads them",
		r.ID, a.retain, path.Join(a.local, r.ID.String()))
}

// aggregated writes the logs of an application that has ended, as far as the
// NodeManagers have put them on the cluster's file system.
func (f *logFollower) aggregated(ctx context.Context, r yarn.ApplicationReport) error {
	a := f.cluster.aggregation()
	if !a.on {
		return nil
	}
	uri := ""
	if i := strings.Index(a.folder, "://"); i > 0 {
		host, _, _ := strings.Cut(a.folder[i+3:], "/")
		uri = a.folder[:i+3] + host
		a.folder = a.folder[len(uri):]
	}
	fs, err := f.cluster.stagingFS(ctx, uri)
	if err != nil {
		return err
	}
	defer fs.Close()
	folders, err := aggregatedFolders(ctx, fs, path.Join(a.folder, r.User), r.ID)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range folders {
		entries, err := fs.List(ctx, dir)
		if err != nil {
			return err
		}
		slices.SortFunc(entries, func(x, y files.Entry) int { return strings.Compare(x.Name, y.Name) })
		for _, e := range entries {
			if e.Dir || strings.HasPrefix(e.Name, ".") || strings.HasSuffix(e.Name, ".tmp") {
				continue
			}
			file := path.Join(dir, e.Name)
			if err := f.aggregatedFile(ctx, fs, file, e.Size); errors.Is(err, yarn.ErrLogFormat) {
				errs = append(errs, Usage("logs of %s: %s: %w; read it with yarn logs -applicationId %s", r.ID, file, err, r.ID))
			} else if err != nil {
				return err
			}
		}
	}
	return errors.Join(errs...)
}

// aggregatedFolders finds the application's folders below the user's: since
// Hadoop 3.3 USER/bucket-SUFFIX/NNNN/APPLICATION, before USER/SUFFIX/APPLICATION;
// the suffix depends on the format.
func aggregatedFolders(ctx context.Context, fs files.FileSystem, user string, id yarn.ApplicationID) ([]string, error) {
	suffixes, err := fs.List(ctx, user)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, s := range suffixes {
		for _, dir := range []string{
			path.Join(user, s.Name, fmt.Sprintf("%04d", id.Number%10000), id.String()),
			path.Join(user, s.Name, id.String()),
		} {
			if at, err := fs.Stat(ctx, dir); err == nil && at.Dir {
				found = append(found, dir)
			}
		}
	}
	return found, nil
}

func (f *logFollower) aggregatedFile(ctx context.Context, fs files.FileSystem, name string, size int64) error {
	in, err := fs.Open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	at, ok := in.(io.ReaderAt)
	if !ok {
		return fmt.Errorf("%s: its file system reads from the front only", name)
	}
	return yarn.ReadAggregatedLogs(at, size, func(l yarn.AggregatedLog) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := l.Container.String()
		if f.logs.Container != "" && f.logs.Container != id || !slices.Contains(f.logs.Files, l.Name) {
			return nil
		}
		// What was read on the node before is not repeated. A file that was put
		// there piece by piece comes as often.
		key := id + "/" + l.Name
		known := min(l.Size, max(0, f.at[key]-f.put[key]))
		f.put[key] += l.Size
		if _, err := io.CopyN(io.Discard, l.Content, known); err != nil {
			return err
		}
		return f.lines(l.Container, l.Name, l.Content)
	})
}
