package architecture

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDiskEnginesAreCompiledOnlyWhereTheyAreUsed: the engines for stores on disk
// bring a hundred packages. The first job of a fresh checkout is not to wait for
// them.
func TestDiskEnginesAreCompiledOnlyWhereTheyAreUsed(t *testing.T) {
	for _, c := range []struct {
		program, tags string
		want          bool
	}{
		{"heddle/cmd/run-job", "", false},
		{"heddle/examples/latency", "", false},
		{"heddle/cmd/run-job", "engines", true},
		{"heddle/cmd/run-container", "", true},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags="+c.tags, c.program).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", c.program, err)
		}
		found := ""
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "github.com/cockroachdb/") {
				found = strings.TrimSpace(line)
				break
			}
		}
		if (found != "") != c.want {
			t.Errorf("%s with the tags %q links %q; a disk engine is wanted: %t; go list -deps tells by which import", c.program, c.tags, found, c.want)
		}
	}
}
