//go:build grid

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"heddle/internal/grid"
)

// TestSmallWorkloads runs each workload at a size that measures nothing: the
// benchmark itself has to work, and what it counts has to be exact.
func TestSmallWorkloads(t *testing.T) {
	grid.Use(t, grid.Kafka)
	programs := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", programs+"/", "heddle/cmd/run-job", "heddle/bench/tasks", "heddle/bench/bare")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	files, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  []string
		lines int
	}{
		{[]string{passThrough, "--records", "5000"}, 1},
		{[]string{count, "--records", "10000", "--guarantee", "--procs", "1"}, 1},
		{[]string{countCache, "--records", "10000", "--keys", "1000"}, 1},
		{[]string{restore, "--keys", "250000"}, 1}, // enough for a load in bulk
		{[]string{snapshot, "--keys", "5000", "--history", "5"}, 1},
		{[]string{large, "--keys", "5000", "--records", "5000"}, 1},
		{[]string{recovery, "--keys", "5000"}, 2},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			s, err := parse(append(tt.args, "--json", "--runs", "1"), func(key string) string {
				switch key {
				case "HEDDLE_BENCH_PROGRAMS":
					return programs
				case "HEDDLE_BENCH_FILES":
					return files
				}
				return os.Getenv(key)
			})
			if err != nil {
				t.Fatal(err)
			}
			var out, said bytes.Buffer
			if err := run(t.Context(), s, &out, &said); err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			var got []summary
			for lines := bufio.NewScanner(&out); lines.Scan(); {
				var sum summary
				if err := json.Unmarshal(lines.Bytes(), &sum); err != nil {
					t.Fatal(err)
				}
				got = append(got, sum)
			}
			if len(got) != tt.lines {
				t.Fatalf("%d lines:\n%s", len(got), &out)
			}
			for _, sum := range got {
				if sum.Workload != tt.args[0] || sum.RecordsPerSecond <= 0 || sum.CPUSecondsPerMillion <= 0 || sum.PeakRSSMiB <= 0 ||
					sum.BareRecordsPerSecond <= 0 || sum.BareCPUSecondsPerMillion <= 0 {
					t.Errorf("%+v", sum)
				}
				if slices.Contains([]string{restore, recovery}, sum.Workload) && (sum.Seconds <= 0 || sum.BareSeconds <= 0) {
					t.Errorf("%+v", sum)
				}
				if sum.Workload == snapshot && (sum.Seconds <= 0 || sum.ChangelogSeconds <= 0 || sum.BareSeconds <= 0 || sum.History != 5) {
					t.Errorf("%+v", sum)
				}
				if sum.Workload == count && sum.ExactlyOnceRateRatio <= 0 {
					t.Errorf("%+v", sum)
				}
			}
		})
	}
}
