package coordinator

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A poll that is cut from the container's side tells of a process that has died,
// as a rule; one that is answered, or that the server ends, does not.
func TestCutPollIsTold(t *testing.T) {
	s, f := newServer(t, func(o *Options) { o.PollWait = time.Minute })
	url := serve(t, s)
	const exec0 = "container_1_0001_01_000002"
	s.Send("0", exec0, CommandPause, nil)
	if a := ask(t, "GET", url+"/api/v1/containers/0/next?executionContainerId="+exec0, "", as("0")...); a.code != 200 {
		t.Fatal(a)
	}
	ctx, cut := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/containers/0/next?after=1&executionContainerId="+exec0, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", as("0")[1])
	ended := make(chan error, 1)
	go func() {
		resp, err := (&http.Transport{}).RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	waitFor := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never", what)
			}
		}
	}
	waitFor("the poll is held", func() bool {
		s.boxes["0"].mu.Lock()
		defer s.boxes["0"].mu.Unlock()
		return s.boxes["0"].wake != nil && len(s.boxes["0"].queue) == 0
	})
	cut()
	if err := <-ended; err == nil {
		t.Fatal("the poll was answered")
	}
	lost := func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Clone(f.lost)
	}
	waitFor("the cut is told", func() bool { return len(lost()) > 0 })
	if got := lost(); !slices.Equal(got, []string{"0 " + exec0}) {
		t.Errorf("told %v", got)
	}
}

// An execution that was given up before it fetched the JobModel gets none; one
// that counts does, and so does Samza's request, which names no execution.
func TestJobModelForExecutionsThatCount(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s)
	const exec0 = "container_1_0001_01_000002"
	for _, c := range []struct {
		query string
		dead  bool
		want  int
	}{
		{"", true, 200},
		{"?executionContainerId=" + exec0, false, 200},
		{"?executionContainerId=" + exec0, true, 409},
		{"?executionContainerId=container_1_0001_01_000077", false, 409},
	} {
		f.set(func() { f.dead = map[string]bool{exec0: c.dead} })
		if a := ask(t, "GET", url+"/"+c.query, "", as("0")...); a.code != c.want {
			t.Errorf("GET /%s (dead: %v): %d, want %d", c.query, c.dead, a.code, c.want)
		}
	}
}
