package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Listen begins to serve on this host's address and port
// (cluster-manager.jobcoordinator.url.port; 0: any free one). If the host's name
// does not lead to an address of this machine, it listens on all of them. URL
// gives the address then.
func (s *Server) Listen(host string, port int) error {
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return fmt.Errorf("find this host's name for the coordinator's server: %w", err)
		}
	}
	l, err := listen(host, port)
	var dns *net.DNSError
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.As(err, &dns) || err == nil && onlyHere(host, l) {
		if l != nil {
			_ = l.Close()
		}
		s.log.Info("the coordinator's server listens on all addresses of this machine, since its name does not lead to one that others reach", "host", host)
		l, err = listen("", port)
	}
	if err != nil {
		if port != 0 {
			return fmt.Errorf("listen on port %d for the coordinator's server (cluster-manager.jobcoordinator.url.port; 0 takes a free one): %w", port, err)
		}
		return fmt.Errorf("listen for the coordinator's server on %s: %w", host, err)
	}
	s.listener, s.door = l, newDoor(host, l.Addr())
	s.url = "http://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)) + "/"
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.headerTimeout,
		ReadTimeout:       s.readTimeout,
		WriteTimeout:      s.opt.PollWait + time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.serveErr = make(chan error, 1)
	go func() {
		err := s.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.serveErr <- err
	}()
	return nil
}

func listen(host string, port int) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// onlyHere tells whether a name leads to a loopback address, as a machine's own
// name does on Debian: other machines, where the name leads elsewhere, would not
// be heard. Who names a loopback address means it.
func onlyHere(host string, l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback() && net.ParseIP(host) == nil && !strings.EqualFold(host, "localhost")
}

// URL is where the server listens, "http://host:port/"; empty before Listen.
// Containers get it as SAMZA_COORDINATOR_URL; the tracking URL is URL + "ui/".
func (s *Server) URL() string { return s.url }

// Shutdown ends all waiting polls, lets running answers finish until ctx ends,
// and closes the server. It may be called without Listen, and twice.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeOne.Do(func() { close(s.closing) })
	if s.http == nil {
		return nil
	}
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return fmt.Errorf("shut the coordinator's server down: %w", err)
	}
	return nil
}
