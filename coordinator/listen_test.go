package coordinator

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestListen(t *testing.T) {
	s, _ := newServer(t, func(o *Options) { o.PollWait = time.Minute })
	if err := s.Listen("127.0.0.1", 0); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") || !strings.HasSuffix(s.URL(), "/") {
		t.Errorf("URL %q", s.URL())
	}
	port := s.listener.Addr().(*net.TCPAddr).Port
	other, _ := newServer(t, nil)
	if err := other.Listen("127.0.0.1", port); err == nil || !strings.Contains(err.Error(), "cluster-manager.jobcoordinator.url.port") {
		t.Errorf("a port that is taken: %v", err)
	}
	if a := ask(t, "GET", s.URL()+"healthz", ""); a.code != 200 {
		t.Errorf("%d", a.code)
	}
	polled := make(chan answer)
	go func() {
		polled <- ask(t, "GET", s.URL()+"api/v1/containers/0/next?executionContainerId=container_1_0001_01_000002", "", as("0")...)
	}()
	for {
		s.boxes["0"].mu.Lock()
		held := s.boxes["0"].wake != nil
		s.boxes["0"].mu.Unlock()
		if held {
			break
		}
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown with a poll held: %v", err)
	}
	if a := <-polled; a.code != 200 {
		t.Errorf("the poll ended with %d", a.code)
	}
	if err := <-s.serveErr; err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("a second Shutdown: %v", err)
	}
	if err := other.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown of one that never listened: %v", err)
	}
}

func TestListenOnAHostOfNoAddressHere(t *testing.T) {
	s, _ := newServer(t, nil)
	// TEST-NET-1 is nobody's.
	if err := s.Listen("192.0.2.77", 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	if !strings.HasPrefix(s.URL(), "http://192.0.2.77:") {
		t.Errorf("URL %q", s.URL())
	}
	port := s.listener.Addr().(*net.TCPAddr).Port
	if a := ask(t, "GET", fmt.Sprintf("http://127.0.0.1:%d/healthz", port), ""); a.code != 200 {
		t.Errorf("%d", a.code)
	}
}

func TestOnlyHere(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for host, want := range map[string]bool{"127.0.0.1": false, "localhost": false, "my-machine": true} {
		if onlyHere(host, l) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}

// A client that sends or takes nothing does not keep others from being served,
// and is cut off.
func TestSlowClients(t *testing.T) {
	s, _ := newServer(t, nil)
	s.headerTimeout, s.readTimeout = 50*time.Millisecond, 100*time.Millisecond
	if err := s.Listen("127.0.0.1", 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Shutdown(t.Context()) }()
	addr := s.listener.Addr().String()
	for _, begin := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n", // a header that does not end
		"POST /api/v1/containers/0/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + DeriveCredential(testSecret, "0") + "\r\nContent-Length: 1000\r\n\r\n{", // a body that does not
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, "GET", s.URL()+"healthz", ""); a.code != 200 {
			t.Errorf("beside a slow client: %d", a.code)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("a slow client is not cut off: %v", err)
		}
		conn.Close()
	}

	// A header without an end is not read for ever.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = conn.Write(bytes.Repeat([]byte("A-Header: x\r\n"), 1<<16)) }()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil && !strings.Contains(line, "400") && !strings.Contains(line, "431") {
		t.Errorf("a header too long: %q", line)
	}
}
