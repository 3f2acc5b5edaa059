package program

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program is linked without what a debugger reads, unless GOFLAGS says how to
// link; its panics name function, file and line all the same.
func TestPanicsNameFunctionsAndLines(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module x\n\ngo 1.26\n",
		"main.go": "package main\n\n//go:noinline\nfunc burst() { panic(\"oops\") }\n\nfunc main() { burst() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		goflags string
		strips  bool
	}{{"", true}, {"-ldflags=", false}} {
		t.Setenv("GOFLAGS", c.goflags)
		out := filepath.Join(dir, "x")
		if err := Build(t.Context(), dir, ".", out, Target{}, t.Output()); err != nil {
			t.Fatal(err)
		}
		info, err := buildinfo.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(info.String(), "-ldflags=\"-s -w\""); got != c.strips {
			t.Errorf("GOFLAGS=%s: linked without debugging data: %t, want %t\n%s", c.goflags, got, c.strips, info)
		}
		said, _ := exec.CommandContext(t.Context(), out).CombinedOutput()
		for _, want := range []string{"panic: oops", "main.burst", "main.go:4", "main.go:6"} {
			if !strings.Contains(string(said), want) {
				t.Errorf("GOFLAGS=%s: the panic does not say %q:\n%s", c.goflags, want, said)
			}
		}
	}
}
