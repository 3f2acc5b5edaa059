package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/time/rate"
)

// inlineFile is the size up to which a file lies in the manifest, and inlineAll what
// all of them may have together: an engine has a handful of tiny files, each of
// which would cost the NameNode an entry.
const (
	inlineFile = 4 << 10
	inlineAll  = 32 << 10
)

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
