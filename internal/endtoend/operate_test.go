//go:build grid

package endtoend

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/coordinator"
	"heddle/internal/grid"
)

func (l *latencyJob) produceDistinct(n int) []*kgo.Record {
	l.t.Helper()
	click := distinctClick(l.in, int32(len(l.g.EndOffsets(l.t, l.in))))
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = click(i)
	}
	l.g.Produce(l.t, records...)
	return records
}

func TestWaysToKill(t *testing.T) {
	g := grid.Use(t)
	type way struct {
		name, final string
		graceful    bool
		kill        func(t *testing.T, j *job, id string)
	}
	ways := []way{
		{"run-job kill", "KILLED", true, func(t *testing.T, j *job, id string) {
			if r := try(t, "kill", id); r.code != 0 {
				t.Fatal(r)
			}
		}},
		{"operation", "KILLED", true, func(t *testing.T, j *job, id string) { j.run(0, "--operation=kill") }},
		{"ResourceManager", "KILLED", false, func(t *testing.T, j *job, id string) { g.KillApplication(t, id) }},
	}
	if soaking { // it waits until kill forces the end
		ways = append(ways, way{"run-job kill of a frozen container", "KILLED", false, func(t *testing.T, j *job, id string) {
			for _, p := range g.Processes(t, "run-container", id) {
				if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if r := j.run(1, "kill", "--config", "task.shutdown.ms=1"); !strings.Contains(r.stderr, "was killed, as it did not stop within 5.001s") {
				t.Errorf("it does not say what it did: %s", r)
			}
		}})
	}
	for _, tt := range ways {
		t.Run(tt.name, func(t *testing.T) {
			l := newLatency(t, g, "yarn", 4)
			sent := l.produceDistinct(400)
			id := l.submit()
			l.awaitRead(id, l.in)
			if !slices.Contains(stagingFolders(t, g), id) {
				t.Errorf("a running application has no staging folder: %v", stagingFolders(t, g))
			}
			tt.kill(t, l.job, id)
			app := g.AwaitApplication(t, soon, id, "FINISHED", "KILLED", "FAILED")
			if app.FinalStatus != tt.final {
				t.Errorf("final status %s, want %s: %s", app.FinalStatus, tt.final, app.Diagnostics)
			}
			l.awaitNoProcess(id)
			if r := l.run(0, "--operation=status"); !strings.Contains(r.stdout, id) || !strings.Contains(r.stdout, tt.final) {
				t.Errorf("status after the end: %s", r)
			}
			// To kill what has ended is no failure, and cleans up.
			if r := l.run(0, "kill"); !strings.Contains(r.stderr, "has ended already") {
				t.Errorf("a second kill: %s", r)
			}
			if slices.Contains(stagingFolders(t, g), id) {
				t.Errorf("the staging folder of %s is still there", id)
			}
			if _, err := os.Stat(secretFile(t, id)); err == nil {
				t.Errorf("the secret of %s is still there", id)
			}
			if !tt.graceful {
				l.run(0, "--until-caught-up") // what was not committed comes again
			}
			d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
			t.Log(d)
			if d.Lost > 0 || d.Unknown > 0 || tt.graceful && !d.Exact() {
				t.Errorf("delivery: %s", d)
			}
		})
	}
}

// What an application leaves goes with it; a submit removes what was left by applications that were
// killed.
func TestStagingIsSwept(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 1)
	dead := l.submit()
	g.KillApplication(t, dead)
	detached := l.submit("--until-caught-up", "--detach")
	if left := stagingFolders(t, g); slices.Contains(left, dead) {
		t.Errorf("%s was killed and is still in %v", dead, left)
	}
	if app := g.AwaitApplication(t, soon, detached, "FINISHED", "FAILED", "KILLED"); app.FinalStatus != "SUCCEEDED" {
		t.Errorf("with nothing to read: %s %s", app.FinalStatus, app.Diagnostics)
	}
	// Nobody looks, and the application master has removed its files itself.
	grid.Eventually(t, soon, "the folder of "+detached+" is gone", func() (bool, string) {
		left := stagingFolders(t, g)
		return !slices.Contains(left, detached), strings.Join(left, " ")
	})
	l.run(0, "--until-caught-up")
	if left := stagingFolders(t, g); slices.Contains(left, detached) || slices.Contains(left, dead) {
		t.Errorf("ended applications are still in %v", left)
	}
}

func secretFile(t testing.TB, application string) string {
	t.Helper()
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "heddle", "secrets", application)
}

func TestPackages(t *testing.T) {
	g := grid.Use(t)
	file := example("latency/latency.properties")
	local := sharedPackage(t, g, file)
	content, err := os.ReadFile(local)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the package has %.1f MiB (target 30)", float64(len(content))/(1<<20))
	if len(content) > 30<<20 {
		t.Errorf("the package has %d bytes", len(content))
	}
	hash := sha256.Sum256(content)
	server := httptest.NewServer(http.StripPrefix("/"+hex.EncodeToString(hash[:]), http.FileServer(http.Dir(filepath.Dir(local)))))
	t.Cleanup(server.Close)
	remote := g.DefaultFS + "/endtoend/" + grid.Name("package") + ".tar.gz"

	for _, tt := range []struct{ name, path string }{
		{"none", ""},
		{"local", local},
		{"file URI", "file://" + local},
		{"hdfs", remote},
		{"http", server.URL + "/" + hex.EncodeToString(hash[:]) + "/" + filepath.Base(local)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLatency(t, g, "yarn", 2)
			l.set("yarn.package.path", tt.path)
			if tt.path == remote {
				l.run(0, "package", "--upload="+remote)
			}
			sent := l.produceDistinct(200)
			l.run(0, "--until-caught-up")
			d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
			exactly(t, d)
		})
	}
	for _, tt := range []struct {
		name, path, says string
	}{
		{"missing", filepath.Join(workDir, "nowhere.tar.gz"), "yarn.package.path"},
		{"no tar.gz", file, "yarn.package.path"},
		{"missing in hdfs", g.DefaultFS + "/endtoend/nowhere.tar.gz", "yarn.package.path"},
		{"missing by http", server.URL + "/nowhere.tar.gz", "yarn.package.path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(g.Applications(t))
			l := newLatency(t, g, "yarn", 1)
			l.set("yarn.package.path", tt.path)
			if r := l.run(2); !strings.Contains(r.firstError(), tt.says) {
				t.Errorf("the error does not say %q: %s", tt.says, r)
			}
			if n := len(g.Applications(t)); n != before {
				t.Errorf("%d applications more", n-before)
			}
		})
	}
}

func TestSecondSubmit(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 2)
	first := l.submit()
	r := l.run(3)
	if !strings.Contains(r.firstError(), first) {
		t.Errorf("the refusal does not name %s: %s", first, r)
	}
	if app := g.Application(t, first); app.State != "RUNNING" {
		t.Errorf("the running job is %s after the refused submit", app.State)
	}
	second := l.submit("--replace")
	if app := g.Application(t, first); app.FinalStatus != "KILLED" || second == first {
		t.Errorf("%s was replaced by %s and is %s %s", first, second, app.State, app.FinalStatus)
	}
	l.kill(second)
}

func TestTwoSubmitsAtOnce(t *testing.T) {
	g := grid.Use(t)
	l := newLatency(t, g, "yarn", 2)
	sent := l.produceDistinct(200)
	// Both say who they are in the coordinator stream.
	submits := map[string]*process{}
	for _, who := range []string{"one", "two"} {
		submits[who] = start(t, append(l.config(), "--config", "task.my.submit="+who)...)
	}
	var winner, id string
	for who, p := range submits {
		switch r := p.wait(commandLimit); r.code {
		case 0:
			if winner != "" {
				t.Errorf("both submits won: %s", r)
			}
			winner, id = who, lastLine(r.stdout)
		case 3:
			if !regexp.MustCompile(`application_\d+_\d+`).MatchString(r.firstError()) {
				t.Errorf("the refusal names no application: %s", r)
			}
		default:
			t.Errorf("neither won nor refused: %s", r)
		}
	}
	if winner == "" {
		t.Fatal("neither submit won")
	}
	running := 0
	for _, a := range g.Applications(t, "NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING") {
		if a.Name == l.name+"_1" {
			running++
		}
	}
	if running != 1 {
		t.Errorf("%d applications of the job run", running)
	}
	if got := coordinatorConfig(t, g, l.name)["task.my.submit"]; got != winner {
		t.Errorf("the coordinator stream is that of %q, the winner is %q", got, winner)
	}
	l.awaitRead(id, l.in)
	l.kill(id)
	d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
	exactly(t, d)
}

// coordinatorConfig is the configuration in a job's coordinator stream.
func coordinatorConfig(t testing.TB, g *grid.Grid, jobName string) map[string]string {
	t.Helper()
	config := map[string]string{}
	for key, value := range lastByKey(g.ReadAll(t, "__samza_coordinator_"+topicPart(jobName)+"_1")) {
		var k []any
		var v struct {
			Values map[string]string `json:"values"`
		}
		if json.Unmarshal([]byte(key), &k) != nil || len(k) != 3 || k[1] != "set-config" {
			continue
		}
		if err := json.Unmarshal(value, &v); err != nil {
			t.Fatalf("coordinator stream: %s %s: %v", key, value, err)
		}
		config[fmt.Sprint(k[2])] = v.Values["value"]
	}
	return config
}

func TestWhatCommandsPrint(t *testing.T) {
	g := grid.Use(t)
	const secret = "hunter2-is-my-secret"
	l := newLatency(t, g, "yarn", 2)
	l.set("sensitive.mine", secret)
	sent := l.produceDistinct(100)
	id := l.submit()
	l.awaitRead(id, l.in)

	t.Run("status", func(t *testing.T) {
		// A report's counters are a moment older than the positions in it.
		grid.Eventually(t, soon, "all are counted", func() (bool, string) {
			s, err := l.appStatus(id)
			return err == nil && s.Totals.Processed == 100, fmt.Sprintf("%+v, %v", s, err)
		})
		for _, args := range [][]string{{"status", id, "--json"}, append([]string{"status", "--json"}, l.config()...)} {
			r := try(t, args...)
			var s status
			if err := json.Unmarshal([]byte(r.stdout), &s); err != nil || r.code != 0 {
				t.Fatalf("%v: %s", err, r)
			}
			if s.ApplicationID != id || s.State != "RUNNING" || s.FinalStatus != "UNDEFINED" || !strings.Contains(s.TrackingURL, id) ||
				s.Containers.Wanted != 1 || s.Containers.Running != 1 || s.Job == nil || s.Job.Totals.Processed != 100 {
				t.Errorf("status: %s", r.stdout)
			}
		}
		if r := try(t, "status", "application_1_1"); r.code != 2 || !strings.Contains(r.firstError(), "application_1_1") {
			t.Errorf("an unknown application: %s", r)
		}
	})
	t.Run("list", func(t *testing.T) {
		r := try(t, "list", "--json")
		found := false
		for line := range strings.Lines(r.stdout) {
			var s struct{ ApplicationID, Name, State string }
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatalf("%v: %s", err, r)
			}
			found = found || s.ApplicationID == id && s.Name == l.name+"_1" && s.State == "RUNNING"
		}
		if !found || r.code != 0 {
			t.Errorf("list: %s", r)
		}
	})
	t.Run("logs", func(t *testing.T) {
		r := try(t, "logs", id)
		if r.code != 0 || !strings.Contains(r.stdout, "(application master)") || !strings.Contains(r.stdout, "container starts") {
			t.Errorf("logs: %s", r)
		}
		if strings.Contains(r.stdout, secret) {
			t.Error("the logs hold a secret")
		}
		follow := start(t, "logs", "--follow", id)
		follow.awaitOutput("container starts")
		follow.signal(2)
		if r := follow.wait(commandLimit); r.code != 0 {
			t.Errorf("Ctrl-C of logs --follow: %s", r)
		}
	})
	t.Run("topic tail", func(t *testing.T) {
		// Windows are a second long.
		grid.Eventually(t, soon, "output", func() (bool, string) { return len(g.ReadAll(t, l.out)) > 100, "" })
		r := l.run(0, "topic", "tail", "kafka."+l.in, "--until-end", "--json", "--max=3")
		lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
		if len(lines) != 3 {
			t.Fatalf("--max=3: %s", r)
		}
		for _, line := range lines {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			for _, field := range []string{"topic", "partition", "offset", "timestamp", "key", "value"} {
				if _, ok := m[field]; !ok {
					t.Errorf("%s is missing in %s", field, line)
				}
			}
			value, _ := m["value"].(map[string]any)
			if m["topic"] != l.in || !strings.HasPrefix(fmt.Sprint(m["key"]), "m-") || value["url"] == nil {
				t.Errorf("a message: %s", line)
			}
		}
		if all := l.run(0, "topic", "tail", "--until-end", "--json", "kafka."+l.in); strings.Count(all.stdout, "\n") != len(sent) {
			t.Errorf("%d lines for %d messages", strings.Count(all.stdout, "\n"), len(sent))
		}
	})
	t.Run("HTTP", func(t *testing.T) { l.checkHTTP(t, id, secret) })
	t.Run("secrets", func(t *testing.T) {
		for _, r := range g.ReadAll(t, "__samza_coordinator_"+topicPart(l.name)+"_1") {
			if bytes.Contains(r.Value, []byte(secret)) {
				t.Errorf("the coordinator stream holds a secret: %s", r.Value)
			}
		}
		for _, p := range g.Processes(t, "", id) {
			if strings.Contains(p.Command, secret) {
				t.Errorf("a process's arguments hold a secret: %s", p.Command)
			}
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
			if err == nil && bytes.Contains(environ, []byte(secret)) {
				t.Errorf("the environment of %s holds a secret", p.Container)
			}
		}
		noFileHolds(t, g, id, secret)
	})
	l.kill(id)
	if r := try(t, "status", id, "--json"); r.code != 0 || !strings.Contains(r.stdout, `"finalStatus":"KILLED"`) {
		t.Errorf("status after the end: %s", r)
	}
}

// noFileHolds searches the log folders of the NodeManagers, into which YARN copies launch scripts.
func noFileHolds(t *testing.T, g *grid.Grid, id, secret string) {
	t.Helper()
	searched := 0
	logs, err := filepath.Glob(filepath.Join(g.Home, "nm*", "logs", "*", id))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(g.Home, "nm*", "logs", id))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(logs, more...) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			searched++
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds a secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if searched == 0 {
		t.Errorf("no log file of %s was found in %s", id, g.Home)
	}
}

// checkHTTP holds the application master's server to the contract.
func (l *latencyJob) checkHTTP(t *testing.T, id, secret string) {
	g := l.g
	master := g.Processes(t, "run-am", id)[0]
	direct := coordinatorURL(t, g, id)
	text, err := os.ReadFile(secretFile(t, id))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(secretFile(t, id)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's file: %v %v", info.Mode(), err)
	}
	job, err := coordinator.ParseSecret(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(path, credential string, want int) (http.Header, string) {
		t.Helper()
		code, header, body, err := get(t, direct+path, credential, false)
		if err != nil {
			t.Fatalf("%s (master %d): %v", path, master.PID, err)
		}
		if code != want {
			t.Errorf("GET /%s: %d, want %d: %s", path, code, want, tail(string(body)))
		}
		if bytes.Contains(body, []byte(secret)) || bytes.Contains(body, bytes.TrimSpace(text)) {
			t.Errorf("GET /%s shows a secret", path)
		}
		return header, string(body)
	}
	_, model := fetch("", coordinator.DeriveCredential(job, "0"), http.StatusOK)
	var m struct {
		Config     map[string]string `json:"config"`
		Containers map[string]struct {
			ID    string         `json:"processor-id"`
			Tasks map[string]any `json:"tasks"`
		} `json:"containers"`
	}
	if err := json.Unmarshal([]byte(model), &m); err != nil || len(m.Containers) != 1 || len(m.Containers["0"].Tasks) != 2 || m.Config["job.name"] != l.name {
		t.Errorf("the JobModel (%v): %s", err, tail(model))
	}
	if header, _ := fetch("", "", http.StatusFound); header.Get("Location") != "ui/" {
		t.Errorf("/ without a credential leads to %q", header.Get("Location"))
	}
	fetch("", "not-a-credential", http.StatusUnauthorized)
	fetch("", coordinator.DeriveCredential(job, "1"), http.StatusUnauthorized)
	fetch("api/v1/containers/0/next?executionContainerId=x", "", http.StatusUnauthorized)
	fetch("locality", "", http.StatusOK)
	if _, body := fetch("healthz", "", http.StatusOK); body != "ok\n" {
		t.Errorf("healthz: %q", body)
	}
	fetch("readyz", "", http.StatusOK)
	if _, body := fetch("metrics", "", http.StatusOK); !strings.Contains(body, "# TYPE heddle_") {
		t.Errorf("metrics: %s", tail(body))
	}
	fetch("ui/api/v1/config", "", http.StatusOK)
	fetch("ui/api/v1/stop", "", http.StatusMethodNotAllowed)
	status, err := l.appStatus(id)
	if err != nil {
		t.Fatal(err)
	}
	execution := status.ContainerList[0].ExecutionID
	if _, body := fetch("containerHeartbeat?executionContainerId="+execution, "", http.StatusOK); !strings.Contains(body, "true") {
		t.Errorf("heartbeat of %s: %s", execution, body)
	}
	if _, body := fetch("containerHeartbeat?executionContainerId=container_1_1_1_1", "", http.StatusOK); !strings.Contains(body, "false") {
		t.Errorf("heartbeat of a stranger: %s", body)
	}

	// Through YARN's proxy, as the tracking URL leads there.
	proxy := g.RMWeb + "/proxy/" + id + "/"
	code, _, page, err := get(t, proxy, "", true)
	if err != nil || code != http.StatusOK || !bytes.Contains(page, []byte(l.name)) {
		t.Fatalf("the page through the proxy: %d %v %s", code, err, tail(string(page)))
	}
	links := regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(string(page), -1)
	if len(links) == 0 {
		t.Errorf("the page has no links: %s", tail(string(page)))
	}
	for _, link := range links {
		target := link[1]
		switch {
		case strings.Contains(target, "/node/containerlogs/"): // a NodeManager's own page
			continue
		case strings.HasPrefix(target, "#"), strings.HasPrefix(target, "data:"):
			continue
		case strings.HasPrefix(target, "/"), strings.Contains(target, "://"):
			t.Errorf("the link %q is not relative", target)
			continue
		}
		if code, _, _, err := get(t, proxy+target, "", true); err != nil || code != http.StatusOK {
			t.Errorf("the link %q through the proxy: %d %v", target, code, err)
		}
	}
}

// coordinatorURL finds where an application master listens: from the environment of its container.
func coordinatorURL(t testing.TB, g *grid.Grid, id string) string {
	t.Helper()
	for _, p := range g.Processes(t, "run-container", id) {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
		if err != nil {
			continue
		}
		for v := range strings.SplitSeq(string(environ), "\x00") {
			if url, ok := strings.CutPrefix(v, "SAMZA_COORDINATOR_URL="); ok {
				return url
			}
		}
	}
	t.Fatalf("no container of %s knows its coordinator's address", id)
	return ""
}

func untilCaughtUp(t *testing.T, factories ...string) {
	t.Helper()
	g := grid.Use(t)
	for _, factory := range factories {
		t.Run(factory, func(t *testing.T) {
			l := newLatency(t, g, factory, 4)
			live := produceLive(t, g, distinctClick(l.in, 4), 20, 10*time.Millisecond)
			grid.Eventually(t, soon, "some input", func() (bool, string) { return live.count() > 200, "" })
			r := l.run(0, "--until-caught-up") // though the input goes on
			sent := live.finish()
			if again := l.run(0, "--until-caught-up"); again.code != 0 {
				t.Fatal(again)
			}
			t.Logf("ended after %.1f s under a live input", r.took.Seconds())
			d, _ := deliveryOf(t, sent, g.ReadAll(t, l.out))
			exactly(t, d)
		})
	}
}

// What only the cluster knows is told with the key that is at fault, and leaves nothing behind.
func TestWhatTheClusterRefuses(t *testing.T) {
	g := grid.Use(t)
	for _, tt := range []struct{ key, value, says string }{
		{"cluster-manager.container.memory.mb", "1000000", "at most"},
		{"cluster-manager.container.cpu.cores", "1000", "at most"},
		{"yarn.am.container.memory.mb", "1000000", "at most"},
		{"yarn.queue", "nowhere", "queues that take jobs: root.default"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			l := newLatency(t, g, "yarn", 1)
			l.set(tt.key, tt.value)
			r := l.run(2)
			if e := r.firstError(); !strings.Contains(e, "--config: "+tt.key+": ") || !strings.Contains(e, tt.says) {
				t.Errorf("the error does not say %q: %s", tt.says, r)
			}
			for _, a := range g.Applications(t) {
				if a.Name == l.name+"_1" && (a.State != "FAILED" || slices.Contains(stagingFolders(t, g), a.ID)) {
					t.Errorf("left: %+v, %v", a, stagingFolders(t, g))
				}
			}
		})
	}
}
