package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"heddle/system/files"
)

const fileMode = 0o600

// errLocal marks a failure of this machine: the file system of the snapshots
// has no part in it.
var errLocal = errors.New("on this machine")

// errOtherWriter: another process took the last snapshot. One of the two is
// about to be ended, and it is not known which: so this turn is left to the
// other, and the next one is taken if the other was not there again.
var errOtherWriter = errors.New("another process took the last one")

// work uploads one copy after the other, and finds what was uploaded before.
func (k *Keeper) work() {
	defer close(k.over)
	for {
		select {
		case <-k.life.Done():
			return
		case j := <-k.jobs:
			k.meters.waiting.Set(float64(len(k.jobs)))
			k.run(j)
		case s := <-k.seeks:
			k.seek(s)
		}
	}
}

// run uploads a copy and removes it.
func (k *Keeper) run(j job) {
	log := k.logger(j.s.id)
	skip := k.away() != nil // it failed for another store
	var u uploaded
	var err error
	began := k.o.Now()
	if !skip {
		u, err = k.upload(k.life, j)
	}
	if e := os.RemoveAll(j.dir); e != nil {
		log.Warn("a copy of a store cannot be removed", "folder", j.dir, "error", e)
	}
	switch {
	case err == nil && !skip:
		if k.answered() {
			log.Info("snapshots can be written again")
		}
	case skip, k.life.Err() != nil, errors.Is(err, errLocal), errors.Is(err, errOtherWriter):
	default:
		k.failed(err)
	}
	now := k.o.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	j.s.busy = false
	switch {
	case skip, k.life.Err() != nil: // it stays due
	case err == nil:
		j.s.failures = 0
		j.s.last, j.s.lastAt = j.mark, j.taken
		k.know(j.s, j.taken)
		j.s.due = nextDue(now, phase(j.s.id, k.o.Interval), k.o.Interval)
		k.meters.taken.Add(1)
		k.meters.reusedBytes.Add(u.reused)
		log.Info("snapshot taken", "manifest", u.manifest, "offset", j.mark.Offset, "bytes", u.total, "uploaded", u.bytes,
			"files", u.files, "took", now.Sub(began).Round(time.Millisecond).String())
	case errors.Is(err, errOtherWriter):
		j.s.due = nextDue(now, phase(j.s.id, k.o.Interval), k.o.Interval)
		log.Warn("no snapshot is taken this time", "why", err.Error())
	default:
		k.meters.failed.Add(1)
		j.s.failures++
		wait := backoff(j.s.failures)
		j.s.due = now.Add(wait)
		log.Warn("a snapshot could not be written; the job goes on, and it is tried again later", "error", err, "again in", wait.String())
	}
}

// uploaded says what an upload did.
type uploaded struct {
	manifest             string
	files                int
	bytes, total, reused int64
}

// upload makes a snapshot of a copy.
func (k *Keeper) upload(ctx context.Context, j job) (u uploaded, err error) {
	s := j.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m := Manifest{Identity: s.id, Taken: j.taken, Mark: j.mark}
	if m.Files, err = s.contents(ctx, j.dir, k.limit); err != nil {
		return u, fmt.Errorf("read the copy %w: %w", errLocal, err)
	}
	if err := m.check(); err != nil {
		return u, fmt.Errorf("the copy cannot be uploaded %w: %w", errLocal, err)
	}
	fs, err := k.fileSystem(ctx)
	if err != nil {
		return u, err
	}
	folder := folderOf(k.o.Root, s.id)
	manifests, fileEntries, err := look(ctx, fs, folder)
	if err != nil {
		return u, err
	}
	found := listed(manifests)
	var sequence int64
	if len(found) > 0 {
		sequence = found[0].sequence
		if s.sequence != 0 && sequence > s.sequence && found[0].writer != k.writer {
			s.sequence = sequence
			return u, fmt.Errorf("%w: %s", errOtherWriter, path.Join(folder, manifestsFolder, found[0].name))
		}
	}
	s.read(ctx, fs, folder, found)
	u.total = m.bytes()
	for _, f := range missing(m.Files, stock(fileEntries, s.bad)) {
		if err := k.put(ctx, fs, folder, j.dir, f); err != nil {
			return u, err
		}
		delete(s.bad, f.Sum)
		u.files++
		u.bytes += f.Size
		k.meters.uploadedFiles.Add(1)
	}
	u.reused = u.total - u.bytes
	b, err := encodeManifest(m)
	if err != nil {
		return u, err
	}
	u.manifest = path.Join(folder, manifestsFolder, manifestName(sequence+1, k.writer))
	written, err := fs.Put(ctx, u.manifest, bytes.NewReader(b), fileMode)
	if err != nil {
		return u, err
	}
	s.sequence = sequence + 1
	s.decoded[path.Base(u.manifest)] = m.files()
	// By the clock of the file system: ours may be another.
	return u, k.sweep(ctx, fs, folder, s, time.UnixMilli(written.ModTime), path.Base(u.manifest))
}

// put uploads one file under the name of its content.
func (k *Keeper) put(ctx context.Context, fs files.FileSystem, folder, dir string, f File) error {
	local, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return fmt.Errorf("read the copy %w: %w", errLocal, err)
	}
	defer local.Close()
	content := &checked{
		throttled: throttled{
			ctx: ctx, r: local, size: f.Size, limit: k.limit, read: func(n int) { k.meters.uploadedBytes.Add(int64(n)) },
		},
		hash: sha256.New(), want: f.Sum,
	}
	_, err = fs.Put(ctx, path.Join(folder, filesFolder, f.Sum), content, fileMode)
	if content.err != nil {
		return fmt.Errorf("read the copy %w: %w", errLocal, content.err)
	}
	return err
}

// look lists what lies there.
func look(ctx context.Context, fs files.FileSystem, folder string) (manifests, content []files.Entry, err error) {
	if manifests, err = fs.List(ctx, path.Join(folder, manifestsFolder)); err != nil {
		return nil, nil, err
	}
	content, err = fs.List(ctx, path.Join(folder, filesFolder))
	return manifests, content, err
}

// read reads the manifests, but for those that it knows.
func (s *series) read(ctx context.Context, fs files.FileSystem, folder string, found []known) {
	decoded := map[string][]File{}
	for i := range found {
		k := &found[i]
		named, ok := s.decoded[k.name]
		if !ok {
			m, err := readManifest(ctx, fs, path.Join(folder, manifestsFolder, k.name))
			if k.err = err; err != nil {
				continue
			}
			named = m.files()
		}
		k.files, decoded[k.name] = named, named
	}
	s.decoded = decoded
}

// readManifest reads a manifest, which wraps errDamaged or errOtherFormat if it
// could be read but not understood.
func readManifest(ctx context.Context, fs files.FileSystem, name string) (Manifest, error) {
	r, err := fs.Open(ctx, name)
	if err != nil {
		return Manifest{}, err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxManifestBytes+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return Manifest{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > maxManifestBytes {
		return Manifest{}, fmt.Errorf("manifest %s: %w: it is larger than %d bytes", name, errDamaged, maxManifestBytes)
	}
	m, err := decodeManifest(b)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest %s: %w", name, err)
	}
	return m, nil
}
