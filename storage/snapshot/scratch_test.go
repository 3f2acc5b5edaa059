package snapshot

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCopiesOfKilledProcesses are removed by the next one; those of a living
// process stay.
func TestCopiesOfKilledProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copies")
	killed, err := openScratch(dir, time.Now())
	check(t, err)
	check(t, os.Mkdir(killed.next(), 0o700))
	check(t, killed.lock.Close()) // as the kernel does it
	living, err := openScratch(dir, time.Now())
	check(t, err)
	check(t, os.Mkdir(living.next(), 0o700))
	half := filepath.Join(dir, "half") // it had not come to the lock
	check(t, os.Mkdir(half, 0o700))

	next, err := openScratch(dir, time.Now().Add(2*scratchYoung))
	check(t, err)
	for path, want := range map[string]bool{killed.dir: false, living.dir: true, half: false, next.dir: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", path, err, want)
		}
	}
	if a, b := next.next(), next.next(); a == b {
		t.Error("two copies in one folder")
	}
	check(t, living.close())
	check(t, next.close())
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
