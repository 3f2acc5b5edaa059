//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStoresOnDiskAreReadByTheProgramThatHoldsTheEngine restores a store and reads
// it back. The run-job that is called holds no engine: all that a caller sees has
// to come through from the one that does.
func TestStoresOnDiskAreReadByTheProgramThatHoldsTheEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds run-job with the engines")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := newSales(t, "")
	s.run(0, "")
	call := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "run-job"), args...)
		cmd.Dir = s.dir
		cmd.Env = append(os.Environ(), "HEDDLE_CHECKOUT="+root, "HADOOP_CONF_DIR=", "YARN_CONF_DIR=")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("run-job %q: exit code %d, want %d: %s%s", args, got, code, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
	const file = "--config-path=topn.properties"

	if _, errs, code := start(t, s.dir, "state", "restore", "sales", "--all", "--dir=none", file); code != 2 || !strings.Contains(errs, "-tags engines") {
		t.Errorf("without a checkout: exit code %d, want 2 and the tag: %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "none")); err == nil {
		t.Error("without a checkout: the folder was made")
	}
	if _, errs := call(2, "state", "restore", "sails", "--all", "--dir=none", file); !strings.HasPrefix(errs, "run-job: ") || !strings.Contains(errs, "sales") {
		t.Errorf("a store that is not there: %s", errs)
	}
	lines, _ := call(0, "state", "restore", "sales", "--all", "--dir=restored", "--json", file)
	if n := strings.Count(lines, `"task":"Partition `); n != 4 {
		t.Errorf("%d tasks were restored, want 4: %s", n, lines)
	}
	var count struct{ Count int }
	text, _ := call(0, "state", "count", "sales", "--dir=restored", "--json")
	if err := json.Unmarshal([]byte(text), &count); err != nil || count.Count == 0 {
		t.Fatalf("count: %v: %s", err, text)
	}
	dump, _ := call(0, "state", "dump", "sales", "--dir=restored")
	if n := strings.Count(dump, "\n"); n != count.Count {
		t.Errorf("dump has %d entries, count says %d", n, count.Count)
	}
	first, _, _ := strings.Cut(dump, "\n")
	var entry struct{ Key string }
	if err := json.Unmarshal([]byte(first), &entry); err != nil {
		t.Fatal(err)
	}
	if got, _ := call(0, "state", "get", "sales", entry.Key, "--dir=restored", "--json"); got != first+"\n" {
		t.Errorf("get: %s, want %s", got, first)
	}
	if got, _ := call(0, "state", "range", "sales", "--dir=restored", "--limit=3", "--json"); !strings.HasPrefix(dump, got) || strings.Count(got, "\n") != 3 {
		t.Errorf("range: %s", got)
	}
}
