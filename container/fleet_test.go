package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"heddle/checkpoint"
	"heddle/coordinator"
	"heddle/internal/grid"
	"heddle/internal/heard"
	"heddle/system"
)

// fleet is a job of containers that are told when to kill themselves. Its input
// has two partitions.
type fleet struct {
	t      *testing.T
	j      *embeddedJob
	c      *cluster
	folder string
	live   map[string]*exec.Cmd
	dead   map[string]chan struct{}
	said   *heard.Text // by all containers
	fed    []int       // by partition
	want   map[string]int
}

func newFleet(t *testing.T, j *embeddedJob) *fleet {
	f := &fleet{t: t, j: j, c: newCluster(t, j), folder: t.TempDir(), live: map[string]*exec.Cmd{}, dead: map[string]chan struct{}{}, said: &heard.Text{}, fed: make([]int, 2), want: map[string]int{}}
	f.c.stdout = f.said
	return f
}

// start starts a container and waits until it processes messages.
func (f *fleet) start(id, execution string) {
	f.t.Helper()
	f.begin(id, execution)
	f.runs(execution)
}

// begin starts a container and waits for nothing.
func (f *fleet) begin(id, execution string) {
	f.t.Helper()
	cmd := f.c.processOf(id, execution, killOrder+"="+filepath.Join(f.folder, id))
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_ = cmd.Wait() // looked at in cmd.ProcessState
	}()
	f.live[id], f.dead[id] = cmd, dead
}

// runs waits until that execution processes messages.
func (f *fleet) runs(execution string) {
	f.t.Helper()
	f.reported(execution, func(coordinator.Report) bool { return true })
}

// reported waits for a report of that execution while it runs.
func (f *fleet) reported(execution string, ok func(coordinator.Report) bool) {
	f.t.Helper()
	grid.Eventually(f.t, 2*time.Minute, "a report of "+execution, func() (bool, string) {
		f.c.mu.Lock()
		defer f.c.mu.Unlock()
		for i := len(f.c.reports) - 1; i >= 0; i-- {
			if r := f.c.reports[i]; r.ExecutionID == execution {
				return r.State == coordinator.ContainerRunning && ok(r), string(r.State)
			}
		}
		return false, "none yet"
	})
}

// caughtUp waits until the execution has processed all that was fed to its task.
func (f *fleet) caughtUp(execution string) {
	f.t.Helper()
	f.reported(execution, func(r coordinator.Report) bool {
		for _, task := range r.Tasks {
			for _, in := range task.Inputs {
				if in.Next < int64(f.fed[in.Partition]) {
					return false
				}
			}
		}
		return len(r.Tasks) > 0
	})
}

func (f *fleet) feed(partition, n int) {
	f.t.Helper()
	var records []system.Record
	for range n {
		v := strconv.Itoa(f.fed[partition] % 10)
		f.want[v]++
		f.fed[partition]++
		records = append(records, system.Record{At: int32(partition) + 1, Value: []byte(v)})
	}
	f.j.produce("in", records...)
}

// kill orders a container to kill itself at the n-th of these steps from now on,
// and feeds these partitions until it has.
func (f *fleet) kill(id string, at Step, n int, partitions ...int) {
	f.t.Helper()
	// It has to appear whole.
	file := filepath.Join(f.folder, id)
	if err := os.WriteFile(file+".new", fmt.Appendf(nil, "%s#%d", at, n), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		f.t.Fatal(err)
	}
	grid.Eventually(f.t, time.Minute, "the end of container "+id+" at the step "+string(at), func() (bool, string) {
		for _, p := range partitions {
			f.feed(p, 1)
		}
		select {
		case <-f.dead[id]:
			return true, ""
		default:
			return false, "it goes on"
		}
	})
	if s := f.live[id].ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		f.t.Fatalf("container %s ended with %v, not by the kill", id, s)
	}
	if err := os.Remove(file); err != nil {
		f.t.Fatal(err)
	}
}

// end stops a container in order.
func (f *fleet) end(id, execution string) {
	f.t.Helper()
	f.c.server.Send(id, execution, coordinator.CommandStop, nil)
	<-f.dead[id]
	if s := f.live[id].ProcessState; !s.Success() {
		f.t.Errorf("container %s: %v", id, s)
	}
}

// checkpoints are the ends of the partition with the checkpoints.
func (f *fleet) checkpoints() system.Ends {
	f.t.Helper()
	return f.endsOf(checkpoint.Topic(f.j.settings["job.name"], "1"))[0]
}

// exact counts: each message once in the state, and once among the outputs.
func (f *fleet) exact() {
	f.t.Helper()
	in := f.fed[0] + f.fed[1]
	lost, twice := f.j.tallied(in, f.want)
	f.t.Logf("in %d, lost %d, twice %d", in, lost, twice)
	if lost != 0 || twice != 0 {
		f.t.Errorf("of %d messages %d were lost, %d came twice", in, lost, twice)
	}
}
