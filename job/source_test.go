package job

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/config"
)

// TestProgramOfSeveralFiles: each file may lie in a folder of its own.
func TestProgramOfSeveralFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"jobs/count/main.go":          "package main\n",
		"jobs/count/count.properties": "job.name=count\ntask.class=my.Count\ntask.inputs=kafka.in\nsystems.kafka.samza.factory=kafka\n",
		"jobs/named.properties":       "heddle.task.program=count\n",
		"etc/prod.properties":         "job.id=7\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const job, named, prod = "jobs/count/count.properties", "jobs/named.properties", "etc/prod.properties"
	for _, tt := range []struct {
		paths, overrides []string
		want             string // the folder, or a part of the program's name
	}{
		{[]string{job}, nil, "jobs/count"},
		{[]string{job, prod}, nil, "jobs/count"},
		{[]string{prod, job}, nil, "jobs/count"},
		{[]string{named, prod}, nil, "jobs/count"},
		{[]string{prod}, []string{"heddle.task.program=jobs/count"}, "jobs/count"},
		{[]string{prod, named}, []string{"heddle.task.program="}, "(there is no Go main package in etc, jobs)"},
	} {
		var text strings.Builder
		overrides := append([]string{"job.name=count", "task.class=my.Count", "task.inputs=kafka.in", "systems.kafka.samza.factory=kafka"}, tt.overrides...)
		j, err := Load(t.Context(), Source{Paths: tt.paths, Overrides: overrides}, Place{Checkout: "."}, NewSay(&text, false), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p, err := j.findProgram()
		if err != nil || p.Dir != tt.want && !strings.HasSuffix(p.String(), tt.want) {
			t.Errorf("%v %v: %+v, %v; want %s\n%s", tt.paths, tt.overrides, p, err, tt.want, text.String())
		}
	}
}

// TestPackageBesideItsFile: a relative path of the package is meant from the file
// that names it.
func TestPackageBesideItsFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a", "b"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/job.properties", []byte(map[string]string{"a": "yarn.package.path=p.tgz\n", "b": "job.id=7\n"}[dir]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := config.Load(t.Context(), config.LoadOptions{Paths: []string{"a/job.properties", "b/job.properties"}})
	if err != nil {
		t.Fatal(err)
	}
	j := &Job{Config: c, beside: []string{"a", "b"}, say: NewSay(os.Stderr, true)}
	if _, err := j.findPackage(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), filepath.Join("a", "p.tgz")) {
		t.Errorf("%v", err)
	}
}
