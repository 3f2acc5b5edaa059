package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"heddle/system/files"
)

const (
	// inlineFile is the size up to which a file lies in the manifest, and
	// inlineAll what all of them may have together: an engine has a handful of
	// tiny files, each of which would cost the NameNode an entry.
	inlineFile = 4 << 10
	inlineAll  = 32 << 10
	fileMode   = 0o600
)

// errLocal marks a failure of this machine: the file system of the snapshots
// has no part in it.
var errLocal = errors.New("on this machine")

// errOtherWriter: another process took the last snapshot. One of the two is
// about to be ended, and it is not known which: so this turn is left to the
// other, and the next one is taken if the other was not there again.
var errOtherWriter = errors.New("another process took the last one")

// work uploads one copy after the other.
func (k *Keeper) work() {
	defer close(k.over)
	for {
		select {
		case <-k.life.Done():
			return
		case j := <-k.jobs:
			k.meters.waiting.Set(float64(len(k.jobs)))
			k.run(j)
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
		j.s.last, j.s.lastAt, j.s.newest = j.mark, j.taken, j.taken
		j.s.due = nextDue(now, phase(j.s.id, k.o.Interval), k.o.Interval)
		k.meters.taken.Add(1)
		k.meters.reusedBytes.Add(u.reused)
		k.meters.last.Set(float64(j.taken.UnixMilli()))
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

// contents lists the files of a copy with their checksums. What was read once is
// not read again: the engine's files never change, and a copy has links to them.
// So the first snapshot of a process reads the whole store, no faster than limit
// allows.
func (s *series) contents(ctx context.Context, dir string, limit *rate.Limiter) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sums := map[string]summed{}
	var out []File
	inline := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no file", filepath.Join(dir, e.Name()))
		}
		f := File{Name: e.Name(), Size: info.Size()}
		if f.Size <= inlineFile && inline+f.Size <= inlineAll {
			if f.Data, err = os.ReadFile(filepath.Join(dir, f.Name)); err != nil {
				return nil, err
			}
			inline += f.Size
			f.Size, f.Sum, f.Empty = int64(len(f.Data)), sumOf(f.Data), len(f.Data) == 0
			if f.Empty {
				f.Data = nil
			}
		} else {
			before, ok := s.sums[f.Name]
			if ok && os.SameFile(before.info, info) && before.info.Size() == info.Size() && before.info.ModTime().Equal(info.ModTime()) {
				f.Sum = before.sum
			} else if f.Sum, err = sumFile(ctx, filepath.Join(dir, f.Name), f.Size, limit); err != nil {
				return nil, err
			}
			sums[f.Name] = summed{info, f.Sum}
		}
		out = append(out, f)
	}
	s.sums = sums
	return out, nil
}

// sumFile reads a file of that size.
func sumFile(ctx context.Context, name string, size int64, limit *rate.Limiter) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, &throttled{ctx: ctx, r: f, size: size, limit: limit, read: func(int) {}})
	if err != nil {
		return "", err
	}
	if n != size {
		return "", fmt.Errorf("%s has %d bytes, not %d", name, n, size)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
