//go:build grid

package endtoend

import (
	"strings"
	"testing"

	"heddle/internal/grid"
)

// The logs that tell why a container died are those of the dead one.
func TestLogsOfEndedContainers(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 2)
	id := l.submit()
	victim := g.Processes(t, "run-container", id)[0].Container
	killContainer(t, g, l.job, id, 0)
	all := l.run(0, "logs").stdout
	for _, want := range []string{victim + " stdout | ", strings.Replace(victim, "_000002", "_000001", 1) + " (application master) stdout | "} {
		if !strings.Contains(all, want) {
			t.Errorf("the logs have no %q:\n%s", want, tail(all))
		}
	}
	for line := range strings.Lines(l.run(0, "logs", "--container="+victim).stdout) {
		if !strings.HasPrefix(line, victim) {
			t.Errorf("--container=%s shows %s", victim, line)
		}
	}

	// Another attempt of the application master: the log of the first is still there.
	first := g.Processes(t, "run-am", id)[0]
	g.KillProcess(t, first)
	grid.Eventually(t, soon, "another application master", func() (bool, string) {
		s, err := l.appStatus(id)
		if err != nil {
			return false, err.Error()
		}
		return strings.HasSuffix(s.AttemptID, "_000002") && s.Containers.Running == 1, s.AttemptID
	})
	all = l.run(0, "logs").stdout
	for _, want := range []string{first.Container + " (application master) stdout | ", "_02_000001 (application master) stdout | "} {
		if !strings.Contains(all, want) {
			t.Errorf("after the application master's death the logs have no %q:\n%s", want, tail(all))
		}
	}

	l.kill(id)
	// Whether the cluster keeps them depends on its configuration; either the logs
	// are shown, or it is said where they are.
	grid.Eventually(t, soon, "the logs after the end", func() (bool, string) {
		r := try(t, "logs", id)
		if r.code == 0 {
			return strings.Contains(r.stdout, victim+" stdout | "), tail(r.stdout)
		}
		return r.code == 2 && strings.Contains(r.firstError(), "logs/"+id), r.String()
	})
}
