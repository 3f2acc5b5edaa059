// Package program finds the Go program that holds a job's tasks, builds it, and
// asks it which tasks it has.
//
// It is not the package that is shipped to a cluster: see package pack, which
// uses what is built here.
package program

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Stock is the import path of the program that is used when a job names none
// and no main package lies beside its properties file.
const Stock = "heddle/cmd/run-container"

// Program is where the user's code is.
type Program struct {
	// Dir is a folder with a Go main package; "" if Binary is set.
	Dir string
	// Binary is an executable that is there already.
	Binary string
	// Stock is true for the program that comes with Heddle; Looked then names the
	// folders that could have held another one.
	Stock  bool
	Looked string
}

// Place is where a program may be.
type Place struct {
	// Setting is heddle.task.program, "" if it is not set; Path where that leads.
	Setting, Path string
	// Beside are the folders of the properties files that lie on this machine, in
	// the order of the files.
	Beside []string
	// Installed is the folder of run-job's own binary, where a package has the stock
	// program beside it; Checkout the root of a checkout of Heddle, "" in a package.
	Installed, Checkout string
}

// String names the program as its user did: by its folder or its file.
func (p Program) String() string {
	switch {
	case p.Stock:
		if p.Looked != "" {
			return "the stock program run-container (there is no Go main package in " + p.Looked + ")"
		}
		return "the stock program run-container"
	case p.Dir != "":
		return "the program " + p.Dir
	}
	return "the program " + p.Binary
}

// Find applies the rule of the contract: heddle.task.program (a folder or a
// binary), else the Go main package beside a properties file, else the stock
// program. Of several files' folders the last that holds one counts, as a later
// file's keys win.
func Find(at Place) (Program, error) {
	if at.Setting != "" {
		return set(at.Setting, at.Path)
	}
	for _, dir := range slices.Backward(at.Beside) {
		if isMain(dir) {
			return Program{Dir: dir}, nil
		}
	}
	looked := folders(at.Beside)
	if binary := filepath.Join(at.Installed, "run-container"); at.Installed != "" && isExecutable(binary) {
		return Program{Binary: binary, Stock: true, Looked: looked}, nil
	}
	if at.Checkout != "" {
		return Program{Dir: filepath.Join(at.Checkout, "cmd", "run-container"), Stock: true, Looked: looked}, nil
	}
	if looked != "" {
		looked = "there is no Go main package in " + looked + "; "
	}
	return Program{}, errors.New("no program with tasks: " + looked + "set heddle.task.program to a folder with a Go main package, or to a binary")
}

// set is the program that heddle.task.program names.
func set(setting, path string) (Program, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Program{}, fmt.Errorf("heddle.task.program=%s: %s: %w; name a folder with a Go main package, or a binary", setting, path, reason(err))
	}
	if info.IsDir() {
		if !isMain(path) {
			return Program{}, fmt.Errorf("heddle.task.program=%s: %s holds no Go main package", setting, path)
		}
		return Program{Dir: path}, nil
	}
	if info.Mode()&0o111 == 0 {
		return Program{}, fmt.Errorf("heddle.task.program=%s: %s is not executable; chmod +x it, or name a folder with a Go main package", setting, path)
	}
	abs, err := filepath.Abs(path)
	return Program{Binary: abs}, err
}

// folders names each once, in their order.
func folders(dirs []string) string {
	var names []string
	for _, dir := range dirs {
		name := filepath.Clean(dir)
		if name == "." {
			name = "the current folder"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// reason is the cause of a file error without its path, which the caller names.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// isMain says if the folder holds a Go main package.
func isMain(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && packageName(b) == "main" {
			return true
		}
	}
	return false
}

// packageName reads the name in the package clause of a Go file.
func packageName(src []byte) string {
	for line := range bytes.Lines(src) {
		f := bytes.Fields(line)
		if len(f) >= 2 && string(f[0]) == "package" {
			return string(f[1])
		}
	}
	return ""
}

// Target is what a program is built for.
type Target struct {
	// OS and Arch are GOOS and GOARCH; empty means this machine's.
	OS, Arch string
	// Strip leaves out this machine's paths, and symbols and debugging data even if
	// GOFLAGS has -ldflags, for packages.
	Strip bool
	// Tags are build tags, separated by commas.
	Tags string
}

// How seldom the compiler collects its garbage (GOGC), which takes a fifth of the
// CPU time of a build with an empty cache: as bin/run-job.sh builds run-job itself,
// by the same variable.
const (
	envCollect = "GOGC_BUILD"
	collect    = "400"
)

// Build compiles the Go main package pkg (an import path or ".") of the module
// that dir lies in into the file out, without cgo. Go's cache makes a second
// build of the same code quick. What the compiler says goes to progress, and is
// part of the error. What a debugger needs is left out; GOFLAGS=-ldflags= keeps it.
func Build(ctx context.Context, dir, pkg, out string, t Target, progress io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("build of %s: %w", pkg, err)
	}
	args := []string{"build", "-o", out}
	if t.Strip {
		args = append(args, "-trimpath")
	}
	// Half of the time to link goes into what only a debugger reads: a panic names
	// functions and lines without it.
	if t.Strip || !strings.Contains(os.Getenv("GOFLAGS"), "-ldflags") {
		args = append(args, "-ldflags=-s -w")
	}
	if t.Tags != "" {
		args = append(args, "-tags="+t.Tags)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOGC="+cmp.Or(os.Getenv(envCollect), collect))
	if t.OS != "" {
		cmd.Env = append(cmd.Env, "GOOS="+t.OS)
	}
	if t.Arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+t.Arch)
	}
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(&said, progress)
	cmd.Stdout = cmd.Stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("build of %s: there is no go command on the PATH; install Go, or set heddle.task.program to a built binary", filepath.Join(dir, pkg))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("build of %s failed: %s", filepath.Join(dir, pkg), strings.TrimSpace(said.String()))
}

// Ready gives an executable of the program for this machine: the binary as it
// is, or one built below cache.
func (p Program) Ready(ctx context.Context, cache string, progress io.Writer) (string, error) {
	if p.Binary != "" {
		return p.Binary, nil
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return "", err
	}
	out, err := filepath.Abs(filepath.Join(cache, "programs", fileName(dir)))
	if err != nil {
		return "", err
	}
	return out, Build(ctx, dir, ".", out, Target{OS: runtime.GOOS, Arch: runtime.GOARCH}, progress)
}

// Key names the program among those that are built below heddle.home.
func (p Program) Key() (string, error) {
	path := p.Dir
	if path == "" {
		path = p.Binary
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("program %s: %w", path, err)
	}
	return fileName(abs), nil
}

// fileName makes a folder's path into a file's name, readable and its own.
func fileName(dir string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		}
		return '_'
	}, dir), "_")
}

// Listing is what a program says of itself.
type Listing struct {
	// Tasks are the names of its tasks, sorted.
	Tasks []string `json:"tasks"`
	// Engines are the names of the engines for stores that it holds; nil if it was
	// built before programs told.
	Engines []string `json:"engines"`
	// SideInputs are the names of its functions for side inputs; nil if it was
	// built before programs told.
	SideInputs []string `json:"sideInputs"`
}

// List asks a built program what it holds.
func List(ctx context.Context, binary string) (Listing, error) {
	var l Listing
	cmd := exec.CommandContext(ctx, binary, "--list-tasks")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return l, fmt.Errorf("%s --list-tasks: %w; a program of tasks ends its main in container.Main(...): %s", binary, err, firstLine(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &l); err != nil {
		return Listing{}, fmt.Errorf("%s --list-tasks did not answer in JSON (%w); a program of tasks ends its main in container.Main(...)", binary, err)
	}
	slices.Sort(l.Tasks)
	return l, nil
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return l
}
