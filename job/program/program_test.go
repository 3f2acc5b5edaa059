package program

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("job/main.go", "// A program.\npackage main\n", 0o644)
	put("job/main_test.go", "package main_test\n", 0o644)
	put("lib/lib.go", "package lib\n", 0o644)
	put("conf/x.properties", "", 0o644)
	put("other/main.go", "package main\n", 0o644)
	binary := put("bin/mine", "x", 0o755)
	put("bin/text", "x", 0o644)
	stock := put("installed/run-container", "x", 0o755)
	at := func(name string) string { return filepath.Join(dir, name) }
	set := func(value string) Place { return Place{Setting: value, Path: filepath.Join(at("conf"), value)} }
	beside := func(dirs ...string) []string {
		for i, d := range dirs {
			dirs[i] = at(d)
		}
		return dirs
	}
	tests := []struct {
		name    string
		place   Place
		want    Program
		wantErr string
	}{
		{"a folder", set("../job"), Program{Dir: at("job")}, ""},
		{"a binary", set("../bin/mine"), Program{Binary: binary}, ""},
		{"not there", set("../none"), Program{}, "no such file"},
		{"no main package", set("../lib"), Program{}, "no Go main package"},
		{"not executable", set("../bin/text"), Program{}, "not executable"},
		{"set wins", Place{Setting: "../bin/mine", Path: binary, Beside: beside("job")}, Program{Binary: binary}, ""},
		{"the main package beside the file", Place{Beside: beside("job"), Installed: at("installed"), Checkout: at("")}, Program{Dir: at("job")}, ""},
		{"beside the first file", Place{Beside: beside("job", "conf"), Checkout: at("")}, Program{Dir: at("job")}, ""},
		{"beside the last file", Place{Beside: beside("conf", "job"), Checkout: at("")}, Program{Dir: at("job")}, ""},
		{"beside each file", Place{Beside: beside("job", "other", "conf"), Checkout: at("")}, Program{Dir: at("other")}, ""},
		{"the stock program of a package", Place{Beside: beside("conf", "lib", "conf"), Installed: at("installed")},
			Program{Binary: stock, Stock: true, Looked: at("conf") + ", " + at("lib")}, ""},
		{"the stock program of a checkout", Place{Beside: []string{"."}, Installed: at("conf"), Checkout: at("checkout")},
			Program{Dir: at("checkout/cmd/run-container"), Stock: true, Looked: "the current folder"}, ""},
		{"none at all", Place{Beside: beside("conf", "lib"), Installed: at("conf")}, Program{}, "in " + at("conf") + ", " + at("lib") + "; set heddle.task.program"},
		{"no file", Place{}, Program{}, "no program with tasks: set heddle.task.program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Find(tt.place)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestBuildAndTasks(t *testing.T) {
	dir := t.TempDir()
	src := `package main

import ("fmt"; "os")

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list-tasks" { fmt.Println("{\"tasks\":[\"b\",\"a\"],\"engines\":[\"memory\",\"pebble\"]}"); return }
	os.Exit(1)
}
`
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", src)
	write("go.mod", "module x\n\ngo 1.26\n")
	var said bytes.Buffer
	binary, err := Program{Dir: dir}.Ready(t.Context(), t.TempDir(), &said)
	if err != nil {
		t.Fatal(err)
	}
	l, err := List(t.Context(), binary)
	if err != nil || strings.Join(l.Tasks, ",") != "a,b" || strings.Join(l.Engines, ",") != "memory,pebble" {
		t.Fatalf("%+v, %v", l, err)
	}
	write("main.go", "package main\n\nfunc main() { undefined() }\n")
	if _, err := (Program{Dir: dir}).Ready(t.Context(), t.TempDir(), &said); err == nil || !strings.Contains(err.Error(), "undefined") {
		t.Fatalf("error %v, want the compiler's", err)
	}
	if _, err := List(t.Context(), "/bin/false"); err == nil || !strings.Contains(err.Error(), "container.Main") {
		t.Fatalf("error %v, want one that names container.Main", err)
	}
}
