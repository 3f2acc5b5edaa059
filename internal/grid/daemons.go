package grid

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Daemons of the grid by the names bin/grid.sh has for them; the NodeManagers are "nm1", "nm2", ...
const (
	Broker   = "kafka"
	NameNode = "namenode"
	DataNode = "datanode"
	RM       = "rm"
)

// Start starts daemons and waits until they are ready.
func (g *Grid) Start(t testing.TB, daemons ...string) {
	t.Helper()
	g.script(t, append([]string{"start"}, daemons...)...)
}

// Stop stops daemons gracefully; after the test they are started again. The containers of a stopped
// NodeManager go on, and it takes them back when it starts.
func (g *Grid) Stop(t testing.TB, daemons ...string) {
	t.Helper()
	t.Cleanup(func() { g.Start(t, daemons...) })
	g.script(t, append([]string{"stop"}, daemons...)...)
}

// Kill ends daemons at once; after the test they are started again.
func (g *Grid) Kill(t testing.TB, daemons ...string) {
	t.Helper()
	t.Cleanup(func() { g.Start(t, daemons...) })
	g.script(t, append([]string{"kill"}, daemons...)...)
}

// KillMachine ends NodeManagers at once and with them all processes of their containers, as if their
// machines had died; after the test they are started again.
func (g *Grid) KillMachine(t testing.TB, nodeManagers ...string) {
	t.Helper()
	t.Cleanup(func() { g.Start(t, nodeManagers...) })
	g.script(t, append([]string{"kill", "--containers"}, nodeManagers...)...)
}

// Restart stops daemons gracefully, starts them and waits until they are ready.
func (g *Grid) Restart(t testing.TB, daemons ...string) {
	t.Helper()
	g.script(t, append([]string{"restart"}, daemons...)...)
}

// Pause halts daemons, which then answer nothing, until Resume or the end of the test.
func (g *Grid) Pause(t testing.TB, daemons ...string) {
	t.Helper()
	t.Cleanup(func() { g.Resume(t, daemons...) })
	g.script(t, append([]string{"pause"}, daemons...)...)
}

// Resume lets paused daemons go on.
func (g *Grid) Resume(t testing.TB, daemons ...string) {
	t.Helper()
	g.script(t, append([]string{"resume"}, daemons...)...)
}

// Process is a process of a YARN container.
type Process struct {
	PID         int
	Container   string // container id, such as container_e01_1700000000000_0001_01_000002
	NodeManager string // nm1, nm2, ...
	Command     string // its command line
}

// Program is the base name of the executable, such as run-container.
func (p Process) Program() string {
	program, _, _ := strings.Cut(p.Command, " ")
	return filepath.Base(program)
}

// Processes are all processes of YARN's containers whose program has the given base name, such as
// "run-container"; with an empty name, all. An application id other than "" picks its containers.
func (g *Grid) Processes(t testing.TB, program, application string) []Process {
	t.Helper()
	found, err := parseProcesses(g.script(t, "containers"), func(pid int) string {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			return "" // it has ended
		}
		return strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	})
	if err != nil {
		t.Fatal(err)
	}
	var picked []Process
	for _, p := range found {
		if (program == "" || p.Program() == program) && (application == "" || ofApplication(p.Container, application)) {
			picked = append(picked, p)
		}
	}
	return picked
}

// KillProcess sends SIGKILL to one process of a container.
func (g *Grid) KillProcess(t testing.TB, p Process) {
	t.Helper()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatalf("cannot kill process %d of %s: %v", p.PID, p.Container, err)
	}
}

func parseProcesses(output []byte, command func(pid int) string) ([]Process, error) {
	var found []Process
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("grid.sh containers: %q is not PID CONTAINER NODEMANAGER", lines.Text())
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, fmt.Errorf("grid.sh containers: %q: %w", lines.Text(), err)
		}
		if line := command(pid); line != "" {
			found = append(found, Process{PID: pid, Container: fields[1], NodeManager: fields[2], Command: line})
		}
	}
	return found, lines.Err()
}

// ofApplication reports whether a container id holds the cluster timestamp and number of an
// application id; between "container_" and them may stand the epoch of the ResourceManager.
func ofApplication(container, application string) bool {
	numbers := strings.TrimPrefix(application, "application_")
	return strings.Contains(container, "_"+numbers+"_")
}

// NeedHome skips a test that starts and ends the grid's processes where it is not known
// whose they are; without says what cannot be done then.
func (g *Grid) NeedHome(t testing.TB, without string) {
	t.Helper()
	if g.Home == "" {
		t.Skip("GRID_HOME is not set: " + without)
	}
}

// script runs bin/grid.sh for this grid and returns its stdout.
func (g *Grid) script(t testing.TB, args ...string) []byte {
	t.Helper()
	if g.Home == "" {
		t.Fatal(`GRID_HOME is not set: eval "$(bin/grid.sh env)"`)
	}
	// Not the test's context: clean-up runs after it has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(Checkout(), "bin", "grid.sh"), args...)
	cmd.Env = append(os.Environ(), "GRID_HOME="+g.Home, "GRID_PORTS=")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("grid.sh %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}
