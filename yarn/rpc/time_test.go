package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"heddle/yarn/rpc"
	"heddle/yarn/rpc/rpcfake"
	"heddle/yarn/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// virtual runs f in a bubble of its own time, with a server that answers "echo"
// at once and "wait" after the milliseconds that it is sent.
func virtual(t *testing.T, conf rpcfake.Config, o rpc.Options, f func(t *testing.T, s *rpcfake.Server, c *rpc.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		conf.Virtual = true
		s, err := rpcfake.New(conf)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rpcfake.Register(s, testProtocol, "echo", func(_ context.Context, _ *rpcfake.Call, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			return req, nil
		})
		rpcfake.Register(s, testProtocol, "wait", func(ctx context.Context, _ *rpcfake.Call, req *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
			select {
			case <-time.After(time.Duration(req.GetValue()) * time.Millisecond):
				return req, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		if o.Dial == nil {
			o.Dial = s.Dial
		}
		c := rpc.NewClient(s.Addr(), rpc.Protocol{Name: testProtocol, Version: 1}, o)
		defer func() { _ = c.Close() }()
		f(t, s, c)
	})
}

func wait(ctx context.Context, c rpc.Caller, d time.Duration) error {
	var resp wrapperspb.Int64Value
	return c.Call(ctx, "wait", wrapperspb.Int64(d.Milliseconds()), &resp)
}

// pass lets time of the bubble pass; none of the real one does.
func pass(d time.Duration) { <-time.After(d) }

func echo(t *testing.T, c rpc.Caller) {
	t.Helper()
	if got, err := call(t.Context(), c, "echo", "x"); got != "x" || err != nil {
		t.Errorf("echo: %q, %v", got, err)
	}
}

func accepted(t *testing.T, s *rpcfake.Server, wantOpen, wantAccepted int) {
	t.Helper()
	synctest.Wait()
	if open, accepted := s.Connections(); open != wantOpen || accepted != wantAccepted {
		t.Errorf("%d of %d connections open, want %d of %d", open, accepted, wantOpen, wantAccepted)
	}
}

var simple = rpcfake.Config{Simple: true}

// A server from which nothing comes at all is given up, connection and all.
func TestHalfOpenConnection(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann"}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		echo(t, c)
		start := time.Now()
		err := wait(t.Context(), c, time.Hour)
		if rpc.Classify(err) != rpc.ClassRetryOther || !rpc.Ambiguous(err) || !strings.Contains(err.Error(), "no answer within 2m0s") {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != rpc.DefaultCallTimeout {
			t.Errorf("after %v", d)
		}
		accepted(t, s, 0, 1)
		echo(t, c)
		accepted(t, s, 1, 2)
	})
}

// One slow call does not cost the connection on which others are answered.
func TestSlowCallOnALivingConnection(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann"}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		errs := make(chan error)
		go func() { errs <- wait(t.Context(), c, time.Hour) }()
		synctest.Wait()
		pass(time.Minute)
		echo(t, c)
		if err := <-errs; rpc.Classify(err) != rpc.ClassRetryOther {
			t.Errorf("%v", err)
		}
		echo(t, c)
		accepted(t, s, 1, 1)
	})
}

func TestNoCallTimeout(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann", CallTimeout: -1}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		if err := wait(t.Context(), c, 10*time.Hour); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := wait(ctx, c, 10*time.Hour); rpc.Classify(err) != rpc.ClassCanceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		accepted(t, s, 1, 1)
	})
}

// pings counts what a client writes that is a ping: a packet that is all header
// with call id -4.
type pings struct {
	net.Conn
	n *atomic.Int32
}

func (p pings) Write(b []byte) (int, error) {
	if len(b) > 10 && string(b[5:11]) == "\x08\x02\x10\x00\x18\x07" {
		p.n.Add(1)
	}
	return p.Conn.Write(b)
}

func TestPings(t *testing.T) {
	for _, tt := range []struct {
		interval time.Duration
		want     int32
	}{{0, 5}, {time.Minute, 5}, {100 * time.Second, 3}, {-1, 0}} {
		t.Run(fmt.Sprint(tt.interval), func(t *testing.T) {
			var n atomic.Int32
			var server *rpcfake.Server
			o := rpc.Options{User: "ann", CallTimeout: -1, PingInterval: tt.interval, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := server.Dial(ctx, network, addr)
				return pings{nc, &n}, err
			}}
			virtual(t, simple, o, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
				server = s
				if err := wait(t.Context(), c, 5*time.Minute+time.Second); err != nil {
					t.Error(err)
				}
				if got := n.Load(); got != tt.want {
					t.Errorf("%d pings in five minutes, want %d", got, tt.want)
				}
				accepted(t, s, 1, 1)
			})
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann"}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		for range 3 { // activity keeps it
			echo(t, c)
			pass(rpc.DefaultIdleTimeout - time.Second)
		}
		if err := wait(t.Context(), c, time.Minute); err != nil { // and so does a call
			t.Error(err)
		}
		accepted(t, s, 1, 1)
		pass(rpc.DefaultIdleTimeout - time.Millisecond)
		accepted(t, s, 1, 1)
		pass(2 * time.Millisecond)
		accepted(t, s, 0, 1)
		echo(t, c)
		accepted(t, s, 1, 2)
	})
}

func TestIdleConnectionIsKept(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann", IdleTimeout: -1}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		echo(t, c)
		pass(24 * time.Hour)
		echo(t, c)
		accepted(t, s, 1, 1)
	})
}

// The server closes a connection on which nothing happens: the next call must
// not notice.
func TestServerClosesIdleConnection(t *testing.T) {
	virtual(t, simple, rpc.Options{User: "ann", IdleTimeout: -1}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		for range 5 {
			echo(t, c)
			s.Disconnect()
			synctest.Wait()
		}
		accepted(t, s, 0, 5)
	})
}

func TestDialTimeout(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	virtual(t, simple, rpc.Options{User: "ann", Dial: hang}, func(t *testing.T, _ *rpcfake.Server, c *rpc.Client) {
		start := time.Now()
		_, err := call(t.Context(), c, "echo", "")
		if rpc.Classify(err) != rpc.ClassRetryOther || rpc.Ambiguous(err) || !strings.Contains(err.Error(), "no connection within 20s") {
			t.Error(err)
		}
		if d := time.Since(start); d != rpc.DefaultDialTimeout {
			t.Errorf("after %v", d)
		}
	})
}

// A server that accepts and then says nothing (a process that hangs, with the
// kernel accepting for it).
func TestSilentServerAtLogin(t *testing.T) {
	silent := func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			buf := make([]byte, 1024)
			for {
				if _, err := server.Read(buf); err != nil {
					return
				}
			}
		}()
		return client, nil
	}
	virtual(t, simple, rpc.Options{Token: testToken, Dial: silent}, func(t *testing.T, _ *rpcfake.Server, c *rpc.Client) {
		start := time.Now()
		_, err := call(t.Context(), c, "echo", "")
		if rpc.Classify(err) != rpc.ClassRetryOther || rpc.Ambiguous(err) || !strings.Contains(err.Error(), "authenticate to") {
			t.Error(err)
		}
		if d := time.Since(start); d != rpc.DefaultDialTimeout {
			t.Errorf("after %v", d)
		}
	})
}

// A server that reads nothing must not hold a caller longer than its context.
func TestServerThatDoesNotRead(t *testing.T) {
	deaf := func(context.Context, string, string) (net.Conn, error) {
		client, _ := net.Pipe()
		return client, nil
	}
	virtual(t, simple, rpc.Options{User: "ann", Dial: deaf}, func(t *testing.T, _ *rpcfake.Server, c *rpc.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := call(ctx, c, "echo", "")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// The write ends by itself, and with it the connection.
		if _, err := call(t.Context(), c, "echo", ""); rpc.Classify(err) != rpc.ClassRetryOther {
			t.Error(err)
		}
		if d := time.Since(start); d > rpc.DefaultCallTimeout+time.Second {
			t.Errorf("after %v", d)
		}
	})
}

// Callers share a connection being made; one that gives up does not spoil it
// for the others.
func TestSharedDial(t *testing.T) {
	var server *rpcfake.Server
	var dials, cancelled atomic.Int32
	slow := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		select {
		case <-time.After(5 * time.Second):
			return server.Dial(ctx, network, addr)
		case <-ctx.Done():
			cancelled.Add(1)
			return nil, ctx.Err()
		}
	}
	virtual(t, simple, rpc.Options{User: "ann", Dial: slow}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		server = s
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs := make(chan error)
		go func() {
			_, err := call(impatient, c, "echo", "")
			errs <- err
		}()
		synctest.Wait()
		go func() {
			_, err := call(t.Context(), c, "echo", "")
			errs <- err
		}()
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || rpc.Ambiguous(err) {
			t.Error(err)
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
		if dials.Load() != 1 || cancelled.Load() != 0 {
			t.Errorf("%d dials, %d of them called off", dials.Load(), cancelled.Load())
		}
		// When nobody waits any more, the dial is called off, and who comes
		// then gets a new one.
		s.Disconnect()
		synctest.Wait()
		again, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := call(again, c, "echo", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		echo(t, c)
		synctest.Wait()
		if dials.Load() != 3 || cancelled.Load() != 1 {
			t.Errorf("%d dials, %d of them called off", dials.Load(), cancelled.Load())
		}
	})
}

// Close ends a dial under way, too.
func TestCloseDuringDial(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	virtual(t, simple, rpc.Options{User: "ann", Dial: hang}, func(t *testing.T, _ *rpcfake.Server, c *rpc.Client) {
		errs := make(chan error)
		go func() {
			_, err := call(t.Context(), c, "echo", "")
			errs <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, rpc.ErrClosed) {
			t.Error(err)
		}
	})
}

// On a protected connection pings, too, are protected, and all of it holds up
// over time.
func TestProtectedOverTime(t *testing.T) {
	conf := rpcfake.Config{Password: passwordOf(testToken), Protection: []security.QOP{security.QOPPrivacy}}
	virtual(t, conf, rpc.Options{Token: testToken, CallTimeout: -1, IdleTimeout: -1}, func(t *testing.T, s *rpcfake.Server, c *rpc.Client) {
		for range 3 {
			if err := wait(t.Context(), c, 5*time.Minute); err != nil {
				t.Error(err)
			}
			pass(time.Hour)
			echo(t, c)
		}
		accepted(t, s, 1, 1)
	})
}
