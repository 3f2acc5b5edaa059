package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"heddle/config"
	"heddle/storage/engine"
	"heddle/storage/snapshot"
	"heddle/system/files"
)

// checkSnapshots looks whether snapshots can be written where heddle.snapshot.uri
// says; try: by writing. It gives the key with the name of the file system in it,
// so that a container need not know which one is the cluster's default.
func (j *Job) checkSnapshots(ctx context.Context, try bool) (map[string]string, error) {
	key := config.HeddleSnapshotURI.Name()
	uri := config.HeddleSnapshotURI.Of(j.Config)
	if uri == "" {
		return nil, nil
	}
	fault := j.snapshotFault
	stores, err := config.Stores(j.Config)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(stores, func(s config.StoreConfig) bool { return s.Engine != engine.Memory && s.Logged() }) {
		j.say.Warn("%s is set, but no store lies on disk and has a changelog: there is nothing to keep copies of", key)
		return nil, nil
	}
	at, err := j.snapshotPlace(ctx)
	if err != nil {
		return nil, err
	}
	there, system, root, o := at.FileSystem, at.system, at.root, at.options
	defer there.Close()
	if j.Factory == config.YARN && strings.HasPrefix(system, "file:") {
		j.say.Warn("%s: snapshots go to %s of each node; they are of use only if that is one folder for all of them", key, root)
	}
	switch s, err := there.Stat(ctx, root); {
	case err == nil && !s.Dir:
		return nil, fault("name a folder", "%s is a file", s.URI)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fault("name a folder that "+o.User+" may use", "%v", err)
	}
	if try {
		// Where the job will write: the folder of all jobs may be another user's.
		folder := snapshot.JobFolder(root, config.JobName.Of(j.Config), config.JobID.Of(j.Config))
		file := files.Temporary(path.Join(folder, "try"))
		_, err := there.Put(ctx, file, strings.NewReader("x"), 0o600)
		if err == nil {
			err = there.RemoveAll(ctx, file)
		}
		if err != nil {
			return nil, fault("name a folder that "+o.User+" may write to", "%v", err)
		}
	}
	return map[string]string{key: files.Join(system, root)}, nil
}

// snapshotFault is an error of heddle.snapshot.uri.
func (j *Job) snapshotFault(hint, format string, args ...any) error {
	key := config.HeddleSnapshotURI.Name()
	return &config.Error{Key: key, Origin: j.Config.Origin(key), Problem: fmt.Sprintf(format, args...), Hint: hint}
}

// snapshotPlace is where the job's snapshots lie.
type snapshotPlace struct {
	files.FileSystem
	system, root string
	options      files.Options
}

// snapshotPlace opens the file system of heddle.snapshot.uri, which is set.
func (j *Job) snapshotPlace(ctx context.Context) (p snapshotPlace, err error) {
	if p.system, p.root, err = files.Split(config.HeddleSnapshotURI.Of(j.Config)); err != nil {
		return p, j.snapshotFault("", "%v", err)
	}
	if p.options, err = files.FromEnvironment(os.LookupEnv); err != nil {
		return p, j.snapshotFault("correct HADOOP_CONF_DIR", "%v", err)
	}
	if p.system == "" {
		p.system = p.options.Conf.DefaultFS()
	}
	p.FileSystem, err = files.Open(ctx, p.system, p.options)
	switch {
	case errors.Is(err, files.ErrUnreachable):
		return p, fmt.Errorf("%w (%s)", err, j.snapshotFault("", "the snapshots' file system"))
	case err != nil:
		return p, j.snapshotFault("", "%v", err)
	}
	return p, nil
}

// KeptSnapshots is what a job has as snapshots of one store of one task.
type KeptSnapshots struct {
	Store string `json:"store"`
	Task  string `json:"task"`
	// Snapshots counts them; Taken, in ms, Offset (of the changelog) and Bytes are
	// the newest's; Taken is 0 if none can be read.
	Snapshots int   `json:"snapshots"`
	Taken     int64 `json:"taken"`
	Offset    int64 `json:"offset"`
	Bytes     int64 `json:"bytes"`
	// Stored is what all of them take together.
	Stored int64 `json:"stored"`
	// Configured is false for a store that the job does not have any more.
	Configured bool `json:"configured"`
	// Problem says why the newest cannot be read, or that the folder has another
	// job's, too, so that nothing of it is removed.
	Problem string `json:"problem,omitempty"`
}

// Snapshots lists the snapshots of the job's stores. It changes nothing.
func (j *Job) Snapshots(ctx context.Context) ([]KeptSnapshots, error) {
	return j.snapshots(ctx, "", false)
}

// RemoveSnapshots removes the snapshots of a job that does not run, or those of
// one store (""; all), and gives what it removed.
func (j *Job) RemoveSnapshots(ctx context.Context, store string) ([]KeptSnapshots, error) {
	if config.HeddleSnapshotURI.Of(j.Config) != "" {
		release, err := j.notRunning(ctx, doingRemove)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return j.snapshots(ctx, store, true)
}

// doingRemove is what has the claim while snapshots are removed.
const doingRemove = "state snapshots remove"

// snapshots lists what there is of a store, "": of all, and may then remove it.
func (j *Job) snapshots(ctx context.Context, store string, remove bool) ([]KeptSnapshots, error) {
	if config.HeddleSnapshotURI.Of(j.Config) == "" {
		return nil, Usage("%s is not set: the job keeps no snapshots; give the one that they were kept with by --config %s=URI", config.HeddleSnapshotURI.Name(), config.HeddleSnapshotURI.Name())
	}
	stores, err := config.Stores(j.Config)
	if err != nil {
		return nil, err
	}
	p, err := j.snapshotPlace(ctx)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	all, err := snapshot.List(ctx, p, p.root, config.JobName.Of(j.Config), config.JobID.Of(j.Config))
	if err != nil {
		return nil, fmt.Errorf("list the snapshots in %s: %w", files.Join(p.system, p.root), err)
	}
	out := []KeptSnapshots{}
	names := []string{}
	chosen := slices.DeleteFunc(slices.Clone(all), func(k snapshot.Kept) bool {
		names = append(names, k.Store)
		return store != "" && k.Store != store
	})
	if store != "" && len(chosen) == 0 {
		if len(names) == 0 {
			return nil, Usage("the job has no snapshots in %s", files.Join(p.system, p.root))
		}
		return nil, Usage("there are no snapshots of a store %q; there are some of %s", store, strings.Join(slices.Compact(names), ", "))
	}
	for _, k := range chosen {
		s := KeptSnapshots{
			Store: k.Store, Task: k.Task, Snapshots: k.Snapshots, Offset: k.Mark.Offset, Bytes: k.Bytes, Stored: k.Stored, Problem: k.Problem,
			Configured: slices.ContainsFunc(stores, func(s config.StoreConfig) bool { return s.Name == k.Store }),
		}
		if !k.Taken.IsZero() {
			s.Taken = k.Taken.UnixMilli()
		}
		if k.Other != "" {
			s.Problem = fmt.Sprintf("its folder has snapshots of the job %s, too; give one of the two another %s", k.Other, config.HeddleSnapshotURI.Name())
			if remove {
				j.say.Warn("%s, %s is left alone: %s", s.Store, s.Task, s.Problem)
				continue
			}
		}
		out = append(out, s)
	}
	if !remove {
		return out, nil
	}
	if err := snapshot.Remove(ctx, p, chosen); err != nil {
		return out, fmt.Errorf("snapshots remove: %w", err)
	}
	return out, nil
}

// PrintSnapshots writes a table.
func PrintSnapshots(w io.Writer, all []KeptSnapshots) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STORE\tTASK\tSNAPSHOTS\tNEWEST\tOFFSET\tSIZE\tSTORED\tNOTE")
	for _, s := range all {
		taken, offset, size, note := "-", "-", "-", s.Problem
		if s.Taken != 0 {
			taken, offset, size = time.UnixMilli(s.Taken).UTC().Format(time.RFC3339), strconv.FormatInt(s.Offset, 10), Bytes(s.Bytes)
		}
		if !s.Configured {
			note = strings.TrimPrefix(note+"; the job has no such store any more", "; ")
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", s.Store, s.Task, s.Snapshots, taken, offset, size, Bytes(s.Stored), note)
	}
	return t.Flush()
}
