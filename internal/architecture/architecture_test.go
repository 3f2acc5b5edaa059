package architecture

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestImportsKeepToTheLayers(t *testing.T) {
	imports, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := imports["internal/architecture"]; !ok || len(imports) < 5 {
		t.Fatalf("found %d packages, and not even this one: the wrong folder was read", len(imports))
	}
	for _, violation := range Check(imports) {
		t.Error(violation)
	}
}

func TestCheckFindsViolations(t *testing.T) {
	for _, c := range []struct {
		name    string
		imports map[string][]string
		want    string // part of the one violation; nothing for none
	}{
		{"downwards is allowed", map[string][]string{"container": {"task", "storage", "coordinator"}}, ""},
		{"up is not", map[string][]string{"storage": {"container"}}, "storage imports container: container/ stands below storage/"},
		{"a sub-package counts as its room", map[string][]string{"system/kafka": {"checkpoint"}}, "checkpoint/ stands below system/"},
		{"inside a room all may import", map[string][]string{"system": {"system/kafka"}}, ""},
		{"metrics from anywhere below", map[string][]string{"serde": {"metrics"}}, ""},
		{"task stands alone", map[string][]string{"task": {"config"}}, "task/ imports nothing of ours"},
		{"config stands alone", map[string][]string{"config": {"internal/jackson"}}, "config/ imports nothing of ours"},
		{"yarn stands alone", map[string][]string{"yarn/rpc": {"config"}}, "yarn/ imports nothing of ours"},
		{"yarn imports itself", map[string][]string{"yarn/rpc": {"yarn/security"}}, ""},
		{"the leaf of yarn", map[string][]string{"coordinator": {"yarn/security"}, "container": {"yarn/security"}}, ""},
		{"only the leaf of yarn", map[string][]string{"container": {"yarn/rpc"}}, "yarn/ stands below container/"},
		{"only for whom it is listed", map[string][]string{"storage": {"yarn/security"}}, "yarn/ stands below storage/"},
		{"am takes yarn and coordinator", map[string][]string{"am": {"yarn", "coordinator", "jobmodel"}}, ""},
		{"am does not take job", map[string][]string{"am": {"job"}}, "job/ stands below am/"},
		{"nobody imports a command", map[string][]string{"job": {"cmd/run-job"}}, "cmd/ is imported by nobody"},
		{"through internal", map[string][]string{"serde": {"internal/a"}, "internal/a": {"internal/b"}, "internal/b": {"container"}}, "serde imports container through internal/b"},
		{"through internal, allowed", map[string][]string{"job": {"internal/a"}, "internal/a": {"container"}}, ""},
		{"a circle of internal packages ends", map[string][]string{"job": {"internal/a"}, "internal/a": {"internal/b"}, "internal/b": {"internal/a"}}, ""},
		{"a test's package", map[string][]string{"job": {"internal/grid"}}, "it is for tests only"},
		{"an example takes what is public", map[string][]string{"examples/latency": {"task", "container", "examples/latency/count"}}, ""},
		{"an example takes nothing internal", map[string][]string{"examples/latency": {"internal/console"}}, "public packages only"},
		{"nor internal to a room", map[string][]string{"examples/latency": {"yarn/internal/pb"}}, "public packages only"},
		{"a command may register an example's tasks", map[string][]string{"cmd/run-container": {"examples/latency/count"}}, ""},
		{"nobody else may", map[string][]string{"container": {"examples/latency/count"}}, "examples/ is imported by nobody"},
		{"an unknown room", map[string][]string{"helpers": nil}, "no helpers/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Check(c.imports)
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("found %q", got)
			case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
				t.Errorf("found %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestReadTakesSourceFilesOnly(t *testing.T) {
	file := func(source string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(source)} }
	imports, err := Read(fstest.MapFS{
		"a/a.go":            file("package a\nimport (\n\"fmt\"\nb \"heddle/b\"\n)\n"),
		"a/tagged.go":       file("//go:build grid\n\npackage a\nimport \"heddle/c/d\"\n"),
		"a/a_test.go":       file("package a\nimport \"heddle/z\"\n"),
		"a/testdata/x.go":   file("not Go at all"),
		".cache/x.go":       file("not Go at all"),
		"other/go.mod":      file("module other"),
		"other/x.go":        file("not Go at all"),
		"empty/imports.go":  file("package empty\n"),
		"a/notes/readme.md": file("text"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) != 2 || !slices.Equal(imports["a"], []string{"b", "c/d"}) || len(imports["empty"]) != 0 {
		t.Errorf("imports = %v", imports)
	}
	if _, err := Read(fstest.MapFS{"a/a.go": file("pakage a")}); err == nil {
		t.Error("a file that is not Go was taken")
	}
}
