//go:build grid

package files

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/internal/grid"
)

// cable stands between the client and the NameNode, and can be cut.
type cable struct {
	address string
	mu      sync.Mutex
	ends    []net.Conn
	made    int
}

func layCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: l.Addr().String()}
	var goroutines sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		goroutines.Wait()
	})
	goroutines.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			c.ends = append(c.ends, near, far)
			c.made++
			c.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				goroutines.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	return c
}

// cut ends all connections, as the end of a NameNode does.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}

func (c *cable) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made
}

// TestLostConnection: a connection to the NameNode that was lost while nobody
// asked, as when it was started anew, is not seen by who asks next.
func TestLostConnection(t *testing.T) {
	grid.Use(t, grid.HDFS)
	o, err := FromEnvironment(os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	_, namenode, _ := strings.Cut(strings.TrimSuffix(o.Conf.DefaultFS(), "/"), "://")
	c := layCable(t, namenode)
	o.Timeout, o.Idle = 5*time.Second, 20*time.Second
	h, err := Open(t.Context(), "hdfs://"+c.address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	root := "/heddle-test/" + grid.Name("files")
	file := root + "/a/file"
	text := strings.Repeat("woven ", 1000)
	steps := []struct {
		name string
		do   func() error
	}{
		{"put", func() error {
			s, err := h.Put(t.Context(), file, strings.NewReader(text), 0o600)
			if err == nil && s.Size != int64(len(text)) {
				t.Errorf("put %d bytes of %d", s.Size, len(text))
			}
			return err
		}},
		{"replace", func() error {
			_, err := h.Put(t.Context(), file, strings.NewReader(text[:600]), 0o600)
			return err
		}},
		{"stat", func() error {
			s, err := h.Stat(t.Context(), file)
			if err == nil && s.Size != 600 {
				t.Errorf("it has %d bytes", s.Size)
			}
			return err
		}},
		{"open", func() error {
			r, err := h.Open(t.Context(), file)
			if err != nil {
				return err
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if string(b) != text[:600] {
				t.Errorf("%d other bytes", len(b))
			}
			return err
		}},
		{"rename", func() error { return h.Rename(t.Context(), file, root+"/other") }},
		{"list", func() error {
			entries, err := h.List(t.Context(), root)
			if err == nil && len(entries) != 2 {
				t.Errorf("list: %v", entries)
			}
			return err
		}},
		{"remove", func() error { return h.RemoveAll(t.Context(), root) }},
		{"list what is gone", func() error {
			entries, err := h.List(t.Context(), root)
			if len(entries) != 0 {
				t.Errorf("list: %v", entries)
			}
			return err
		}},
		{"stat what is gone", func() error {
			if _, err := h.Stat(t.Context(), file); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("stat: %v", err)
			}
			return nil
		}},
	}
	for i, s := range steps {
		c.cut()
		if err := s.do(); err != nil {
			t.Errorf("%s, right after the connection was cut: %v", s.name, err)
		}
		if got := c.connections(); got != i+2 {
			t.Errorf("%s: %d connections so far, want %d", s.name, got, i+2)
		}
	}
}

// TestClosedHDFS: what was closed does not connect again.
func TestClosedHDFS(t *testing.T) {
	grid.Use(t, grid.HDFS)
	o, err := FromEnvironment(os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := h.List(t.Context(), "/"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("list: %v", err)
	}
}
