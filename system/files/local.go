package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Local is the file system of this machine; for a cluster it has to be a folder
// that every node has.
type Local struct{ home string }

// Put writes the file beside its place and moves it there.
func (l Local) Put(ctx context.Context, path string, content io.Reader, mode fs.FileMode) (Stat, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Stat{}, failed("write", uri(path), err)
	}
	tmp, err := os.OpenFile(Temporary(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Stat{}, failed("write", uri(path), err)
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, &untilDone{ctx, content})
	if err == nil {
		err = tmp.Sync() // the name must not be there before what it names
	}
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return Stat{}, failed("write", uri(path), err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return Stat{}, failed("write", uri(path), err)
	}
	return l.Stat(ctx, path)
}

// Stat describes a file.
func (l Local) Stat(_ context.Context, path string) (Stat, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Stat{}, failed("stat", uri(path), err)
	}
	return Stat{URI: uri(path), Size: info.Size(), ModTime: info.ModTime().UnixMilli(), Dir: info.IsDir()}, nil
}

// Open reads a file.
func (l Local) Open(_ context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failed("open", uri(path), err)
	}
	return f, nil
}

// List gives what is in a folder.
func (l Local) List(_ context.Context, path string) ([]Entry, error) {
	found, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("list", uri(path), err)
	}
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is gone already
		}
		if err != nil {
			return nil, failed("list", uri(path), err)
		}
		entries = append(entries, Entry{Name: e.Name(), Size: info.Size(), ModTime: info.ModTime(), Dir: e.IsDir()})
	}
	return entries, nil
}

// Rename gives a file another name.
func (l Local) Rename(_ context.Context, from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return failed("rename", uri(from), err)
	}
	return nil
}

// RemoveAll removes a file or a folder with what is in it.
func (l Local) RemoveAll(_ context.Context, path string) error {
	if err := os.RemoveAll(path); err != nil {
		return failed("remove", uri(path), err)
	}
	return nil
}

// Home is the user's home folder.
func (l Local) Home() string { return l.home }

// Close does nothing.
func (l Local) Close() error { return nil }

func uri(path string) string { return "file://" + path }
