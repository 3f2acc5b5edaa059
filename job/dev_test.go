package job

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestDifference(t *testing.T) {
	at := time.Unix(100, 0)
	before := map[string]stamp{"a": {1, at}, "b": {2, at}}
	for name, tt := range map[string]struct {
		now  map[string]stamp
		want string
	}{
		"none":    {map[string]stamp{"a": {1, at}, "b": {2, at}}, ""},
		"size":    {map[string]stamp{"a": {1, at}, "b": {3, at}}, "b"},
		"time":    {map[string]stamp{"a": {1, at.Add(time.Second)}, "b": {2, at}}, "a"},
		"new":     {map[string]stamp{"a": {1, at}, "b": {2, at}, "c": {0, at}}, "c"},
		"removed": {map[string]stamp{"a": {1, at}}, "b"},
	} {
		if got, ok := difference(before, tt.now); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"main.go", "main_test.go", "go.mod", "notes.txt", "sub/x.go", ".heddle/y.go"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, path := range sources(dir) {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rel)
	}
	slices.Sort(got)
	if want := []string{"go.mod", "main.go", "sub/x.go"}; !slices.Equal(got, want) {
		t.Errorf("watches %q, want %q", got, want)
	}
}
