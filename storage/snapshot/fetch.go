package snapshot

import (
	"context"
	"errors"
	"path"
	"time"

	"heddle/storage"
)

// Fetch is storage.Snapshots'.
func (k *Keeper) Fetch(ctx context.Context, w storage.Wanted) (found bool, err error) {
	began := k.o.Now()
	remote, err := k.fileSystem(ctx)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	s := k.of(w.ID, began)
	k.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	folder := folderOf(k.o.Root, w.ID)
	d := &download{k: k, s: s, remote: remote, folder: path.Join(folder, filesFolder), w: w, have: map[string]string{}}
	m, err := d.newest(ctx, path.Join(folder, manifestsFolder))
	if err != nil || m == nil {
		if err != nil && ctx.Err() == nil && !errors.Is(err, errLocal) {
			k.failed(err)
		}
		return false, errors.Join(err, d.clear())
	}
	k.answered()
	k.mu.Lock()
	k.know(s, m.Taken)
	k.mu.Unlock()
	k.meters.restored.Add(1)
	k.logger(w.ID).Info("snapshot downloaded", "offset", m.Mark.Offset, "taken", m.Taken, "bytes", m.bytes(), "files", len(m.Files),
		"took", k.o.Now().Sub(began).Round(time.Millisecond).String())
	return true, nil
}
