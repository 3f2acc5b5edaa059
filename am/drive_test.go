package am

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/internal/heard"
)

// Real child processes: one ends well, one fails once and is restarted.
func TestProcessesEndAndAreRestarted(t *testing.T) {
	dir := t.TempDir()
	var out heard.Text
	cluster := &Processes{Name: "local", Output: &out, Command: func(l Launch) (*exec.Cmd, error) {
		script := "echo hello; exit 0"
		if l.Processor == "1" {
			script = "if [ -e " + dir + "/once ]; then echo again; exit 0; fi; touch " + dir + "/once; printf broken; exit 3"
		}
		return exec.Command("/bin/sh", "-c", script), nil
	}}
	d := NewDriver(NewMachine(plan(2)), cluster)
	end, err := d.Run(t.Context(), Self{}, nil)
	if err != nil || end.Status != Succeeded {
		t.Fatalf("%+v, %v", end, err)
	}
	for _, want := range []string{"container 0 | hello\n", "container 1 | broken\n", "container 1 | again\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output %q lacks %q", out.String(), want)
		}
	}
	if got := d.Machine.Processors()[1]; got.Attempts != 2 || got.Failures != 1 || !strings.Contains(got.LastError, "exit code 3") {
		t.Errorf("processor 1: %+v", got)
	}
}

// A stop reaches the process by AskStop; what does not obey is killed.
func TestStopKillsWhatDoesNotStop(t *testing.T) {
	p := plan(1)
	p.StopTimeout = 50 * time.Millisecond
	cluster := &Processes{Name: "local", Command: func(Launch) (*exec.Cmd, error) {
		return exec.Command("/bin/sh", "-c", "trap '' TERM; while :; do sleep 60; done"), nil
	}}
	d := NewDriver(NewMachine(p), cluster)
	d.Tick = 10 * time.Millisecond
	asked := make(chan string, 1)
	d.AskStop = func(processor, _ string) { asked <- processor }
	once := sync.OnceFunc(func() { d.Send(t.Context(), StopRequested{Reason: "run-job kill", Killed: true}) })
	d.Publish = func(s Snapshot) {
		if s.Processors[0].Phase == Running {
			once()
		}
	}
	end, err := d.Run(t.Context(), Self{}, nil)
	if err != nil || end.Status != Killed {
		t.Fatalf("%+v, %v", end, err)
	}
	if got := <-asked; got != "0" {
		t.Fatalf("asked %q to stop", got)
	}
	cluster.mu.Lock()
	defer cluster.mu.Unlock()
	if len(cluster.running) != 0 {
		t.Fatal("a process was left")
	}
}

func TestProgramThatDoesNotStartFailsTheJob(t *testing.T) {
	p := plan(1)
	p.Retry.Count = 0
	cluster := &Processes{Name: "local", Command: func(Launch) (*exec.Cmd, error) { return exec.Command("/does/not/exist"), nil }}
	end, err := NewDriver(NewMachine(p), cluster).Run(t.Context(), Self{}, nil)
	if err != nil || end.Status != Failed || !strings.Contains(end.Diagnostics, "no such file") {
		t.Fatalf("%+v, %v", end, err)
	}
}
