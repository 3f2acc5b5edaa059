package coordinator

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"heddle/jobmodel"
)

func TestJobModelNeedsACredential(t *testing.T) {
	s, _ := newServer(t, nil)
	url := serve(t, s)
	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"none", nil, 302},
		{"another scheme", []string{"Authorization", "Basic abc"}, 302},
		{"empty", []string{"Authorization", "Bearer "}, 401},
		{"garbage", []string{"Authorization", "Bearer x"}, 401},
		{"the secret itself", []string{"Authorization", "Bearer " + SecretText(testSecret)}, 401},
		{"a container of no model", as("2"), 401},
		{"another job's", []string{"Authorization", "Bearer " + DeriveCredential([]byte("other"), "0")}, 401},
		{"container 0", as("0"), 200},
		{"container 1", as("1"), 200},
	} {
		a := ask(t, "GET", url+"/", "", c.headers...)
		if a.code != c.want {
			t.Errorf("%s: %d, want %d", c.name, a.code, c.want)
		}
		switch a.code {
		case 302:
			if l := a.header.Get("Location"); l != "ui/" {
				t.Errorf("%s: leads to %q, want the relative ui/", c.name, l)
			}
		case 401:
			if strings.Contains(a.body, "tasks") || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s", c.name, a.body)
			}
		case 200:
			m, err := jobmodel.Decode([]byte(a.body))
			if err != nil || m.TaskCount() != 4 {
				t.Errorf("%s: %v", c.name, err)
			}
			if ct := a.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("%s: content type %q; Samza names no charset", c.name, ct)
			}
			if v, _ := m.Config.Get("task.inputs"); v != "kafka.a" {
				t.Errorf("%s: the configuration is missing", c.name)
			}
		}
	}
}

func TestNoSecretNobodyGetsIn(t *testing.T) {
	s, f := newServer(t, func(o *Options) { o.Secret = nil })
	url := serve(t, s)
	for _, secret := range []string{"", DeriveCredential(nil, "0"), DeriveCredential([]byte{}, "0")} {
		if a := ask(t, "GET", url+"/", "", "Authorization", "Bearer "+secret); a.code != 401 {
			t.Errorf("JobModel with %q: %d", secret, a.code)
		}
		if a := ask(t, "POST", url+"/ui/api/v1/stop", `{"secret":"`+secret+`"}`); a.code != 403 {
			t.Errorf("stop with %q: %d", secret, a.code)
		}
	}
	if len(f.stops) > 0 {
		t.Error("stopped")
	}
}

// Samza's documents, as they were served by a real one.
func TestSamzasPaths(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s)
	same := func(path, golden string) {
		t.Helper()
		a := ask(t, "GET", url+path, "")
		if a.code != 200 || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, a.code, a.header.Get("Content-Type"))
		}
		equal(t, path, generic(t, []byte(a.body)), generic(t, goldenFile(t, golden)))
	}
	same("/locality", "am-http-locality.json")
	same("/locality?processorId=0", "am-http-locality-processor.json")
	same("/containerHeartbeat?executionContainerId=container_1_0001_01_000002", "am-http-containerHeartbeat.json")
	f.hosts = map[string]string{"0": "node1"}
	for path, want := range map[string]string{
		"/locality":                                   `{"processor-localities":{"0":{"id":"0","host":"node1","jmx-url":"","jmx-tunneling-url":""}}}`,
		"/locality?processorId=0":                     `{"id":"0","host":"node1","jmx-url":"","jmx-tunneling-url":""}`,
		"/locality?processorId=7":                     `{"id":"7","host":"","jmx-url":"","jmx-tunneling-url":""}`,
		"/containerHeartbeat?executionContainerId=xy": `{"alive":false}`,
	} {
		if a := ask(t, "GET", url+path, ""); a.code != 200 || a.body != want {
			t.Errorf("%s: %d %s, want %s", path, a.code, a.body, want)
		}
	}
	if a := ask(t, "GET", url+"/containerHeartbeat", ""); a.code != 400 {
		t.Errorf("a heartbeat without an id: %d", a.code)
	}
}

func TestPathsAndMethods(t *testing.T) {
	s, _ := newServer(t, nil)
	url := serve(t, s)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/healthz", 200}, {"GET", "/ui/healthz", 200}, {"HEAD", "/healthz", 200},
		{"GET", "/metrics", 200}, {"GET", "/ui/metrics", 200},
		{"GET", "/ui/", 200}, {"HEAD", "/ui/", 200}, {"GET", "/ui/live", 200}, {"GET", "/ui/style.css", 200}, {"GET", "/ui/page.js", 200}, {"GET", "/ui/state.js", 200},
		{"GET", "/ui/ui/", 200}, {"GET", "/ui/ui/api/v1/status", 200},
		{"GET", "/ui", 302},
		{"GET", "/nothing", 404}, {"GET", "//", 404}, {"GET", "/../", 404}, {"GET", "/ui/../", 404}, {"GET", "/ui/../../etc/passwd", 404},
		{"GET", "/ui/page.html", 404}, {"GET", "/ui/live.html", 404}, {"GET", "/ui/%2e%2e/", 404}, {"GET", "/ui/..%2f", 404},
		{"GET", "/%2f", 404}, {"GET", "/api/v1/containers", 404}, {"GET", "/api/v1/containers/", 404}, {"GET", "/api/v1/containers//next", 404},
		{"GET", "/api/v1/containers/0", 404}, {"GET", "/api/v1/containers/0/next/x", 404}, {"GET", "/api/v1/containers/0/../1/next", 404},
		{"GET", "/api/v1/containers/0%2fnext", 401}, // decodes to .../0/next, which wants a credential
		{"POST", "/", 405}, {"DELETE", "/ui/api/v1/status", 405}, {"GET", "/ui/api/v1/stop", 405}, {"OPTIONS", "/", 405},
		{"POST", "/api/v1/containers/0/next", 405}, {"GET", "/api/v1/containers/0/report", 405},
		{"GET", "/ui/api/v1/tasks?container=0", 200}, {"GET", "/ui/api/v1/tasks?container=9", 404},
	} {
		a := ask(t, c.method, url+c.path, "")
		if a.code != c.want {
			t.Errorf("%s %s: %d, want %d (%s)", c.method, c.path, a.code, c.want, a.body)
		}
		if a.code == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
		if c.method == "HEAD" && a.body != "" {
			t.Errorf("%s %s: a body", c.method, c.path)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: no nosniff", c.method, c.path)
		}
	}
}

func reportBody(execution string, processed int64) string {
	b, _ := encode(Report{
		ExecutionID: execution, State: ContainerRunning, Counters: Counters{Processed: processed, Sent: 7},
		Tasks: []TaskReport{{Name: "Partition 0", State: ContainerRunning, Counters: Counters{Processed: processed},
			Inputs: []InputReport{{System: "kafka", Stream: "a", Partition: 0, Next: 90, HighWatermark: 100}}}},
		Metrics: map[string]map[string]any{"g\"1": {"n\n": 1.5, "text": "x", "flag": true}},
	})
	return string(b)
}

func TestReports(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s)
	path := url + "/api/v1/containers/0/report"
	good := reportBody("container_1_0001_01_000002", 10)
	for _, c := range []struct {
		name, body string
		headers    []string
		want       int
	}{
		{"no credential", good, nil, 401},
		{"another container's", good, as("1"), 403},
		{"no JSON", "x", as("0"), 400},
		{"an array", "[]", as("0"), 400},
		{"empty", "", as("0"), 400},
		{"no execution", `{"state":"running"}`, as("0"), 400},
		{"no state", `{"executionContainerId":"x"}`, as("0"), 400},
		{"a state of its own", `{"executionContainerId":"x","state":"<script>"}`, as("0"), 400},
		{"a number too large", `{"executionContainerId":"x","state":"running","startedAt":1e400}`, as("0"), 400},
		{"compressed", good, append(as("0"), "Content-Encoding", "gzip"), 415},
		{"too long", `{"lastError":"` + strings.Repeat("x", maxReport) + `"}`, as("0"), 413},
		{"good", good, as("0"), 200},
		{"good, by PUT and with what a newer version adds", strings.Replace(good, "{", `{"newer":[1,{"a":null}],`, 1), as("0"), 200},
	} {
		method := "POST"
		if strings.Contains(c.name, "PUT") {
			method = "PUT"
		}
		if a := ask(t, method, path, c.body, c.headers...); a.code != c.want {
			t.Errorf("%s: %d, want %d (%.200s)", c.name, a.code, c.want, a.body)
		} else if a.code == 200 && a.body != `{"alive":true,"nextReportMs":1000}` {
			t.Errorf("%s: %s", c.name, a.body)
		}
	}
	equal(t, "events", f.reports, []string{"0 running", "0 running"})

	f.set(func() { f.dead["container_1_0001_01_000002"] = true })
	if a := ask(t, "POST", path, good, as("0")...); a.code != 200 || a.body != `{"alive":false,"nextReportMs":1000}` {
		t.Errorf("a report of the dead: %d %s", a.code, a.body)
	}
	if len(f.reports) != 2 {
		t.Error("the report of one that does not count was counted")
	}
}

func TestStop(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s) + "/ui/api/v1/stop"
	secret := SecretText(testSecret)
	for _, c := range []struct {
		name, method, body string
		headers            []string
		want               int
	}{
		{"no secret", "POST", "", nil, 403},
		{"empty secret", "POST", `{"secret":""}`, nil, 403},
		{"wrong", "POST", `{"secret":"` + strings.Repeat("0", 64) + `"}`, nil, 403},
		{"a container's credential", "POST", `{"secret":"` + DeriveCredential(testSecret, "0") + `"}`, as("0"), 403},
		{"a prefix", "POST", `{"secret":"` + secret[:10] + `"}`, nil, 403},
		{"no JSON", "POST", secret, nil, 400},
		{"too long", "POST", strings.Repeat(" ", maxSmall+1), nil, 413},
		{"header", "POST", "", []string{"X-Heddle-Secret", secret}, 202},
		{"body", "PUT", `{"secret":"` + secret + `","reason":"run-job kill"}`, nil, 202},
	} {
		a := ask(t, c.method, url, c.body, c.headers...)
		if a.code != c.want {
			t.Errorf("%s: %d, want %d (%s)", c.name, a.code, c.want, a.body)
		}
		if strings.Contains(a.body, secret) {
			t.Errorf("%s: the secret comes back", c.name)
		}
	}
	equal(t, "events", f.stops, []string{"asked for over HTTP", "run-job kill"})
}

func TestNoSecretLeavesTheServer(t *testing.T) {
	s, f := newServer(t, nil)
	f.job.Diagnostics = "login failed with " + hidden
	f.containers[0].LastExit = "died of " + hidden
	url := serve(t, s)
	b, _ := encode(Report{ExecutionID: "container_1_0001_01_000002", State: ContainerRunning, LastError: "no " + hidden + " and " + SecretText(testSecret),
		Tasks: []TaskReport{{Name: "Partition 0", State: ContainerFailed, LastError: hidden}}})
	if a := ask(t, "POST", url+"/api/v1/containers/0/report", string(b), as("0")...); a.code != 200 {
		t.Fatal(a)
	}
	for _, path := range []string{"/", "/locality", "/ui/", "/ui/live", "/ui/api/v1/status", "/ui/api/v1/tasks", "/ui/api/v1/config", "/metrics", "/healthz", "/readyz"} {
		for _, who := range [][]string{nil, as("0")} {
			a := ask(t, "GET", url+path, "", who...)
			if strings.Contains(a.body, hidden) || strings.Contains(a.body, SecretText(testSecret)) {
				if path == "/" && !strings.Contains(strings.ReplaceAll(a.body, "http://user:"+hidden+"@h/", ""), hidden) {
					continue // a password in a URL of an ordinary key: the container needs it
				}
				t.Errorf("%s shows a secret: %s", path, a.body)
			}
		}
	}
	var shown map[string]string
	if err := json.Unmarshal([]byte(ask(t, "GET", url+"/ui/api/v1/config", "").body), &shown); err != nil {
		t.Fatal(err)
	}
	equal(t, "masked", shown["sensitive.x"], "********")
	equal(t, "plain", shown["a<b>"], "x&y")
	m, err := jobmodel.Decode([]byte(ask(t, "GET", url+"/", "", as("0")...).body))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Config.Get("sensitive.x"); ok {
		t.Error("the JobModel has the key of a secret")
	}
}

func TestLongPoll(t *testing.T) {
	s, f := newServer(t, func(o *Options) { o.PollWait = time.Minute })
	url := serve(t, s)
	next := func(container, query string, headers ...string) answer {
		return ask(t, "GET", url+"/api/v1/containers/"+container+"/next?"+query, "", headers...)
	}
	const exec0 = "executionContainerId=container_1_0001_01_000002"
	for _, c := range []struct {
		name, container, query string
		headers                []string
		want                   int
	}{
		{"no credential", "0", exec0, nil, 401},
		{"another's", "0", exec0, as("1"), 403},
		{"no execution", "0", "after=0", as("0"), 400},
		{"after no number", "0", exec0 + "&after=x", as("0"), 400},
		{"after negative", "0", exec0 + "&after=-1", as("0"), 400},
		{"an execution that does not count", "0", "executionContainerId=container_1_0001_01_000099", as("0"), 409},
	} {
		if a := next(c.container, c.query, c.headers...); a.code != c.want {
			t.Errorf("%s: %d, want %d (%s)", c.name, a.code, c.want, a.body)
		}
	}

	// A command that is there already, and one that comes while the poll is held.
	s.Send("0", "container_1_0001_01_000002", CommandPause, nil)
	if a := next("0", exec0, as("0")...); a.body != `{"commands":[{"seq":1,"type":"pause"}]}` {
		t.Errorf("first poll: %s", a.body)
	}
	got := make(chan string)
	go func() { got <- next("0", exec0+"&after=1", as("0")...).body }()
	s.Send("1", "", CommandStop, nil) // another container's
	for {
		s.boxes["0"].mu.Lock()
		waiting := s.boxes["0"].wake != nil && len(s.boxes["0"].queue) == 0
		s.boxes["0"].mu.Unlock()
		if waiting {
			break
		}
		runtime.Gosched()
	}
	s.Send("0", "container_1_0001_01_000002", CommandStop, map[string]string{"reason": "enough"})
	if b := <-got; b != `{"commands":[{"seq":2,"type":"stop","args":{"reason":"enough"}}]}` {
		t.Errorf("held poll: %s", b)
	}
	// An answer that was lost is given again.
	if a := next("0", exec0+"&after=1", as("0")...); !strings.Contains(a.body, `"seq":2`) {
		t.Errorf("asked again: %s", a.body)
	}

	// A replacement does not get what was meant for its predecessor.
	s.Send("0", "container_1_0001_01_000002", CommandStop, nil)
	f.set(func() { f.containers[1].ExecutionID = "container_1_0001_01_000009" })
	s.Send("0", "container_1_0001_01_000009", CommandResume, nil)
	if a := next("0", "executionContainerId=container_1_0001_01_000009", as("0")...); a.body != `{"commands":[{"seq":4,"type":"resume"}]}` {
		t.Errorf("replacement: %s", a.body)
	}
	if s.Send("7", "", CommandStop, nil) != 0 {
		t.Error("a command for a container that is none")
	}

	// A shutdown ends polls at once.
	go func() { got <- next("1", "executionContainerId=container_1_0001_01_000003&after=1", as("1")...).body }()
	go s.closeOne.Do(func() { close(s.closing) })
	if b := <-got; b != `{"commands":[]}` {
		t.Errorf("poll at shutdown: %s", b)
	}
}

func TestPollEndsByItself(t *testing.T) {
	s, _ := newServer(t, func(o *Options) { o.PollWait = time.Millisecond })
	url := serve(t, s)
	if a := ask(t, "GET", url+"/api/v1/containers/0/next?executionContainerId=container_1_0001_01_000002", "", as("0")...); a.code != 200 || a.body != `{"commands":[]}` {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestMailbox(t *testing.T) {
	var m mailbox
	for i := range maxLetters + 10 {
		if seq := m.put("e", CommandCommit, nil); seq != int64(i+1) {
			t.Fatal(seq)
		}
	}
	c, _ := m.take("e", 0)
	if len(c) != maxLetters || c[0].Seq != 11 {
		t.Errorf("%d commands from %d", len(c), c[0].Seq)
	}
	if c, _ = m.take("e", maxLetters+9); len(c) != 1 {
		t.Errorf("%d commands after the one before the last", len(c))
	}
	// A container that talked to an earlier coordinator knows higher numbers.
	if c, _ = m.take("e", 1<<40); len(c) != 1 {
		t.Errorf("%d commands after a number of another coordinator", len(c))
	}
	if c, _ = m.take("other", 0); len(c) != 0 {
		t.Errorf("another execution gets %d", len(c))
	}
}

func TestGzip(t *testing.T) {
	s, _ := newServer(t, nil)
	url := serve(t, s)
	plain := ask(t, "GET", url+"/", "", as("0")...)
	for header, zipped := range map[string]bool{
		"gzip": true, "deflate, gzip;q=0.5": true, "*": true, "GZIP": true,
		"gzip;q=0": false, "identity": false, "x-gzipper": false, "gzip;q=x": false, "": false,
	} {
		for _, path := range []string{"/", "/ui/"} {
			a := ask(t, "GET", url+path, "", append(as("0"), "Accept-Encoding", header)...)
			if got := a.header.Get("Content-Encoding") == "gzip"; got != zipped {
				t.Errorf("Accept-Encoding %q, %s: compressed is %v", header, path, got)
				continue
			}
			if a.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("Accept-Encoding %q, %s: no Vary", header, path)
			}
			if zipped && path == "/" {
				z, err := gzip.NewReader(strings.NewReader(a.body))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(z)
				if err != nil || string(b) != plain.body {
					t.Errorf("Accept-Encoding %q: the compressed JobModel differs, %v", header, err)
				}
			}
		}
	}
}

func TestReady(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s)
	if a := ask(t, "GET", url+"/readyz", ""); a.code != 503 || !strings.Contains(a.body, "0 of 2") {
		t.Errorf("before the containers reported: %d %s", a.code, a.body)
	}
	for id, exec := range map[string]string{"0": "container_1_0001_01_000002", "1": "container_1_0001_01_000003"} {
		s.Report(id, Report{ExecutionID: exec, State: ContainerRunning})
	}
	if a := ask(t, "GET", url+"/readyz", ""); a.code != 200 || a.body != "ok\n" {
		t.Errorf("when all run: %d %s", a.code, a.body)
	}
	f.set(func() { f.job.State = JobStopping })
	if a := ask(t, "GET", url+"/readyz", ""); a.code != 503 {
		t.Errorf("while stopping: %d %s", a.code, a.body)
	}
}

func FuzzDecodeReport(f *testing.F) {
	f.Add([]byte(reportBody("container_1_0001_01_000002", 5)))
	f.Add([]byte(`{"executionContainerId":"x","state":"failed","tasks":[{"inputs":[{"next":-1}],"restores":[{"done":5}]}],"metrics":{"g":{"n":[1]}}}`))
	f.Add([]byte(`{"executionContainerId":"x","state":"running","tasks":[{"inputs":[{"next":-9223372036854775808,"highWatermark":9223372036854775807}]}]}`))
	s, job := newServer(f, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		// Whatever a container says can be shown.
		job.set(func() { job.containers[1].ExecutionID = r.ExecutionID })
		if !s.Report("0", r).Alive {
			t.Fatal("not alive")
		}
		for _, path := range []string{"/ui/", "/ui/api/v1/status", "/ui/api/v1/tasks", "/metrics", "/readyz"} {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
			if w.Code != 200 && w.Code != 503 {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
			if strings.Contains(path, "api") && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s: no JSON: %s", path, w.Body)
			}
		}
		if _, err := encode(r); err != nil {
			t.Fatal(err)
		}
	})
}
