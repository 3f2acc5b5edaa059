package pack

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var programs = []File{
	{Name: AM, Content: []byte("am"), Executable: true},
	{Name: Container, Content: []byte("container"), Executable: true},
	{Name: "config/job.properties", Content: []byte("job.name=x\n")},
}

func write(t *testing.T, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCheck(t *testing.T) {
	good := write(t, programs)
	tests := []struct {
		name string
		data []byte
		want string // part of the error; "" for none
	}{
		{"a package", good, ""},
		{"no archive", []byte("hello"), "not a tar.gz"},
		{"empty", nil, "not a tar.gz"},
		{"cut off", good[:len(good)/2], "not a tar.gz"},
		{"without programs", write(t, programs[2:]), "it has no bin/run-am"},
		{"without the container's", write(t, programs[:1]), "it has no bin/run-container"},
		{"not executable", write(t, []File{{Name: AM, Content: []byte("x")}}), "bin/run-am is not executable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Check(bytes.NewReader(tt.data), "hdfs://nn/x.tgz")
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "hdfs://nn/x.tgz")):
				t.Fatalf("error %v, want one with %q and the package's name", err, tt.want)
			}
		})
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	if !bytes.Equal(write(t, programs), write(t, programs)) {
		t.Fatal("two packages of the same files differ")
	}
}

func TestCreateLeavesNothingHalfDone(t *testing.T) {
	dir := t.TempDir()
	missing := []File{{Name: "bin/a", Path: filepath.Join(dir, "missing")}}
	if _, err := Base(dir, missing); err == nil {
		t.Fatal("a base with a missing file was made")
	}
	if err := Create(filepath.Join(dir, "x.tar.gz"), filepath.Join(dir, "missing"), nil); err == nil {
		t.Fatal("a package without its base was made")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// A package of a base and a rest holds what one written at once holds.
func TestBaseAndRest(t *testing.T) {
	dir := t.TempDir()
	base, err := Base(dir, programs[:2])
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.Stat(base)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "x.tar.gz")
	if err := Create(file, base, programs[2:]); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(bytes.NewReader(got), file); err != nil {
		t.Error(err)
	}
	if a, b := entries(t, got), entries(t, write(t, programs)); a != b {
		t.Errorf("in the package:\n%s\nwant:\n%s", a, b)
	}
	// The same programs are not compressed again, others are, and replace them.
	if again, err := Base(dir, programs[:2]); err != nil || again != base {
		t.Errorf("%s, then %s (%v)", base, again, err)
	}
	if now, err := os.Stat(base); err != nil || !os.SameFile(made, now) {
		t.Errorf("the base was made again (%v)", err)
	}
	other, err := Base(dir, []File{{Name: AM, Content: []byte("newer"), Executable: true}, programs[1]})
	if err != nil || other == base {
		t.Errorf("other programs have the base %s (%v)", other, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "base-*")); !slices.Equal(left, []string{other}) {
		t.Errorf("bases: %v", left)
	}
}

// entries lists an archive with its contents, without the repeated folders.
func entries(t *testing.T, archive []byte) string {
	t.Helper()
	zr, err := stdgzip.NewReader(bytes.NewReader(archive)) // not the one that wrote it
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %o %c %q\n", h.Name, h.Mode, h.Typeflag, content)
	}
}

func FuzzCheck(f *testing.F) {
	var b bytes.Buffer
	if err := Write(&b, programs); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Check(bytes.NewReader(data), "x"); err != nil && !strings.HasPrefix(err.Error(), "package x: ") {
			t.Fatalf("an error that does not name the package: %v", err)
		}
	})
}
