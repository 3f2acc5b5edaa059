package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

//go:embed template
var templates embed.FS

// names are what a job, its folder and its Go module can be called at once.
var names = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+)*$`)

// CheckName says what is wrong with the name of a new job.
func CheckName(name string) error {
	switch {
	case !names.MatchString(name):
		return fmt.Errorf("%q cannot be the name of a job, a folder and a Go module at once; use small letters, digits, '-' and '_', such as page-views", name)
	case name == "heddle", name == "std", name == "cmd", name == "main":
		return fmt.Errorf("%q means something else to Go; choose another name, such as page-views", name)
	}
	return nil
}

// CheckFolder says what is wrong with the place of a new job's folder.
func CheckFolder(dir string) error {
	parent := filepath.Dir(dir)
	switch i, err := os.Stat(parent); {
	case errors.Is(err, fs.ErrNotExist), err == nil && !i.IsDir():
		return fmt.Errorf("there is no folder %q to make the job in; make the folder first, or give a name alone, of small letters, digits, '-' and '_', such as page-views", parent)
	case err != nil:
		return err
	}
	return nil
}

// Job is a new job.
type Job struct {
	// Name is its name, and that of its folder and module (CheckName).
	Name string
	// Checkout is the root of the checkout of Heddle that it is built with, an
	// absolute path.
	Checkout string
}

// Files gives the files by name. The module's requirements and sums are those
// of Heddle's own, as it is built with Heddle's sources.
func (j Job) Files() (map[string][]byte, error) {
	mod, err := os.ReadFile(filepath.Join(j.Checkout, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("module heddle: %w; --heddle names a checkout of Heddle", err)
	}
	sum, err := os.ReadFile(filepath.Join(j.Checkout, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("module heddle: %w; --heddle names a checkout of Heddle", err)
	}
	if !bytes.HasPrefix(mod, []byte("module heddle\n")) {
		return nil, fmt.Errorf("%s is not the module heddle; --heddle names a checkout of Heddle", filepath.Join(j.Checkout, "go.mod"))
	}
	files := map[string][]byte{"go.mod": j.module(mod), "go.sum": sum}
	entries, err := templates.ReadDir("template")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		t, err := template.ParseFS(templates, "template/"+e.Name())
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, j); err != nil {
			return nil, err
		}
		name := strings.ReplaceAll(strings.TrimSuffix(e.Name(), ".tmpl"), "NAME", j.Name)
		if name == "gitignore" {
			name = ".gitignore"
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

// module makes the job's go.mod of Heddle's: the same requirements, so that a
// build needs nothing that Heddle's did not.
func (j Job) module(heddle []byte) []byte {
	rest := bytes.TrimPrefix(heddle, []byte("module heddle\n"))
	b := []byte("module " + j.Name + "\n\n// Heddle has no home of its own yet: the module is this checkout.\nreplace heddle => " + quoted(j.Checkout) + "\n\nrequire heddle v0.0.0\n")
	return append(b, rest...)
}

// quoted writes a path for go.mod.
func quoted(path string) string {
	if strings.ContainsAny(path, " \"'`()[]{},;=>") {
		return strconv.Quote(path)
	}
	return path
}

// Write makes the folder with the files. One that holds something already is
// left as it is, with an error; after any other error nothing is left.
func Write(dir string, files map[string][]byte) (err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is there already and holds files; choose another name, or remove it", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// The folder appears whole or not at all.
	parent := filepath.Dir(dir)
	tmp, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}
