//go:build grid

package endtoend

import (
	"os"
	"testing"
)

// soak skips a test that takes longer than continuous integration has time for.
func soak(t testing.TB) {
	t.Helper()
	if os.Getenv("HEDDLE_SOAK") != "1" {
		t.Skip("it takes long: HEDDLE_SOAK=1 asks for it")
	}
}
