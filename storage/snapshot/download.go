package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"heddle/storage"
	"heddle/system/files"
)

// badFile is a file of a snapshot that is missing, damaged, or cannot be read.
type badFile struct {
	path, sum string
	err       error
	// damaged: reading it again gives nothing else. Otherwise it may have been the
	// file system.
	damaged bool
}

// Error is error's.
func (b *badFile) Error() string { return fmt.Sprintf("%s: %v", b.path, b.err) }

// Unwrap is errors'.
func (b *badFile) Unwrap() error { return b.err }

// download fills a folder with the files of a snapshot.
type download struct {
	k      *Keeper
	s      *series
	remote files.FileSystem
	folder string // of the files
	w      storage.Wanted
	have   map[string]string // checksum by name: of what is in dir
}

// newest downloads the newest snapshot that is of use and whole; nil: there is
// none. An error is of the file system or of this machine: no other snapshot
// would fare better.
func (d *download) newest(ctx context.Context, manifests string) (*Manifest, error) {
	log := d.k.logger(d.w.ID)
	entries, err := d.remote.List(ctx, manifests)
	if err != nil {
		return nil, err
	}
	for _, candidate := range listed(entries) {
		name := path.Join(manifests, candidate.name)
		m, err := readManifest(ctx, d.remote, name)
		if err != nil && !isDamaged(err) && !errors.Is(err, errOtherFormat) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		what, why := warnOf, ""
		if err != nil {
			why = err.Error()
		} else {
			what, why = judge(d.w, m)
		}
		switch what {
		case passOver:
			log.Info("a snapshot is of no use now", "manifest", name, "why", why)
			continue
		case warnOf:
			d.k.meters.passed.Add(1)
			log.Warn("a snapshot is not used; an older one is tried, or else the changelog alone", "manifest", name, "why", why)
			continue
		}
		log.Info("restoring from a snapshot", "manifest", name, "offset", m.Mark.Offset, "taken", m.Taken, "bytes", m.bytes())
		err = d.fetch(ctx, m, log)
		var bad *badFile
		switch {
		case err == nil:
			return &m, nil
		case !errors.As(err, &bad):
			return nil, err
		case !bad.damaged:
			if _, e := d.remote.List(ctx, manifests); e != nil {
				return nil, e // it is not the file: nothing answers
			}
		}
		d.k.meters.passed.Add(1)
		if bad.damaged {
			d.s.bad[bad.sum] = true
		}
		log.Warn("a snapshot is not whole; an older one is tried, or else the changelog alone",
			"manifest", name, "file", bad.path, "error", bad.err)
	}
	return nil, nil
}

// clear removes everything from the folder.
func (d *download) clear() error {
	entries, err := os.ReadDir(d.w.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.w.Dir, e.Name())))
	}
	return err
}

// fetch makes the folder that of the manifest. What an attempt with another
// manifest left there, and this one has too, is not read again.
func (d *download) fetch(ctx context.Context, m Manifest, log *slog.Logger) error {
	if err := errors.Join(os.MkdirAll(d.w.Dir, 0o700), d.keepOnly(m)); err != nil {
		return fmt.Errorf("folder for a snapshot %w: %w", errLocal, err)
	}
	need := slices.DeleteFunc(slices.Clone(m.Files), func(f File) bool { return d.have[f.Name] == f.Sum })
	// The largest first, so that none of them is left alone at the end.
	slices.SortFunc(need, func(a, b File) int { return int(min(max(b.Size-a.Size, -1), 1)) })
	var total, done atomic.Int64
	for _, f := range need {
		total.Add(f.Size)
	}
	tell := newTeller(d.k, d.w.Progress, total.Load(), log)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, f := range need {
		if !d.k.slot(ctx) {
			break
		}
		wg.Go(func() {
			defer func() { <-d.k.slots }()
			info, err := d.file(ctx, f, func(n int) { tell.at(done.Add(int64(n))) })
			if err != nil {
				stop(err) // the first one counts
				return
			}
			mu.Lock()
			defer mu.Unlock()
			d.have[f.Name] = f.Sum
			if info != nil {
				d.s.sums[f.Name] = summed{info, f.Sum}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return syncFolder(d.w.Dir)
}

// slot waits until one more file may come; false: the context ended.
func (k *Keeper) slot(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case k.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// keepOnly removes what is in the folder and not in the manifest.
func (d *download) keepOnly(m Manifest) error {
	want := map[string]string{}
	for _, f := range m.Files {
		want[f.Name] = f.Sum
	}
	entries, err := os.ReadDir(d.w.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if sum, ok := d.have[e.Name()]; ok && want[e.Name()] == sum {
			continue
		}
		delete(d.have, e.Name())
		if err := os.RemoveAll(filepath.Join(d.w.Dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a file is read before it counts as lost.
const attempts = 3

// file downloads one file. It retries what may pass.
func (d *download) file(ctx context.Context, f File, read func(n int)) (os.FileInfo, error) {
	to := filepath.Join(d.w.Dir, f.Name)
	if f.inline() {
		read(len(f.Data))
		err := writeLocal(to, func(w io.Writer) error {
			_, err := w.Write(f.Data)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("write a snapshot %w: %w", errLocal, err)
		}
		return nil, nil
	}
	from := path.Join(d.folder, f.Sum)
	var err error
	for range attempts {
		counted := int64(0)
		err = writeLocal(to, func(w io.Writer) error {
			return d.copyFile(ctx, from, f, w, func(n int) {
				counted += int64(n)
				read(n)
			})
		})
		var bad *badFile
		switch {
		case err == nil:
			d.k.meters.restoredBytes.Add(f.Size)
			return os.Stat(to)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.As(err, &bad):
			return nil, fmt.Errorf("write a snapshot %w: %w", errLocal, err)
		case bad.damaged:
			return nil, err
		}
		read(int(-counted))
	}
	return nil, err
}

// copyFile copies a file of a snapshot and checks it. Errors that are not of the
// writer are badFiles.
func (d *download) copyFile(ctx context.Context, from string, f File, w io.Writer, read func(n int)) error {
	failed := func(err error) error { return &badFile{from, f.Sum, err, errors.Is(err, fs.ErrNotExist)} }
	damaged := func(format string, args ...any) error {
		return &badFile{from, f.Sum, fmt.Errorf(format, args...), true}
	}
	r, err := d.remote.Open(ctx, from)
	if err != nil {
		return failed(err)
	}
	defer r.Close()
	content := &throttled{ctx: ctx, r: r, read: read}
	h := sha256.New()
	buf := make([]byte, 256<<10)
	var size int64
	for {
		n, err := content.Read(buf)
		if n > 0 {
			size += int64(n)
			if size > f.Size {
				return damaged("it has more than the %d bytes that it should have", f.Size)
			}
			_, _ = h.Write(buf[:n]) // it does not fail
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return failed(err)
		}
	}
	if size != f.Size {
		return damaged("it has %d bytes, not %d", size, f.Size)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != f.Sum {
		return damaged("its checksum is %s, not the one that it is named by", sum)
	}
	return nil
}

// writeLocal makes a file that survives the loss of the machine.
func writeLocal(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
