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
	"time"

	"heddle/storage"
	"heddle/system/files"
)

// Fetch is storage.Snapshots'.
func (k *Keeper) Fetch(ctx context.Context, id storage.Identity, dir string) (found bool, err error) {
	return k.fetch(ctx, id, func(storage.Mark) string { return "" }, dir)
}

func (k *Keeper) fetch(ctx context.Context, id storage.Identity, usable func(storage.Mark) string, dir string) (found bool, err error) {
	began := k.o.Now()
	remote, err := k.fileSystem(ctx)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	s := k.of(id, began)
	k.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	folder := folderOf(k.o.Root, id)
	entries, err := remote.List(ctx, path.Join(folder, manifestsFolder))
	if err != nil {
		return false, err
	}
	log := k.logger(id)
	d := &download{k: k, s: s, remote: remote, folder: path.Join(folder, filesFolder), dir: dir, have: map[string]string{}}
	for _, candidate := range listed(entries) {
		name := path.Join(folder, manifestsFolder, candidate.name)
		m, err := readManifest(ctx, remote, name)
		if ctx.Err() != nil {
			return false, errors.Join(ctx.Err(), d.clear())
		}
		var what verdict
		var why string
		if err != nil {
			what, why = warnOf, err.Error()
		} else {
			what, why = judge(id, m, usable)
		}
		switch what {
		case passOver:
			log.Info("a snapshot is of no use now", "manifest", name, "why", why)
			continue
		case warnOf:
			k.meters.passed.Add(1)
			log.Warn("a snapshot is not used; an older one is tried, or else the changelog alone", "manifest", name, "why", why)
			continue
		}
		log.Info("restoring from a snapshot", "manifest", name, "offset", m.Mark.Offset, "taken", m.Taken,
			"bytes", m.bytes())
		err = d.fetch(ctx, m, log)
		var bad *badFile
		switch {
		case err == nil:
			took := k.o.Now().Sub(began)
			k.meters.restored.Add(1)
			log.Info("snapshot downloaded", "manifest", name, "bytes", m.bytes(), "files", len(m.Files),
				"took", took.Round(time.Millisecond).String())
			return true, nil
		case errors.As(err, &bad):
			if _, e := remote.List(ctx, path.Join(folder, manifestsFolder)); e != nil {
				// It is not the file: the file system does not answer.
				return false, errors.Join(e, d.clear())
			}
			k.meters.passed.Add(1)
			s.bad[bad.sum] = true
			log.Warn("a snapshot is not complete any more; an older one is tried, or else the changelog alone",
				"manifest", name, "file", bad.path, "error", bad.err)
		default:
			return false, errors.Join(err, d.clear())
		}
	}
	return false, d.clear()
}

// badFile is a file of a snapshot that is missing, damaged, or cannot be read.
type badFile struct {
	path, sum string
	err       error
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
	dir    string
	have   map[string]string // checksum by name: of what is in dir
}

// clear removes everything from the folder.
func (d *download) clear() error {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(d.dir, e.Name())))
	}
	return err
}

// tellEvery is how often the log hears how far a long download is.
const tellEvery = 5 * time.Second

// fetch makes the folder that of the manifest. What an attempt with another
// manifest left there, and this one has too, is not read again.
func (d *download) fetch(ctx context.Context, m Manifest, log *slog.Logger) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := d.keepOnly(m); err != nil {
		return err
	}
	need := slices.DeleteFunc(slices.Clone(m.Files), func(f File) bool { return d.have[f.Name] == f.Sum })
	// The largest first, so that none of them is left alone at the end.
	slices.SortFunc(need, func(a, b File) int { return int(min(max(b.Size-a.Size, -1), 1)) })
	var total, done atomic.Int64
	for _, f := range need {
		total.Add(f.Size)
	}
	tell := newTeller(d.k, d.s.id, total.Load(), log)
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
	return syncFolder(d.dir)
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
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if sum, ok := d.have[e.Name()]; ok && want[e.Name()] == sum {
			continue
		}
		delete(d.have, e.Name())
		if err := os.RemoveAll(filepath.Join(d.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a file is read before it counts as lost.
const attempts = 3

// file downloads one file. It retries what may pass.
func (d *download) file(ctx context.Context, f File, read func(n int)) (os.FileInfo, error) {
	to := filepath.Join(d.dir, f.Name)
	if f.inline() {
		read(len(f.Data))
		return nil, writeLocal(to, func(w io.Writer) error {
			_, err := w.Write(f.Data)
			return err
		})
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
			return nil, err // of this machine
		case errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		read(int(-counted))
	}
	return nil, err
}

// copyFile copies a file of a snapshot and checks it. Errors that are not of the
// writer are badFiles.
func (d *download) copyFile(ctx context.Context, from string, f File, w io.Writer, read func(n int)) error {
	bad := func(err error) error { return &badFile{path: from, sum: f.Sum, err: err} }
	r, err := d.remote.Open(ctx, from)
	if err != nil {
		return bad(err)
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
				return bad(fmt.Errorf("it has more than the %d bytes that it should have", f.Size))
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
			return bad(err)
		}
	}
	if size != f.Size {
		return bad(fmt.Errorf("it has %d bytes, not %d", size, f.Size))
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != f.Sum {
		return bad(fmt.Errorf("its checksum is %s, not the one that it is named by", sum))
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

// teller tells how far a download is.
type teller struct {
	k     *Keeper
	id    storage.Identity
	total int64
	log   *slog.Logger
	began time.Time
	next  atomic.Int64 // when the log hears again, in ns after began
}

func newTeller(k *Keeper, id storage.Identity, total int64, log *slog.Logger) *teller {
	t := &teller{k: k, id: id, total: total, log: log, began: k.o.Now()}
	t.next.Store(int64(tellEvery))
	return t
}

func (t *teller) at(done int64) {
	if t.k.o.Progress != nil {
		t.k.o.Progress(t.id, done, t.total)
	}
	took := t.k.o.Now().Sub(t.began)
	next := t.next.Load()
	if int64(took) < next || !t.next.CompareAndSwap(next, int64(took+tellEvery)) {
		return
	}
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(t.total-done) / max(rate, 1) * float64(time.Second))
	t.log.Info("downloading a snapshot", "bytes", done, "of", t.total, "per second", int64(rate), "left", left.Round(time.Second).String())
}
