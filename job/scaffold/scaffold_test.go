package scaffold

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"views": true, "page-views": true, "a1_b": true,
		"": false, "Views": false, "1a": false, "a b": false, "a/b": false, "-a": false, "a-": false, "..": false, "heddle": false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// checkout is the root of this checkout.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFiles(t *testing.T) {
	root := checkout(t)
	files, err := Job{Name: "page-views", Checkout: root}.Files()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".gitignore", "README.md", "count.go", "go.mod", "go.sum", "main.go", "page-views.properties", "views.jsonl"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	for name, content := range files {
		if strings.Contains(string(content), "{{") || strings.Contains(string(content), "<no value>") {
			t.Errorf("%s: a place of the template was left open", name)
		}
		if strings.HasSuffix(name, ".go") {
			if _, err := parser.ParseFile(token.NewFileSet(), name, content, 0); err != nil {
				t.Error(err)
			}
		}
	}
	if mod := string(files["go.mod"]); !strings.HasPrefix(mod, "module page-views\n") || !strings.Contains(mod, "replace heddle => "+root) || strings.Count(mod, "\nmodule ") > 0 {
		t.Errorf("go.mod: %s", mod)
	}
}

func TestFilesWithoutHeddle(t *testing.T) {
	dir := t.TempDir()
	if _, err := (Job{Name: "a", Checkout: dir}).Files(); err == nil || !strings.Contains(err.Error(), "--heddle") {
		t.Errorf("error %v", err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("module other\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (Job{Name: "a", Checkout: dir}).Files(); err == nil || !strings.Contains(err.Error(), "not the module heddle") {
		t.Errorf("error %v", err)
	}
}

func TestWriteTouchesNothingThatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files := map[string][]byte{"a": []byte("1")}
	if err := Write(dir, files); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, map[string][]byte{"a": []byte("2"), "b": nil}); err == nil {
		t.Error("wrote into a folder with files")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(b) != "1" {
		t.Errorf("%q, %v", b, err)
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the folder: %v, %v", entries, err)
	}
}
