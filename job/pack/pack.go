// Package pack makes and checks the package of a job: the tar.gz that YARN
// brings to the nodes, with the application master and the container's program
// as static Linux binaries in bin/ and the configuration, without its secrets,
// in config/ (Samza: the job's tar.gz with bin/, config/ and lib/).
package pack

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// The programs that every package holds, whatever the user's was called, so
// that a person finds them by these names in ps.
const (
	AM        = "bin/run-am"
	Container = "bin/run-container"
)

// File is one file of a package.
type File struct {
	// Name is its path in the package, with slashes.
	Name string
	// Path is where its content lies on this machine; Content is used if it is
	// empty.
	Path    string
	Content []byte
	// Executable files get mode 0755, others 0644.
	Executable bool
}

// Write writes the files as a tar.gz. The same files give the same bytes, so
// that a package is named by its content.
func Write(w io.Writer, files []File) error { return member(w, files, true) }

// member makes one member of a gzip file; the last one ends the archive.
func member(w io.Writer, files []File, last bool) error {
	zw, err := gzip.NewWriterLevel(w, gzip.DefaultCompression)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	dirs := map[string]bool{}
	for _, f := range files {
		if dir := path.Dir(f.Name); dir != "." && !dirs[dir] {
			dirs[dir] = true
			if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: time.Unix(0, 0)}); err != nil {
				return err
			}
		}
		if err := writeFile(tw, f); err != nil {
			return fmt.Errorf("package file %s: %w", f.Name, err)
		}
	}
	if last {
		return errors.Join(tw.Close(), zw.Close())
	}
	return errors.Join(tw.Flush(), zw.Close())
}

func writeFile(tw *tar.Writer, f File) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Mode: 0o644, Size: int64(len(f.Content)), ModTime: time.Unix(0, 0)}
	if f.Executable {
		h.Mode = 0o755
	}
	var content io.Reader = bytes.NewReader(f.Content)
	if f.Path != "" {
		file, err := os.Open(f.Path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		h.Size, content = info.Size(), file
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, content)
	return err
}

// Base compresses the first files of a package into the folder dir and gives the
// file; if their contents are those of the last time, that one. Programs are
// large and seldom change, configurations are small and often do: a package is
// made of both without compressing the programs again.
func Base(dir string, files []File) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("package below %s: %w", dir, err) }
	digest := sha256.New()
	for _, f := range files {
		fmt.Fprintf(digest, "%q %t ", f.Name, f.Executable)
		if err := copyContent(digest, f); err != nil {
			return fail(err)
		}
	}
	file := filepath.Join(dir, fmt.Sprintf("base-%x.gz", digest.Sum(nil)[:12]))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	old, err := filepath.Glob(filepath.Join(dir, "base-*.gz"))
	if err != nil {
		return fail(err)
	}
	if err := whole(file, func(w io.Writer) error { return member(w, files, false) }); err != nil {
		return fail(err)
	}
	for _, o := range old {
		_ = os.Remove(o) // what is left takes room only
	}
	return file, nil
}

func copyContent(w io.Writer, f File) error {
	if f.Path == "" {
		_, err := w.Write(f.Content)
		return err
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

// Create writes the package to a file, complete or not at all: the files behind
// those of the base.
func Create(file, base string, files []File) error {
	err := whole(file, func(w io.Writer) error {
		if err := copyContent(w, File{Path: base}); err != nil {
			return err
		}
		return Write(w, files)
	})
	if err != nil {
		return fmt.Errorf("package %s: %w", file, err)
	}
	return nil
}

// whole writes a file, complete or not at all.
func whole(file string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".package-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// maxEntries bounds how much of a package Check reads.
const maxEntries = 100_000

// Check reads a package and says what is wrong with it: not a tar.gz, or
// without the programs that YARN is to start. name is for the message.
func Check(r io.Reader, name string) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("package %s: not a tar.gz (%w); make one with run-job package", name, err)
	}
	tr := tar.NewReader(zr)
	missing := map[string]bool{AM: true, Container: true}
	for range maxEntries {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("package %s: not a tar.gz (%w); make one with run-job package", name, err)
		}
		entry := strings.TrimPrefix(path.Clean(h.Name), "./")
		if missing[entry] && h.Typeflag == tar.TypeReg {
			if h.Mode&0o111 == 0 {
				return fmt.Errorf("package %s: %s is not executable; make the package with run-job package", name, entry)
			}
			delete(missing, entry)
			if len(missing) == 0 {
				return nil
			}
		}
	}
	for _, entry := range []string{AM, Container} {
		if missing[entry] {
			return fmt.Errorf("package %s: it has no %s; make the package with run-job package", name, entry)
		}
	}
	return nil
}

// CheckBinary says what is wrong with a program that is to run in a container:
// it has to be a Linux binary.
func CheckBinary(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != "\x7fELF" {
		return fmt.Errorf("%s is no Linux binary, which YARN's nodes need; build it with GOOS=linux CGO_ENABLED=0, or name its folder", file)
	}
	return nil
}
