//go:build grid

package endtoend

import "testing"

// soak skips a test that takes longer than continuous integration has time for.
func soak(t testing.TB) {
	t.Helper()
	if !soaking {
		t.Skip("it takes long: HEDDLE_SOAK=1 asks for it")
	}
}
