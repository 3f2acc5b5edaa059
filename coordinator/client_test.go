package coordinator

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func testClient(url, container string, opts ...ClientOption) *Client {
	return NewClient(url, container, "container_1_0001_01_000002", DeriveCredential(testSecret, container), opts...)
}

func TestClient(t *testing.T) {
	s, f := newServer(t, nil)
	c := testClient(serve(t, s)+"/", "0")
	defer c.Close()
	m, err := c.JobModel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "model", m.Containers, s.opt.Model.Containers)

	r, err := c.Report(t.Context(), Report{State: ContainerRunning, Tasks: []TaskReport{{Name: "Partition 0"}}})
	if err != nil || r != (Reply{Alive: true, NextReport: 1000}) {
		t.Errorf("Report: %+v, %v", r, err)
	}
	if alive, err := c.Heartbeat(t.Context()); err != nil || !alive {
		t.Errorf("Heartbeat: %v, %v", alive, err)
	}
	if commands, err := c.Next(t.Context(), 0); err != nil || len(commands) != 0 {
		t.Errorf("Next: %v, %v", commands, err)
	}
	s.Send("0", "container_1_0001_01_000002", CommandStop, map[string]string{"reason": "x"})
	commands, err := c.Next(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "commands", commands, []Command{{1, CommandStop, map[string]string{"reason": "x"}}})
	if commands, err = c.Next(t.Context(), 1); err != nil || len(commands) != 0 {
		t.Errorf("Next after it: %v, %v", commands, err)
	}

	f.set(func() { f.dead["container_1_0001_01_000002"] = true })
	if _, err := c.Next(t.Context(), 1); !errors.Is(err, ErrNotAlive) {
		t.Errorf("Next of the dead: %v", err)
	}
	if r, err := c.Report(t.Context(), Report{State: ContainerRunning}); err != nil || r.Alive {
		t.Errorf("Report of the dead: %+v, %v", r, err)
	}
	if alive, err := c.Heartbeat(t.Context()); err != nil || alive {
		t.Errorf("Heartbeat of the dead: %v, %v", alive, err)
	}
}

func TestClientRefused(t *testing.T) {
	s, _ := newServer(t, nil)
	url := serve(t, s)
	c := NewClient(url, "0", "e", "wrong")
	if _, err := c.JobModel(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), url) {
		t.Errorf("JobModel: %v", err)
	}
	if _, err := c.Next(t.Context(), 0); !errors.Is(err, ErrRefused) {
		t.Errorf("Next: %v", err)
	}
	if _, err := c.Report(t.Context(), Report{State: ContainerRunning}); !errors.Is(err, ErrRefused) {
		t.Errorf("Report: %v", err)
	}
	// Without a credential the server leads to its page, which is no JobModel.
	if strings.Contains(errorOf(c.JobModel(t.Context())).Error(), "wrong") {
		t.Error("the credential stands in the error")
	}
}

func errorOf(_ any, err error) error { return err }

func TestClientTriesAgain(t *testing.T) {
	s, _ := newServer(t, nil)
	var asked atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusNotFound)
		case 3:
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{")) // and ends
		default:
			s.ServeHTTP(w, r)
		}
	}))
	defer h.Close()
	c := testClient(h.URL, "0")
	var pauses []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	if _, err := c.JobModel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(pauses) != 3 || pauses[0] < time.Millisecond || pauses[0] > 100*time.Millisecond || pauses[1] != 2*pauses[0] || pauses[2] != 4*pauses[0] {
		t.Errorf("pauses %v", pauses)
	}
}

func TestClientGivesUp(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"error":"not now"}`, http.StatusServiceUnavailable)
	}))
	defer h.Close()
	c := testClient(h.URL, "0", WithGiveUp(time.Minute))
	var total, longest time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { total, longest = total+d, max(longest, d); return nil }
	_, err := c.JobModel(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1m0s") || !strings.Contains(err.Error(), "not now") || !strings.Contains(err.Error(), h.URL) {
		t.Errorf("%v", err)
	}
	if total > time.Minute || total < 40*time.Second || longest != 10*time.Second {
		t.Errorf("waited %v in all, %v at most", total, longest)
	}

	h.Close()
	c = testClient(h.URL, "0", WithGiveUp(time.Millisecond))
	if _, err := c.JobModel(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := testClient(h.URL, "0").JobModel(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := testClient("http://bad host/", "0", WithGiveUp(time.Millisecond)).JobModel(t.Context()); err == nil || !strings.Contains(err.Error(), "SAMZA_COORDINATOR_URL") {
		t.Errorf("a bad address: %v", err)
	}
}

func TestClientAnswersThatAreNone(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer h.Close()
	c := testClient(h.URL, "0")
	for what, err := range map[string]error{
		"JobModel":  errorOf(c.JobModel(t.Context())),
		"Next":      errorOf(c.Next(t.Context(), 0)),
		"Report":    errorOf(c.Report(t.Context(), Report{})),
		"Heartbeat": errorOf(c.Heartbeat(t.Context())),
		"Status":    errorOf(Operator{UI: h.URL}.Status(t.Context())),
	} {
		if err == nil || !strings.Contains(err.Error(), h.URL) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOperator(t *testing.T) {
	s, f := newServer(t, nil)
	url := serve(t, s)
	for _, ui := range []string{url + "/ui/", url + "/ui"} {
		o := Operator{UI: ui}
		st, err := o.Status(t.Context())
		if err != nil || st.ApplicationID != "application_1_0001" || st.Containers.Wanted != 2 || len(st.ContainerList) != 2 {
			t.Errorf("%s: Status: %+v, %v", ui, st, err)
		}
		tasks, err := o.Tasks(t.Context(), "1")
		if err != nil || len(tasks) != 2 {
			t.Errorf("%s: Tasks: %v, %v", ui, tasks, err)
		}
	}
	o := Operator{UI: url + "/ui/"}
	if err := o.Stop(t.Context(), []byte("another secret"), ""); !errors.Is(err, ErrForbidden) {
		t.Errorf("Stop with another secret: %v", err)
	}
	if err := o.Stop(t.Context(), testSecret, "kill"); err != nil {
		t.Error(err)
	}
	equal(t, "stops", f.stops, []string{"kill"})
}

func TestSecrets(t *testing.T) {
	b, err := NewSecret(strings.NewReader(strings.Repeat("ab", 32)))
	if err != nil || len(b) != SecretSize {
		t.Fatal(err)
	}
	if back, err := ParseSecret(SecretText(b)); err != nil || string(back) != string(b) {
		t.Errorf("%x, %v", back, err)
	}
	if _, err := NewSecret(strings.NewReader("short")); err == nil {
		t.Error("a secret from too little randomness")
	}
	for _, bad := range []string{"", "zz", "abcd", SecretText(b)[1:]} {
		if _, err := ParseSecret(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("ParseSecret(%q): %v", bad, err)
		}
	}
	// RFC 4231, test case 2.
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := DeriveCredential([]byte("Jefe"), "what do ya want for nothing?"); got != want {
		t.Errorf("HMAC %s, want %s", got, want)
	}
	if DeriveCredential(b, "0") == DeriveCredential(b, "1") {
		t.Error("two containers have the same credential")
	}
}
