package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"time"

	"heddle/system/files"
)

// seek finds the newest snapshot that another process left of a store which did
// not come from one, so that what is shown of it does not begin at none.
func (k *Keeper) seek(s *series) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken time.Time
	remote, err := k.fileSystem(k.life)
	if err == nil {
		taken, err = s.newestThere(k.life, remote, folderOf(k.o.Root, s.id))
		if err != nil && k.life.Err() == nil {
			k.failed(err)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		s.sought = false
		k.logger(s.id).Info("the newest snapshot is not known yet", "error", err)
		return
	}
	k.know(s, taken)
}

// newestThere gives when the newest snapshot of the store was taken that is
// complete; the zero time: there is none.
func (s *series) newestThere(ctx context.Context, remote files.FileSystem, folder string) (time.Time, error) {
	manifests, content, err := look(ctx, remote, folder)
	if err != nil {
		return time.Time{}, err
	}
	have := stock(content, s.bad)
	for _, k := range listed(manifests) {
		m, err := readManifest(ctx, remote, path.Join(folder, manifestsFolder, k.name))
		switch {
		case isDamaged(err), errors.Is(err, errOtherFormat), errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return time.Time{}, err
		}
		if k.files = m.files(); m.Identity == s.id && k.complete(have) {
			return m.Taken, nil
		}
	}
	return time.Time{}, nil
}
