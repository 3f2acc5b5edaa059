package job

import (
	"errors"
	"os/exec"
	"testing"
)

// The exit code is the contract's, however the program ended.
func TestExited(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0": ExitDone, "exit 1": ExitFailed, "exit 2": ExitFailed, "exit 78": ExitUsage, "exit 3": ExitUnreachable,
		"exit 7": ExitFailed, "kill -KILL $$": ExitFailed, "kill -TERM $$": ExitFailed,
	} {
		err := exited(exec.CommandContext(t.Context(), "sh", "-c", script).Run())
		var silent Silent
		got := ExitCode(err)
		if errors.As(err, &silent) {
			got = silent.Code
		}
		if got != want {
			t.Errorf("%s: exit code %d, want %d (%v)", script, got, want, err)
		}
	}
}
