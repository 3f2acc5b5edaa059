package job

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heddle/coordinator"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
)

// TestFilesThatCannotBeRemoved: that the job has ended is no failure because its
// files are still there.
func TestFilesThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(`<configuration><property><name>fs.defaultFS</name><value>hdfs://localhost:1</value></property></configuration>`), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := hadoopconf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := &Cluster{conf: conf, user: "nobody"}
	c.cleanUp(t.Context(), yarn.ApplicationID{ClusterTimestamp: 7, Number: 1}, NewSay(&out, false))
	if !strings.Contains(out.String(), "warning: the files of application_7_0001 are left to the next submit") || !strings.Contains(out.String(), "localhost:1") {
		t.Errorf("%q", out.String())
	}
}

// TestHeard: what the application master says goes before what YARN remembers,
// and that it says nothing is told.
func TestHeard(t *testing.T) {
	recovered := State{State: "RUNNING", Diagnostics: "Attempt recovered after RM restart"}
	for _, tt := range []struct {
		name        string
		job         coordinator.Status
		err         error
		diagnostics string
		lines       []string
	}{
		{"a warning of the job", coordinator.Status{Diagnostics: "container 0 failed"}, nil, "container 0 failed", []string{"container 0 failed", "0 of 0 running"}},
		{"no warning", coordinator.Status{}, nil, "Attempt recovered after RM restart", []string{"Attempt recovered"}},
		{"a container is frozen", coordinator.Status{Now: 1_045_300, ContainerList: []coordinator.ContainerStatus{
			{ID: "0", State: coordinator.ContainerRunning, LastReport: 1_045_000}, {ID: "1", State: coordinator.ContainerRunning, LastReport: 1_000_000},
		}}, nil, "Attempt recovered after RM restart", []string{"silent", "container 1 was not heard of for 45s; what is said of it is as old"}},
		{"no answer", coordinator.Status{}, errors.New("the proxy answered 500"), "Attempt recovered after RM restart",
			[]string{"no answer", "the proxy answered 500; if its node is lost, YARN starts another"}},
	} {
		s := recovered
		s.heard(tt.job, tt.err)
		var out bytes.Buffer
		if err := s.Print(&out); err != nil {
			t.Fatal(err)
		}
		if s.Diagnostics != tt.diagnostics || (s.Job == nil) != (tt.err != nil) || (s.Unanswered != "") != (tt.err != nil) {
			t.Errorf("%s: %+v", tt.name, s)
		}
		for _, want := range tt.lines {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, out.String())
			}
		}
	}
}

func TestStoreBase(t *testing.T) {
	for dir, ok := range map[string]bool{"": true, "/var/state": true, "state": false, "./state": false} {
		var coded interface{ ExitCode() int }
		err := checkStoreBase(dir)
		if (err == nil) != ok || err != nil && (!errors.As(err, &coded) || coded.ExitCode() != 2 || !strings.Contains(err.Error(), "LOGGED_STORE_BASE_DIR="+dir)) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}
