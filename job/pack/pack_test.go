package pack

import (
	"bytes"
	"path/filepath"
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
	file := filepath.Join(dir, "x.tar.gz")
	if err := Create(file, []File{{Name: "bin/a", Path: filepath.Join(dir, "missing")}}); err == nil {
		t.Fatal("a package with a missing file was made")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
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
