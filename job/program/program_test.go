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
	binary := put("bin/mine", "x", 0o755)
	put("bin/text", "x", 0o644)
	stock := put("installed/run-container", "x", 0o755)
	at := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name                                 string
		setting, beside, installed, checkout string
		want                                 Program
		wantErr                              string
	}{
		{"a folder beside the file", "../job", at("conf"), "", "", Program{Dir: at("job")}, ""},
		{"a binary", "../bin/mine", at("conf"), "", "", Program{Binary: binary}, ""},
		{"an absolute one", binary, at("conf"), "", "", Program{Binary: binary}, ""},
		{"not there", "../none", at("conf"), "", "", Program{}, "no such file"},
		{"no main package", "../lib", at("conf"), "", "", Program{}, "no Go main package"},
		{"not executable", "../bin/text", at("conf"), "", "", Program{}, "not executable"},
		{"the main package beside the file", "", at("job"), at("installed"), at(""), Program{Dir: at("job")}, ""},
		{"the stock program of a package", "", at("conf"), at("installed"), "", Program{Binary: stock, Stock: true}, ""},
		{"the stock program of a checkout", "", at("conf"), at("conf"), at("checkout"), Program{Dir: at("checkout/cmd/run-container"), Stock: true}, ""},
		{"none at all", "", at("conf"), at("conf"), "", Program{}, "set heddle.task.program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Find(tt.setting, tt.beside, tt.installed, tt.checkout)
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
