package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path"
	"slices"
	"time"

	"heddle/storage"
	"heddle/system/files"
)

// Kept is what lies in the file system of one store of one task.
type Kept struct {
	// Store and Task are their names, or those of the folders if no manifest can be
	// read.
	Store, Task string
	// Snapshots counts manifests, whole or not.
	Snapshots int
	// Taken, Mark and Bytes are the newest's that can be read: when it was taken,
	// which state it is, and the size of that; zero if there is none.
	Taken time.Time
	Mark  storage.Mark
	Bytes int64
	// Stored is what all of it takes in the file system, in bytes, one replica.
	Stored int64
	// Problem says why the newest manifest cannot be read; "" if it can.
	Problem string
	// Other names another job whose snapshots lie there, too: the names of two
	// folders are alike where the names and ids of two jobs read alike when put
	// together; "" as a rule.
	Other string

	folder string
}

// List gives what lies there of a job, by store and task, whether it still has
// them or not. root is that of heddle.snapshot.uri.
func List(ctx context.Context, fs files.FileSystem, root, jobName, jobID string) ([]Kept, error) {
	top := JobFolder(root, jobName, jobID)
	stores, err := fs.List(ctx, top)
	if err != nil {
		return nil, err
	}
	var out []Kept
	for _, store := range stores {
		if !store.Dir {
			continue
		}
		tasks, err := fs.List(ctx, path.Join(top, store.Name))
		if err != nil {
			return nil, err
		}
		for _, task := range tasks {
			if !task.Dir {
				continue
			}
			k := Kept{Store: store.Name, Task: task.Name, folder: path.Join(top, store.Name, task.Name)}
			if err := k.look(ctx, fs, jobName, jobID); err != nil {
				return nil, err
			}
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b Kept) int { return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Task, b.Task)) })
	return out, nil
}

func (k *Kept) look(ctx context.Context, fs files.FileSystem, jobName, jobID string) error {
	manifests, content, err := look(ctx, fs, k.folder)
	if err != nil {
		return err
	}
	for _, e := range slices.Concat(manifests, content) {
		k.Stored += e.Size
	}
	for _, found := range listed(manifests) {
		if !k.Taken.IsZero() {
			k.Snapshots++
			continue
		}
		m, err := readManifest(ctx, fs, path.Join(k.folder, manifestsFolder, found.name))
		switch {
		case errors.Is(err, iofs.ErrNotExist): // a running job has removed it since
			continue
		case err != nil:
			k.Snapshots++
			k.Problem = cmp.Or(k.Problem, err.Error())
			continue
		case m.Identity.JobName != jobName || m.Identity.JobID != jobID:
			k.Other = fmt.Sprintf("%s (id %s)", m.Identity.JobName, m.Identity.JobID)
			continue
		}
		k.Snapshots++
		k.Store, k.Task, k.Taken, k.Mark, k.Bytes = m.Identity.Store, m.Identity.Task, m.Taken, m.Mark, m.bytes()
	}
	return nil
}

// Remove removes what List gave, but nothing of another job's. Of each the manifests go first: what is left
// after a failure is no snapshot.
func Remove(ctx context.Context, fs files.FileSystem, all []Kept) error {
	var errs []error
	for _, k := range all {
		if k.Other != "" {
			continue
		}
		err := fs.RemoveAll(ctx, path.Join(k.folder, manifestsFolder))
		if err == nil {
			err = fs.RemoveAll(ctx, k.folder)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
