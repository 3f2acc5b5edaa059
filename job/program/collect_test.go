package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A user's program is built as run-job.sh builds run-job: with a compiler that
// collects its garbage less often.
func TestTheCompilerCollectsSeldom(t *testing.T) {
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module x\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() {}\n",
		// The real one, which also tells.
		"bin/go": "#!/bin/sh\nprintf %s \"$GOGC\" >'" + filepath.Join(dir, "said") + "'\nexec '" + real + "' \"$@\"\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", strings.Join([]string{filepath.Join(dir, "bin"), os.Getenv("PATH")}, string(os.PathListSeparator)))
	t.Setenv("GOGC", "50") // the run-job's own, not its compiler's
	for set, want := range map[string]string{"": collect, "off": "off", "77": "77"} {
		t.Setenv(envCollect, set)
		if err := Build(t.Context(), dir, ".", filepath.Join(dir, "x"), Target{}, t.Output()); err != nil {
			t.Fatal(err)
		}
		if said, err := os.ReadFile(filepath.Join(dir, "said")); err != nil || string(said) != want {
			t.Errorf("%s=%q: GOGC=%s, want %s (%v)", envCollect, set, said, want, err)
		}
	}
}
