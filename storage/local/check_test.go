package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Check looks at the nearest folder there is, and makes none.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file, shut := filepath.Join(dir, "file"), filepath.Join(dir, "shut")
	check(t, os.WriteFile(file, nil, 0o600))
	check(t, os.Mkdir(shut, 0o500))
	for base, want := range map[string]string{
		dir:                          "",
		filepath.Join(dir, "a", "b"): "",
		file:                         file + " is a file",
		filepath.Join(file, "a"):     file + " is a file",
		filepath.Join(shut, "a"):     shut + ": permission denied",
	} {
		if os.Geteuid() == 0 && strings.HasPrefix(want, shut) {
			continue // root may write everywhere
		}
		err := Job{Base: base, Name: "j", ID: "1"}.Check()
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", base, err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: something was made", entries, err)
	}
}
