package job

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"heddle/coordinator"
)

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
