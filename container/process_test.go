package container

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/config"
	"heddle/coordinator"
	"heddle/internal/heard"
	"heddle/internal/launch"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/task"
	"heddle/yarn/security"
)

// cluster is a real coordinator for containers of a test, as an application
// master has it.
type cluster struct {
	t      *testing.T
	server *coordinator.Server
	secret []byte
	model  jobmodel.JobModel
	stdout io.Writer // of processes; nil: nobody's
	stderr io.Writer // of processes; nil: the test's

	mu      sync.Mutex
	alive   map[string]bool
	reports []coordinator.Report
	running chan struct{} // closed at the first report that says so
}

func (c *cluster) Job() coordinator.Job                { return coordinator.Job{Name: "local", ID: "1"} }
func (c *cluster) Containers() []coordinator.Container { return nil }
func (c *cluster) Hosts() map[string]string            { return nil }
func (c *cluster) ContainerLost(string, string)        {}
func (c *cluster) StopRequested(string)                {}

func (c *cluster) Alive(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive[id]
}

func (c *cluster) ContainerReport(_ string, r coordinator.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, r)
	if r.State == coordinator.ContainerRunning && !c.isRunning() {
		close(c.running)
	}
}

// isRunning needs c.mu.
func (c *cluster) isRunning() bool {
	select {
	case <-c.running:
		return true
	default:
		return false
	}
}

func newCluster(t *testing.T, j *embeddedJob) *cluster {
	t.Helper()
	pl, err := prepare(t.Context(), config.New(j.settings), j.systems, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pl.checkpoints.Close()
	c := &cluster{t: t, model: pl.model, secret: bytes.Repeat([]byte{7}, coordinator.SecretSize), alive: map[string]bool{"exec_1": true}, running: make(chan struct{})}
	c.server, err = coordinator.NewServer(coordinator.Options{
		Model: pl.model, Secret: c.secret, State: c, Events: c, Logger: slog.New(slog.DiscardHandler), ReportEvery: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.server.Listen("127.0.0.1", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.server.Shutdown(context.Background()) })
	return c
}

// start starts a container as the application master does.
func (c *cluster) start(tasks Tasks, signals <-chan os.Signal, id, execution string, secrets config.Config) (end func() (int, string, string)) {
	c.t.Helper()
	creds := &security.Credentials{}
	creds.AddSecret(launch.SecretCredential, []byte(coordinator.DeriveCredential(c.secret, id)))
	if err := launch.AddConfig(creds, secrets); err != nil {
		c.t.Fatal(err)
	}
	b := creds.Encode()
	file := filepath.Join(c.t.TempDir(), "container_tokens")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
	env := map[string]string{
		launch.EnvContainerID: id, launch.EnvCoordinatorURL: c.server.URL(), launch.EnvExecutionID: execution,
		security.EnvTokenFile: file, "GOMAXPROCS": "as it is", "GOMEMLIMIT": "as it is",
	}
	var out heard.Text
	var errs bytes.Buffer
	p := &program{tasks: tasks, name: "test", getenv: func(k string) string { return env[k] }, stdout: &out, stderr: &errs, signals: signals, now: time.Now}
	done := make(chan int, 1)
	go func() { done <- p.run() }()
	return func() (int, string, string) {
		select {
		case code := <-done:
			return code, out.String(), errs.String()
		case <-time.After(20 * time.Second):
			c.t.Fatal("the container does not end")
			return 0, "", ""
		}
	}
}

func echo() Tasks {
	return Tasks{"t": calls{process: func(ctx task.Context, m *task.Message) error {
		v, _ := ctx.Setting("sensitive.word")
		return ctx.Send(task.Output{Stream: "kafka.out", Value: string(m.ValueBytes) + v})
	}}.factory()}
}

func TestContainerOfACluster(t *testing.T) {
	j := newEmbeddedJob(t, nil)
	j.create("in", 2)
	j.create("out", 1)
	c := newCluster(t, j)
	signals := make(chan os.Signal, 2)
	// A secret reaches the task by the credentials, not by the JobModel.
	end := c.start(echo(), signals, "0", "exec_1", config.New(map[string]string{"sensitive.word": "!"}))
	<-c.running
	j.produce("in", system.Record{Value: []byte("hello")})
	waitFor(t, c, func(r coordinator.Report) bool { return r.Counters.Processed == 1 && r.Counters.Sent == 1 })
	c.server.Send("0", "exec_1", coordinator.CommandStop, map[string]string{"reason": "the test"})
	if code, out, errs := end(); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	var got []string
	for _, m := range j.read("out") {
		got = append(got, string(m.ValueBytes))
	}
	if !slices.Equal(got, []string{"hello!"}) {
		t.Errorf("out: %v", got)
	}
	c.mu.Lock()
	last := c.reports[len(c.reports)-1]
	c.mu.Unlock()
	if last.State != coordinator.ContainerStopped || last.PID != os.Getpid() || len(last.Tasks) != 2 || last.MemoryBytes == 0 {
		t.Errorf("the last report: %+v", last)
	}
	if _, ok := last.Metrics[containerMetrics]["process-envelopes"]; !ok {
		t.Errorf("the container's metrics are not in the report: %v", slices.Collect(maps.Keys(last.Metrics)))
	}
}

// waitFor waits for a report.
func waitFor(t *testing.T, c *cluster, ok func(coordinator.Report) bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c.mu.Lock()
		n := len(c.reports)
		found := n > 0 && ok(c.reports[n-1])
		c.mu.Unlock()
		if found {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the report did not come")
		}
	}
}

// A container that a person ends by a signal commits, and ends with a code that
// makes the application master start it again.
func TestContainerEndsOnSignal(t *testing.T) {
	j := newEmbeddedJob(t, nil)
	j.create("in", 1)
	c := newCluster(t, j)
	signals := make(chan os.Signal, 2)
	end := c.start(Tasks{"t": calls{}.factory()}, signals, "0", "exec_1", config.Config{})
	<-c.running
	began := time.Now()
	signals <- os.Interrupt
	code, out, errs := end()
	if code != 143 || errs != "" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	// It waits for none of its intervals; bin/measure.sh measures how long it takes.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an idle container took %v to end", took)
	}
}

// An execution that the application master has given up ends itself: at-least-once
// without a commit, exactly-once in order, which is none that anybody may take for
// the job's.
func TestContainerThatIsGivenUpEnds(t *testing.T) {
	for guarantee, says := range map[string]string{
		"at-least-once": "without a commit: the application master no longer counts this process",
		"exactly-once":  "test: the application master no longer counts this process",
	} {
		t.Run(guarantee, func(t *testing.T) {
			t.Parallel()
			j := newEmbeddedJob(t, map[string]string{"heddle.processing.guarantee": guarantee})
			j.create("in", 1)
			c := newCluster(t, j)
			end := c.start(Tasks{"t": calls{}.factory()}, nil, "0", "exec_1", config.Config{})
			<-c.running
			c.mu.Lock()
			c.alive = map[string]bool{"exec_2": true}
			c.mu.Unlock()
			if code, out, errs := end(); code != 1 || !strings.Contains(errs, says) {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

// A container whose local state cannot be opened says so by its exit code.
func TestContainerWhoseDiskFails(t *testing.T) {
	base := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := newEmbeddedJob(t, map[string]string{
		"stores.counts.factory": "pebble", "stores.counts.changelog": "kafka.counts",
		"stores.counts.key.serde": "string", "stores.counts.msg.serde": "long", "job.logged.store.base.dir": base,
	})
	j.create("in", 1)
	c := newCluster(t, j)
	code, out, errs := c.start(Tasks{"t": calls{}.factory()}, nil, "0", "exec_1", config.Config{})()
	if code != exitDisk || !strings.Contains(errs, `local state of store "counts" of task "Partition 0"`) || !strings.Contains(errs, "move it away") {
		t.Errorf("exit code %d, want %d\n%s%s", code, exitDisk, out, errs)
	}
	// In a process of its own it has no other disk to go to.
	if code, out, errs := j.run(Tasks{"t": calls{}.factory()}, nil, "--until-caught-up"); code != exitFailed || !strings.Contains(errs, "move it away") {
		t.Errorf("the job in one process: exit code %d, want %d\n%s%s", code, exitFailed, out, errs)
	}
}

func TestContainerFailures(t *testing.T) {
	j := newEmbeddedJob(t, nil)
	j.create("in", 1)
	c := newCluster(t, j)
	for name, tt := range map[string]struct {
		tasks     Tasks
		id        string
		execution string
		code      int
		says      string
	}{
		"a task fails at its start":     {Tasks{"t": calls{init: func(task.Context) error { return errTest }}.factory()}, "0", "exec_1", 1, "ordered by the test"},
		"the task is not in the binary": {Tasks{"other": calls{}.factory()}, "0", "exec_1", exitConfig, "registered are: other"},
		"no such container":             {echo(), "5", "exec_1", 3, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := c.start(tt.tasks, nil, tt.id, tt.execution, config.Config{})()
			if code != tt.code || !strings.Contains(errs, tt.says) {
				t.Errorf("exit code %d, want %d\n%s%s", code, tt.code, out, errs)
			}
		})
	}
}
