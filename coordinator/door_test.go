package coordinator

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestDoor(t *testing.T) {
	here, there := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 80}
	for _, tt := range []struct {
		name string
		d    door
		host string
		want bool
	}{
		{"its name", newDoor("localhost", here), "localhost:4711", true},
		{"its name without a port", newDoor("localhost", here), "localhost", true},
		{"another port, of a tunnel", newDoor("localhost", here), "localhost:8080", true},
		{"its name in capitals, and whole", newDoor("localhost", here), "LocalHost.:80", true},
		{"its address", newDoor("localhost", here), "127.0.0.1:80", true},
		{"its address without a port", newDoor("localhost", here), "127.0.0.1", true},
		{"its address of IPv6", newDoor("localhost", &net.TCPAddr{IP: net.IPv6loopback, Port: 80}), "[::1]:80", true},
		{"its address of IPv6 without a port", newDoor("localhost", here), "[::1]", true},
		{"the address that it was given", newDoor("127.0.0.2", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}), "127.0.0.2:80", true},
		{"a name that it was given", newDoor("Node1", here), "node1:80", true},
		{"a name that leads here", newDoor("localhost", here), "evil.example:80", false},
		{"a name that begins like its own", newDoor("localhost", here), "localhost.evil.example:80", false},
		{"a name that ends like its own", newDoor("localhost", here), "evil.localhost:80", false},
		{"a name of numbers", newDoor("localhost", here), "127.0.0.1.evil.example", false},
		{"another address", newDoor("localhost", here), "192.0.2.7:80", false},
		{"no name", newDoor("localhost", here), "", false},
		{"no name with a port", newDoor("localhost", here), ":80", false},
		{"a broken name", newDoor("localhost", here), "[::1", false},
		{"a server for others", newDoor("am.example", there), "alias.example:80", true},
		{"a server on all addresses", newDoor("am.example", &net.TCPAddr{IP: net.IPv6unspecified}), "alias.example:80", true},
		{"one that does not listen itself", nil, "alias.example:80", true},
	} {
		if got := tt.d.admits(tt.host); got != tt.want {
			t.Errorf("%s: %q admitted: %v, want %v", tt.name, tt.host, got, tt.want)
		}
	}
}

// TestForeignNameIsRefused: nothing on this machine is shown to a web page that
// had its own name lead here.
func TestForeignNameIsRefused(t *testing.T) {
	s, _ := newServer(t, nil)
	if err := s.Listen("localhost", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	port := s.listener.Addr().(*net.TCPAddr).Port
	for _, path := range []string{"ui/", "ui/live", "ui/api/v1/status", "ui/api/v1/config", "ui/state", "metrics", ""} {
		for host, want := range map[string]int{"": http.StatusOK, "127.0.0.1": http.StatusOK, "evil.example": http.StatusForbidden} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if host != "" {
				req.Host = host
			}
			if path == "" && want == http.StatusOK {
				want = http.StatusFound // to ui/
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != want {
				t.Errorf("port %d, %q as %q: %d, want %d; %v %s", port, path, host, resp.StatusCode, want, err, b)
			}
			if text := string(b); want == http.StatusForbidden && (!strings.Contains(text, "evil.example") || !strings.Contains(text, s.URL()) || strings.Count(strings.TrimSpace(text), "\n") != 0) {
				t.Errorf("%q says %q", path, text)
			}
		}
	}
}
