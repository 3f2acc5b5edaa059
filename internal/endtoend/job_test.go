//go:build grid

package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"heddle/internal/grid"
)

// Bounds for what a test waits for. They are generous: how long things take is measured elsewhere
// (bin/measure.sh), and the machine may be busy.
const (
	commandLimit = 5 * time.Minute
	soon         = 2 * time.Minute
)

// soaking is true with HEDDLE_SOAK=1, for what takes long and shows little more.
var soaking = os.Getenv("HEDDLE_SOAK") == "1"

// workDir is the current folder of all commands, so that what they build (heddle.home) is built
// once.
var workDir string

// runJob is the script that tests run, as it lies in a package: with run-job beside it.
var runJob string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heddle-endtoend-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	workDir, runJob = filepath.Join(dir, "work"), filepath.Join(dir, "bin", "run-job.sh")
	if err := installRunJob(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// checkoutScript is the script that users of a checkout run.
func checkoutScript() string { return filepath.Join(grid.Checkout(), "bin", "run-job.sh") }

// installRunJob lets the checkout's script build run-job, and puts both where the tests run them. At
// each start the checkout's script has the compiler look for changes, which takes a processor for longer
// than most of the tests' hundreds of commands do.
func installRunJob() error {
	if out, err := exec.Command(checkoutScript(), "--help").CombinedOutput(); err != nil {
		return fmt.Errorf("build of run-job: %w: %s", err, out)
	}
	for _, path := range []string{workDir, filepath.Dir(runJob)} {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
	}
	for _, path := range []string{checkoutScript(), filepath.Join(grid.Checkout(), "build", "run-job")} {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(runJob), filepath.Base(path)), b, 0o755); err != nil {
			return err
		}
	}
	return os.Setenv("HEDDLE_CHECKOUT", grid.Checkout())
}

// example is a file of examples/.
func example(name string) string { return filepath.Join(grid.Checkout(), "examples", name) }

// job is one job of a test: its files and what is set over them.
type job struct {
	t     testing.TB
	g     *grid.Grid
	name  string
	files []string
	over  [][2]string
}

// newJob is a job of a name of its own; its topics, application and processes are gone after the
// test.
func newJob(t testing.TB, g *grid.Grid, name string, files ...string) *job {
	t.Helper()
	j := &job{t: t, g: g, name: name, files: files}
	j.set("job.name", name)
	j.set("systems.kafka.producer.bootstrap.servers", g.KafkaAddress)
	t.Cleanup(func() {
		if f := j.factory(); f == "thread" || f == "process" {
			g.DeleteTopics(t, j.topics()...)
			return
		}
		for _, a := range g.Applications(t, "NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING") {
			if a.Name == name+"_1" {
				if t.Failed() {
					j.showLogs(a.ID)
				}
				g.KillApplication(t, a.ID)
			}
		}
		g.DeleteTopics(t, j.topics()...)
	})
	return j
}

// factory is the job factory that the test sets; "" if it sets none.
func (j *job) factory() string {
	f := ""
	for _, kv := range j.over {
		if kv[0] == "job.factory.class" {
			f = kv[1]
		}
	}
	return f
}

// topics are those that the job makes for itself.
func (j *job) topics() []string {
	return []string{"__samza_coordinator_" + topicPart(j.name) + "_1", "__samza_checkpoint_ver_1_for_" + topicPart(j.name) + "_1"}
}

// topicPart is how a job's name stands in the names of its topics.
func topicPart(name string) string { return strings.ReplaceAll(name, "_", "-") }

// set sets a key over the files; an empty value removes it.
func (j *job) set(key, value string) { j.over = append(j.over, [2]string{key, value}) }

func (j *job) config() []string {
	var args []string
	for _, f := range j.files {
		args = append(args, "--config-path="+f)
	}
	for _, kv := range j.over {
		args = append(args, "--config", kv[0]+"="+kv[1])
	}
	return args
}

// showLogs puts an application's logs into the test's, whatever the commands say of them.
func (j *job) showLogs(application string) {
	r := try(j.t, "logs", application)
	lines := strings.Split(r.stdout, "\n")
	j.t.Logf("logs of %s, the last lines:\n%s", application, strings.Join(lines[max(0, len(lines)-60):], "\n"))
}

// result is how a command ended.
type result struct {
	args           []string
	code           int
	stdout, stderr string
	took           time.Duration
}

// firstError is the line of stderr that says what is wrong.
func (r result) firstError() string {
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "run-job: ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func (r result) String() string {
	return fmt.Sprintf("run-job %s\nexit code %d after %.1f s\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, r.took.Seconds(), tail(r.stdout), tail(r.stderr))
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

// try runs run-job.sh to its end.
func try(t testing.TB, args ...string) result {
	t.Helper()
	p := start(t, args...)
	return p.wait(commandLimit)
}

// run runs the job with further arguments (or a command, given first, with the job's configuration)
// and fails the test unless it ends with the exit code.
func (j *job) run(code int, args ...string) result {
	j.t.Helper()
	r := try(j.t, append(slices.Clone(args), j.config()...)...)
	if r.code != code {
		j.t.Fatalf("exit code %d expected: %s", code, r)
	}
	return r
}

// start starts the job in the background.
func (j *job) start(args ...string) *process {
	j.t.Helper()
	return start(j.t, append(slices.Clone(args), j.config()...)...)
}

// submit submits the job to YARN and returns its application id once all its containers run.
func (j *job) submit(args ...string) string {
	j.t.Helper()
	return j.submitted(j.start(args...))
}

// submitted waits for a submit that was started and returns the application id.
func (j *job) submitted(p *process) string {
	j.t.Helper()
	r := p.wait(commandLimit)
	id := strings.TrimSpace(r.stdout)
	if r.code != 0 || !strings.HasPrefix(id, "application_") || strings.Contains(id, "\n") {
		j.t.Fatalf("the submit's stdout is no application id alone: %s", r)
	}
	return id
}

// process is a command that runs.
type process struct {
	t              testing.TB
	args           []string
	cmd            *exec.Cmd
	began          time.Time
	stdout, stderr buffer
	done           chan struct{}
	err            error
}

// buffer takes output while others look at it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{t: t, args: args, began: time.Now(), done: make(chan struct{})}
	p.cmd = exec.Command(runJob, args...)
	p.cmd.Dir = workDir
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// A group of its own, so that nothing that it started outlives the test.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	})
	return p
}

// signal sends a signal to the command alone: the script has become run-job by then.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

func (p *process) wait(limit time.Duration) result {
	p.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.signal(syscall.SIGQUIT) // Go's stacks, to stderr
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("not done within %s: %s", limit, p.result())
	}
	return p.result()
}

func (p *process) result() result {
	r := result{args: p.args, stdout: p.stdout.String(), stderr: p.stderr.String(), took: time.Since(p.began)}
	select {
	case <-p.done:
		r.code = p.cmd.ProcessState.ExitCode()
	default:
		r.code = -1
	}
	return r
}

// awaitOutput waits until the command has printed the text.
func (p *process) awaitOutput(text string) {
	p.t.Helper()
	grid.Eventually(p.t, commandLimit, fmt.Sprintf("run-job prints %q", text), func() (bool, string) {
		all := p.stdout.String() + p.stderr.String()
		select {
		case <-p.done:
			if !strings.Contains(all, text) {
				p.t.Fatalf("it ended without %q: %s", text, p.result())
			}
		default:
		}
		return strings.Contains(all, text), tail(all)
	})
}

// status is what `status --json` says.
type status struct {
	ApplicationID string `json:"applicationId"`
	State         string `json:"state"`
	FinalStatus   string `json:"finalStatus"`
	TrackingURL   string `json:"trackingUrl"`
	Diagnostics   string `json:"diagnostics"`
	Containers    struct {
		Wanted, Running int
	} `json:"containers"`
	Job *appStatus `json:"job"`
}

// appStatus is what the application master says of itself.
type appStatus struct {
	ApplicationID string `json:"applicationId"`
	AttemptID     string `json:"attemptId"`
	State         string `json:"state"`
	Containers    struct {
		Wanted, Running, Failures int
	} `json:"containers"`
	Totals struct {
		Processed, Sent, Commits int64
	} `json:"totals"`
	ContainerList []struct {
		ID          string `json:"id"`
		ExecutionID string `json:"executionContainerId"`
		Host        string `json:"host"`
		State       string `json:"state"`
		Starts      int    `json:"starts"`
	} `json:"containerList"`
}

// get asks an HTTP server and gives the answer's code, header and body; redirects are followed
// within YARN only if follow is set.
func get(t testing.TB, url, credential string, follow bool) (int, http.Header, []byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	client := http.Client{}
	if !follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// ask decodes the answer of the application master's API, as seen through YARN's proxy.
func ask(t testing.TB, g *grid.Grid, application, path string, into any) error {
	t.Helper()
	code, _, body, err := get(t, g.RMWeb+"/proxy/"+application+"/api/v1/"+path, "", true)
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, code, tail(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w in %s", path, err, tail(string(body)))
	}
	return nil
}

// positions gives where the job's tasks are in a topic: the offset that each partition goes on at.
func positions(t testing.TB, g *grid.Grid, application, topic string) (map[int32]int64, error) {
	t.Helper()
	var answer struct {
		Tasks []struct {
			Inputs []struct {
				Stream    string `json:"stream"`
				Partition int32  `json:"partition"`
				Next      int64  `json:"next"`
			} `json:"inputs"`
		} `json:"tasks"`
	}
	if err := ask(t, g, application, "tasks", &answer); err != nil {
		return nil, err
	}
	at := map[int32]int64{}
	for _, task := range answer.Tasks {
		for _, in := range task.Inputs {
			if in.Stream == topic {
				at[in.Partition] = in.Next
			}
		}
	}
	return at, nil
}

// awaitRead waits until the job has processed all that the topic holds now.
func (j *job) awaitRead(application, topic string) {
	j.t.Helper()
	ends := j.g.EndOffsets(j.t, topic)
	grid.Eventually(j.t, soon, fmt.Sprintf("%s has read %s", application, topic), func() (bool, string) {
		at, err := positions(j.t, j.g, application, topic)
		if err != nil {
			return false, err.Error()
		}
		for p, end := range ends {
			if end > 0 && at[p] < end {
				return false, fmt.Sprintf("at %v of %v", at, ends)
			}
		}
		return true, ""
	})
}

// appStatus asks the application master.
func (j *job) appStatus(application string) (appStatus, error) {
	var s appStatus
	return s, ask(j.t, j.g, application, "status", &s)
}

// awaitReplaced waits until all containers run, and none of them is one of these executions.
func (j *job) awaitReplaced(limit time.Duration, application string, executions ...string) appStatus {
	j.t.Helper()
	var s appStatus
	grid.Eventually(j.t, limit, fmt.Sprintf("%s runs with all its containers, and none of %v", application, executions), func() (bool, string) {
		var err error
		if s, err = j.appStatus(application); err != nil {
			return false, err.Error()
		}
		for _, c := range s.ContainerList {
			if slices.Contains(executions, c.ExecutionID) {
				return false, fmt.Sprintf("%+v", s)
			}
		}
		return s.Containers.Wanted > 0 && s.Containers.Running == s.Containers.Wanted, fmt.Sprintf("%+v", s)
	})
	return s
}

// awaitRunning waits until all containers say that they run.
func (j *job) awaitRunning(application string) appStatus {
	j.t.Helper()
	return j.awaitReplaced(soon, application)
}

// kill stops the job by the command and fails the test unless it was a graceful stop.
func (j *job) kill(application string) {
	j.t.Helper()
	if r := try(j.t, "kill", application); r.code != 0 || strings.Contains(r.stderr, "killing it") {
		j.t.Fatalf("the job was not stopped gracefully: %s", r)
	}
}

// awaitNoProcess waits until no process of the application is left.
func (j *job) awaitNoProcess(application string) {
	j.t.Helper()
	grid.Eventually(j.t, soon, "no process of "+application+" is left", func() (bool, string) {
		left := j.g.Processes(j.t, "", application)
		return len(left) == 0, fmt.Sprint(left)
	})
}

// stagingFolders are the application folders that are left in the user's staging folder.
func stagingFolders(t testing.TB, g *grid.Grid) []string {
	t.Helper()
	user := os.Getenv("HADOOP_USER_NAME")
	if user == "" {
		user = currentUser(t)
	}
	code, _, body, err := get(t, g.NameNodeWeb+"/webhdfs/v1/user/"+user+"/.heddle/staging?op=LISTSTATUS", "", true)
	if err != nil {
		t.Fatal(err)
	}
	if code == http.StatusNotFound {
		return nil
	}
	var answer struct {
		FileStatuses struct {
			FileStatus []struct {
				PathSuffix string `json:"pathSuffix"`
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || code != http.StatusOK {
		t.Fatalf("WebHDFS: %d %s %v", code, body, err)
	}
	var names []string
	for _, f := range answer.FileStatuses.FileStatus {
		names = append(names, f.PathSuffix)
	}
	return names
}

func currentUser(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// sharedPackage is a package of a program, made once, for tests that are not about packages.
func sharedPackage(t testing.TB, g *grid.Grid, file string) string {
	t.Helper()
	packages.mu.Lock()
	defer packages.mu.Unlock()
	dir := filepath.Dir(file)
	if path, ok := packages.made[dir]; ok {
		return path
	}
	path := filepath.Join(workDir, "package-"+filepath.Base(dir)+".tar.gz")
	r := try(t, "package", "--output="+path, "--config-path="+file, "--config", "systems.kafka.producer.bootstrap.servers="+g.KafkaAddress)
	if r.code != 0 {
		t.Fatal(r)
	}
	packages.made[dir] = path
	return path
}

var packages = struct {
	mu   sync.Mutex
	made map[string]string
}{made: map[string]string{}}
