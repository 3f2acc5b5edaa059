// Package pack makes and checks the package of a job: the tar.gz that YARN
// brings to the nodes, with the application master and the container's program
// as static Linux binaries in bin/ and the configuration, without its secrets,
// in config/ (Samza: the job's tar.gz with bin/, config/ and lib/).
package pack

import (
	"archive/tar"
	"bytes"
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
func Write(w io.Writer, files []File) error {
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
	return errors.Join(tw.Close(), zw.Close())
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

// Create writes the package to a file, complete or not at all.
func Create(file string, files []File) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("package %s: %w", file, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".package-*")
	if err != nil {
		return fmt.Errorf("package %s: %w", file, err)
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(Write(tmp, files), tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("package %s: %w", file, err)
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return fmt.Errorf("package %s: %w", file, err)
	}
	return nil
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
