package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/colinmarc/hdfs/v2"
)

// session is one client of HDFS, and lives as long as that client's one
// connection to a NameNode: a client that lost it refuses every request for
// five seconds, although the NameNode may be back or never was away.
type session struct {
	client   *hdfs.Client
	namenode atomic.Pointer[watched] // nil: it could not be made
}

// connect makes a session. dial is for NameNodes and DataNodes.
func connect(o hdfs.ClientOptions, dial dialFunc) (*session, error) {
	s := new(session)
	o.DatanodeDialFunc = dial
	o.NamenodeDialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		s.namenode.Store(nil)
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		w := c.(*watched)
		s.namenode.Store(w)
		return w, nil
	}
	var err error
	if s.client, err = hdfs.NewClient(o); err != nil {
		return nil, err
	}
	return s, nil
}

// live tells if the session has its connection, as far as is known: whether the
// other side has gone shows in the next request only.
func (s *session) live() bool {
	c := s.namenode.Load()
	return c != nil && !c.closed.Load()
}

// sessions gives a session that lives.
type sessions struct {
	connect func() (*session, error)

	mu      sync.Mutex
	current *session
	closed  bool
}

// get gives the current session, or a new one if that has ended.
func (s *sessions) get() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, fs.ErrClosed
	case s.current.live():
		return s.current, nil
	}
	next, err := s.connect()
	if err != nil {
		return nil, fmt.Errorf("the NameNode was lost, and is not there again: %w", err)
	}
	_ = s.current.client.Close() // its connection has ended
	s.current = next
	return next, nil
}

// ask makes a request that may be made twice. It is made again, by another
// session, if the connection was lost: it may have been so since the request
// before, as when the NameNode was started anew. One that fell silent is not
// asked twice: whoever waits has waited long enough.
func (s *sessions) ask(request func(c *hdfs.Client) error) error {
	for again := false; ; again = true {
		session, err := s.get()
		if err != nil {
			return err
		}
		err = request(session.client)
		if err == nil || again || session.live() || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func (s *sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.current.client.Close()
}
