package files

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer makes connections that do not wait for ever: neither for a server that
// does not take them (connect) nor for one that took them and fell silent (idle).
func dialer(connect, idle time.Duration) dialFunc {
	d := &net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watched{Conn: c, idle: idle}, nil
	}
}

// watched is a connection each of whose reads and writes has to come to an end.
// After an error it is closed: the client of HDFS goes on with a connection
// that it could not read an answer from, and would take the late answer for
// that of its next question.
type watched struct {
	net.Conn
	idle   time.Duration
	closed atomic.Bool
}

// Read is net.Conn's.
func (w *watched) Read(b []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.idle)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(b)
	if err != nil {
		_ = w.Close() // the error is what counts
	}
	return n, err
}

// Write is net.Conn's.
func (w *watched) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.idle)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(b)
	if err != nil {
		_ = w.Close() // the error is what counts
	}
	return n, err
}

// Close is net.Conn's.
func (w *watched) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}
