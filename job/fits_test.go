package job

import (
	"errors"
	"strings"
	"testing"
)

func TestStoreBase(t *testing.T) {
	for dir, ok := range map[string]bool{"": true, "/var/state": true, "state": false, "./state": false} {
		var coded interface{ ExitCode() int }
		err := checkStoreBase(dir)
		if (err == nil) != ok || err != nil && (!errors.As(err, &coded) || coded.ExitCode() != 2 || !strings.Contains(err.Error(), "LOGGED_STORE_BASE_DIR="+dir)) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}
