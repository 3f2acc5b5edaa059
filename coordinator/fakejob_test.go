package coordinator

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/jobmodel"
)

// fakeJob is what an application master would be.
type fakeJob struct {
	mu         sync.Mutex
	job        Job
	containers []Container
	dead       map[string]bool
	hosts      map[string]string
	reports    []string
	stops      []string
	lost       []string
	now        time.Time
}

func (f *fakeJob) Job() Job { f.mu.Lock(); defer f.mu.Unlock(); return f.job }

func (f *fakeJob) Containers() []Container {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Container(nil), f.containers...)
}

func (f *fakeJob) Alive(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead[id] {
		return false
	}
	for _, c := range f.containers {
		if c.ExecutionID == id {
			return true
		}
	}
	return false
}

func (f *fakeJob) Hosts() map[string]string { return f.hosts }

func (f *fakeJob) ContainerReport(id string, r Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, id+" "+r.State)
}

func (f *fakeJob) ContainerLost(id, execution string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = append(f.lost, id+" "+execution)
}

func (f *fakeJob) StopRequested(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops = append(f.stops, reason)
}

func (f *fakeJob) set(change func()) { f.mu.Lock(); defer f.mu.Unlock(); change() }

func (f *fakeJob) clock() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now }

var testSecret = []byte("0123456789abcdef0123456789abcdef")

const hidden = "hunter2-the-password"

// newServer makes a server of a job with two containers of two tasks each.
func newServer(t testing.TB, change func(*Options)) (*Server, *fakeJob) {
	t.Helper()
	config := jobCfg("systems.kafka.consumer.sasl.jaas.config", hidden, "sensitive.x", hidden, "plain.url", "http://user:"+hidden+"@h/",
		"a<b>", "x&y", "long", strings.Repeat("a long value ", 100))
	m, _, err := jobmodel.Build(jobmodel.BuildInput{
		Config: config, Streams: map[jobmodel.Stream]int32{{System: "kafka", Stream: "a"}: 4}, Containers: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeJob{
		job: Job{ApplicationID: "application_1_0001", Name: "the_job", ID: "1", User: "ann", Factory: "yarn", State: JobRunning, StartedAt: time.UnixMilli(1_000_000)},
		containers: []Container{
			{ID: "1", ExecutionID: "container_1_0001_01_000003", State: ContainerRunning, Host: "node2", LogURL: "http://node2:8042/node/containerlogs/c3/ann", Starts: 1},
			{ID: "0", ExecutionID: "container_1_0001_01_000002", State: ContainerRunning, Host: "node1", Starts: 2, Failures: 1, LastExit: "exit code 1"},
		},
		dead: map[string]bool{},
		now:  time.UnixMilli(2_000_000),
	}
	o := Options{Model: m, Secret: testSecret, State: f, Events: f, Now: f.clock, Logger: slog.New(slog.DiscardHandler), PollWait: 50 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

func serve(t testing.TB, s *Server) string {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.closeOne.Do(func() { close(s.closing) })
		h.Close()
	})
	return h.URL
}

type answer struct {
	code   int
	header http.Header
	body   string
}

// ask sends a request; headers are names and values in turn.
func ask(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func as(container string) []string {
	return []string{"Authorization", "Bearer " + DeriveCredential(testSecret, container)}
}
