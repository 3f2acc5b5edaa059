package local

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Who removes a folder removes nothing of who takes it in the same moment.
func TestRemoveLeavesTheNextOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "task")
	defer func() {
		if left := names(t, filepath.Dir(dir)); left != "" && left != "task" {
			t.Errorf("left: %q", left)
		}
	}()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if f, err := take(dir, whose); err == nil {
				// What it is quick to remove and what not, whatever comes first.
				for _, name := range []string{identityName, "state/1", "state/2", "a/1", "b/1", "z/1"} {
					_ = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
					check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
				}
				check(t, f.Remove())
			} else if !errors.Is(err, errHeld) {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for taken := 0; taken < 300; {
		f, err := take(dir, whose)
		if errors.Is(err, errHeld) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
		check(t, os.MkdirAll(filepath.Join(dir, stateFolder), 0o700))
		mine := filepath.Join(dir, stateFolder, "mine")
		if err := os.WriteFile(mine, nil, 0o600); err != nil {
			t.Fatalf("after %d times: the folder went while it was held: %v", taken, err)
		}
		for range 20 {
			if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil {
				t.Fatalf("after %d times: the lock went while it was held: %v", taken, err)
			}
			if _, err := os.Stat(mine); err != nil {
				t.Fatalf("after %d times: a file went while the folder was held: %v", taken, err)
			}
		}
		if err := errors.Join(os.Remove(mine), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
