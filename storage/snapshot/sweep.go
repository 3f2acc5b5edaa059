package snapshot

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"heddle/system/files"
)

// sweep looks at what lies there after the manifest ours was written, and removes
// what no snapshot needs any more. It is an error if ours is not whole: another
// process removed a file of it meanwhile. All other failures are of no weight:
// the next snapshot tries again.
func (k *Keeper) sweep(ctx context.Context, fs files.FileSystem, folder string, s *series, now time.Time, ours string) error {
	manifests, content, err := look(ctx, fs, folder)
	if err != nil {
		return err
	}
	found := listed(manifests)
	s.read(ctx, fs, folder, found)
	t := sweep(now, found, manifests, content, s.bad, k.o.Retain)
	var errs []error
	// The manifests first: one never names a file that is gone.
	for _, name := range t.manifests {
		errs = append(errs, fs.RemoveAll(ctx, path.Join(folder, manifestsFolder, name)))
	}
	if err = errors.Join(errs...); err == nil {
		err = s.remove(ctx, fs, folder, t.files)
	}
	if err != nil && ctx.Err() == nil {
		k.logger(s.id).Warn("old snapshots could not be removed; the next one tries again", "folder", folder, "error", err)
	}
	if slices.Contains(t.manifests, ours) {
		return fmt.Errorf("another process removed files of %s while it was written", path.Join(folder, manifestsFolder, ours))
	}
	return nil
}

// remove removes files that no manifest named when it was looked. Another
// process may just have found them there and be about to name them, and nobody
// knows how long ago we looked. So they are put aside first. Then either the
// other's manifest is there already, and they are put back; or it comes later,
// and then the other finds them gone when it looks whether it is whole.
func (s *series) remove(ctx context.Context, fs files.FileSystem, folder string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	folder, manifestFolder := path.Join(folder, filesFolder), path.Join(folder, manifestsFolder)
	aside := map[string]string{} // by name
	var errs []error
	for _, name := range names {
		if !isSum(name) {
			errs = append(errs, fs.RemoveAll(ctx, path.Join(folder, name)))
			continue
		}
		to := files.Temporary(path.Join(folder, name))
		if err := fs.Rename(ctx, path.Join(folder, name), to); err != nil {
			errs = append(errs, err)
			continue
		}
		aside[name] = to
	}
	entries, err := fs.List(ctx, manifestFolder)
	if err != nil {
		return errors.Join(append(errs, err)...) // what is aside is removed when it is old
	}
	found := listed(entries)
	s.read(ctx, fs, path.Dir(folder), found)
	needed, all := needs(found)
	for name, at := range aside {
		if all || needed[name] {
			errs = append(errs, fs.Rename(ctx, at, path.Join(folder, name)))
			continue
		}
		errs = append(errs, fs.RemoveAll(ctx, at))
		delete(s.bad, name)
	}
	return errors.Join(errs...)
}
