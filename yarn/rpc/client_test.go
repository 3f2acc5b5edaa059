package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"heddle/yarn/rpc"
	"heddle/yarn/rpc/rpcfake"
	"heddle/yarn/security"
)

const testProtocol = "org.example.EchoProtocolPB"

var testToken = &security.Token{
	Identifier: []byte("\x0a\x0d who I am"), Password: []byte("twenty secret bytes!"), Kind: security.KindAMRM,
}

func invalidToken(message string) error {
	return &rpc.RemoteError{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: message}
}

func passwordOf(tokens ...*security.Token) func([]byte) ([]byte, error) {
	return func(id []byte) ([]byte, error) {
		for _, t := range tokens {
			if bytes.Equal(t.Identifier, id) {
				return t.Password, nil
			}
		}
		return nil, invalidToken("Invalid AMRMToken from appattempt_1_0001_000001")
	}
}

// echoServer answers "echo" with what it is sent, "who" with who the caller is,
// and "fail" with an exception.
func echoServer(t testing.TB, conf rpcfake.Config) *rpcfake.Server {
	t.Helper()
	s, err := rpcfake.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	rpcfake.Register(s, testProtocol, "echo", func(_ context.Context, _ *rpcfake.Call, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return req, nil
	})
	rpcfake.Register(s, testProtocol, "who", func(_ context.Context, c *rpcfake.Call, _ *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String(fmt.Sprintf("user=%q token=%q", c.User, c.Identifier)), nil
	})
	rpcfake.Register(s, testProtocol, "fail", func(_ context.Context, _ *rpcfake.Call, _ *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return nil, &rpc.RemoteError{
			Class:   "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException",
			Message: "Application with id 'application_1_0001' doesn't exist in RM.",
			Trace:   "\tat org.apache.hadoop.yarn.Server.method(Server.java:1)\n\tat java.lang.Thread.run",
		}
	})
	return s
}

func newClient(t testing.TB, addr string, o rpc.Options) *rpc.Client {
	t.Helper()
	c := rpc.NewClient(addr, rpc.Protocol{Name: testProtocol, Version: 1}, o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func call(ctx context.Context, c rpc.Caller, method, text string) (string, error) {
	var resp wrapperspb.StringValue
	err := c.Call(ctx, method, wrapperspb.String(text), &resp)
	return resp.GetValue(), err
}

func TestCallsByEveryLogin(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20_000) // beyond one protected message
	logins := []struct {
		name    string
		server  rpcfake.Config
		client  rpc.Options
		who     string
		encoded bool // the payload must not be readable on the wire
	}{
		{"simple", rpcfake.Config{Simple: true}, rpc.Options{User: "ann"}, `user="ann" token=""`, false},
		{
			"token on a server with both", rpcfake.Config{Simple: true, Password: passwordOf(testToken)},
			rpc.Options{Token: testToken}, fmt.Sprintf(`user="" token=%q`, testToken.Identifier), false,
		},
		{
			"simple on a server with both", rpcfake.Config{Simple: true, Password: passwordOf(testToken)},
			rpc.Options{User: "ann"}, `user="ann" token=""`, false,
		},
		{
			"token, but the server knows simple only", rpcfake.Config{Simple: true},
			rpc.Options{Token: testToken, User: "ann"}, `user="ann" token=""`, false,
		},
	}
	for _, q := range []security.QOP{security.QOPAuth, security.QOPIntegrity, security.QOPPrivacy} {
		for _, c := range []security.Cipher{security.CipherRC4, security.Cipher3DES, security.CipherDES, security.CipherRC456, security.CipherRC440} {
			if q != security.QOPPrivacy && c != security.CipherRC4 {
				continue
			}
			logins = append(logins, struct {
				name    string
				server  rpcfake.Config
				client  rpc.Options
				who     string
				encoded bool
			}{
				"token " + string(q) + " " + string(c),
				rpcfake.Config{Password: passwordOf(testToken), Protection: []security.QOP{q}, Ciphers: []security.Cipher{c}},
				rpc.Options{Token: testToken}, fmt.Sprintf(`user="" token=%q`, testToken.Identifier), q == security.QOPPrivacy,
			})
		}
	}
	for _, l := range logins {
		t.Run(l.name, func(t *testing.T) {
			s := echoServer(t, l.server)
			var wire recorder
			l.client.Dial = wire.dial
			c := newClient(t, s.Addr(), l.client)
			ctx := t.Context()
			if got, err := call(ctx, c, "who", ""); err != nil || got != l.who {
				t.Fatalf("who = %q, %v; want %q", got, err, l.who)
			}
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					text := fmt.Sprintf("%d-%s", i, large[:i*i*20])
					if got, err := call(ctx, c, "echo", text); err != nil || got != text {
						t.Errorf("echo %d: %d bytes, %v; want %d bytes", i, len(got), err, len(text))
					}
				})
			}
			wg.Wait()
			if got, err := call(ctx, c, "echo", large); err != nil || got != large {
				t.Errorf("large echo: %d bytes, %v", len(got), err)
			}
			if _, err := call(ctx, c, "fail", ""); rpc.Classify(err) != rpc.ClassGone {
				t.Errorf("fail: %v", err)
			}
			if _, accepted := s.Connections(); accepted != 1 {
				t.Errorf("%d connections, want 1", accepted)
			}
			_ = c.Close()
			clear := wire.contains("0123456789abcdef")
			if clear == l.encoded {
				t.Errorf("payload readable on the wire: %v, want %v", clear, !l.encoded)
			}
			if l.encoded && (wire.contains(testProtocol) || wire.contains("echo")) {
				t.Error("protocol or method readable on the wire")
			}
		})
	}
}

func TestRemoteErrors(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	other := rpc.NewClient(s.Addr(), rpc.Protocol{Name: "org.example.Unknown"}, rpc.Options{User: "ann"})
	defer func() { _ = other.Close() }()
	version := rpc.NewClient(s.Addr(), rpc.Protocol{Name: testProtocol, Version: 7}, rpc.Options{User: "ann"})
	defer func() { _ = version.Close() }()
	tests := []struct {
		name   string
		caller rpc.Caller
		method string
		want   rpc.RemoteError
		text   string
	}{
		{"exception", c, "fail", rpc.RemoteError{
			Class:   "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException",
			Message: "Application with id 'application_1_0001' doesn't exist in RM.",
			Trace:   "\tat org.apache.hadoop.yarn.Server.method(Server.java:1)\n\tat java.lang.Thread.run",
			Method:  "fail", Code: rpc.ErrorApplication,
		}, "fail at " + s.Addr() + ": Application with id 'application_1_0001' doesn't exist in RM. (ApplicationNotFoundException)"},
		{"method", c, "nothing", rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RpcNoSuchMethodException",
			Message: "Unknown method nothing called on " + testProtocol + " protocol.", Method: "nothing", Code: rpc.ErrorNoSuchMethod,
		}, ""},
		{"protocol", other, "echo", rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
			Message: "Unknown protocol: org.example.Unknown", Method: "echo", Code: rpc.ErrorNoSuchProtocol,
		}, ""},
		{"version", version, "echo", rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RPC$VersionMismatch",
			Message: "Protocol " + testProtocol + " version mismatch. (client = 7, server = 1)", Method: "echo", Code: rpc.ErrorVersionMismatch,
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := call(t.Context(), tt.caller, tt.method, "")
			var got *rpc.RemoteError
			if !errors.As(err, &got) {
				t.Fatalf("error %T %v", err, err)
			}
			tt.want.Addr = s.Addr()
			if *got != tt.want {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
			if tt.text != "" && err.Error() != tt.text {
				t.Errorf("text %q, want %q", err, tt.text)
			}
		})
	}
	// None of these cost the connection.
	if got, err := call(t.Context(), c, "echo", "x"); got != "x" || err != nil {
		t.Error(got, err)
	}
	if _, accepted := s.Connections(); accepted != 3 {
		t.Errorf("%d connections, want 3", accepted)
	}
}

func TestRefusedLogins(t *testing.T) {
	wrong := testToken.Clone()
	wrong.Password = []byte("guessed")
	unknown := &security.Token{Identifier: []byte("nobody"), Password: []byte("x"), Kind: security.KindNM}
	tests := []struct {
		name   string
		server rpcfake.Config
		client rpc.Options
		class  rpc.Class
		text   string
	}{
		{
			"no token for a token server", rpcfake.Config{Password: passwordOf(testToken)}, rpc.Options{User: "ann"},
			rpc.ClassFatal, "SIMPLE authentication is not enabled.  Available:[TOKEN] (AccessControlException)",
		},
		{
			"nothing to log in with", rpcfake.Config{Simple: true}, rpc.Options{},
			rpc.ClassFatal, "neither a user name nor a token",
		},
		{
			"wrong password", rpcfake.Config{Password: passwordOf(testToken)}, rpc.Options{Token: wrong},
			rpc.ClassFatal, "digest response does not match (SaslException)",
		},
		{
			"unknown token", rpcfake.Config{Password: passwordOf(testToken)}, rpc.Options{Token: unknown},
			rpc.ClassReauthenticate, "Invalid AMRMToken from appattempt_1_0001_000001 (InvalidToken)",
		},
		{
			"token of an attempt that is over",
			rpcfake.Config{Password: func([]byte) ([]byte, error) {
				return nil, invalidToken("appattempt_1_0001_000001 not found in AMRMTokenSecretManager.")
			}},
			rpc.Options{Token: testToken}, rpc.ClassGone, "not found in AMRMTokenSecretManager",
		},
		{
			"only a token, server asks for none", rpcfake.Config{Simple: true}, rpc.Options{Token: testToken},
			rpc.ClassFatal, "the client has only a token",
		},
		{
			"no common protection",
			rpcfake.Config{Password: passwordOf(testToken), Protection: []security.QOP{security.QOPAuth}},
			rpc.Options{Token: testToken, Protection: []security.QOP{security.QOPPrivacy}},
			rpc.ClassFatal, "hadoop.rpc.protection",
		},
		{
			"Kerberos refuses a simple server", rpcfake.Config{Simple: true},
			rpc.Options{User: "ann@EXAMPLE", Kerberos: func(context.Context, string, string) (rpc.Mechanism, error) { return nil, nil }},
			rpc.ClassFatal, "a client with Kerberos refuses",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := echoServer(t, tt.server)
			c := newClient(t, s.Addr(), tt.client)
			_, err := call(t.Context(), c, "echo", "x")
			if err == nil {
				t.Fatal("no error")
			}
			if got := rpc.Classify(err); got != tt.class {
				t.Errorf("class %v, want %v (%v)", got, tt.class, err)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			if !strings.Contains(err.Error(), s.Addr()) || !strings.Contains(err.Error(), "echo") {
				t.Errorf("error %q names not both address and method", err)
			}
			if strings.Contains(err.Error(), "guessed") {
				t.Errorf("error %q shows the password", err)
			}
		})
	}
}

func TestAnswersOutOfOrder(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	const n = 20
	gates := make([]chan struct{}, n)
	for i := range gates {
		gates[i] = make(chan struct{})
	}
	rpcfake.Register(s, testProtocol, "gated", func(ctx context.Context, _ *rpcfake.Call, req *wrapperspb.Int32Value) (*wrapperspb.Int32Value, error) {
		select {
		case <-gates[req.GetValue()]:
			return req, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	order := make(chan int32, n)
	for i := range int32(n) {
		go func() {
			var resp wrapperspb.Int32Value
			if err := c.Call(t.Context(), "gated", wrapperspb.Int32(i), &resp); err != nil || resp.GetValue() != i {
				t.Errorf("call %d: %v, %v", i, resp.GetValue(), err)
			}
			order <- i
		}()
	}
	for i := n - 1; i >= 0; i-- {
		close(gates[i])
		if got := <-order; got != int32(i) {
			t.Fatalf("answer %d came, want %d", got, i)
		}
	}
}

func TestConnectionLostDuringCall(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	entered := make(chan struct{}, 3)
	rpcfake.Register(s, testProtocol, "hang", func(ctx context.Context, _ *rpcfake.Call, _ *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	errs := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := call(t.Context(), c, "hang", "")
			errs <- err
		}()
	}
	for range 3 {
		<-entered
	}
	s.Disconnect()
	for range 3 {
		err := <-errs
		if rpc.Classify(err) != rpc.ClassRetryOther || !rpc.Ambiguous(err) {
			t.Errorf("%v: class %v, ambiguous %v", err, rpc.Classify(err), rpc.Ambiguous(err))
		}
	}
	if got, err := call(t.Context(), c, "echo", "again"); got != "again" || err != nil {
		t.Errorf("after the loss: %q, %v", got, err)
	}
	if _, accepted := s.Connections(); accepted != 2 {
		t.Errorf("%d connections, want 2", accepted)
	}
}

func TestFatalAnswerEndsConnection(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	rpcfake.Register(s, testProtocol, "busy", func(context.Context, *rpcfake.Call, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return nil, &rpc.RemoteError{Class: "org.apache.hadoop.ipc.StandbyException", Message: "Server too busy - disconnect and failover", Fatal: true}
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	_, err := call(t.Context(), c, "busy", "")
	if rpc.Classify(err) != rpc.ClassRetryOther {
		t.Errorf("%v", err)
	}
	if got, err := call(t.Context(), c, "echo", "again"); got != "again" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, accepted := s.Connections(); accepted != 2 {
		t.Errorf("%d connections, want 2", accepted)
	}
}

func TestCancelledCallLeavesTheOthers(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	entered := make(chan struct{})
	release := make(chan struct{})
	rpcfake.Register(s, testProtocol, "hang", func(context.Context, *rpcfake.Call, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		entered <- struct{}{}
		<-release
		return wrapperspb.String("late"), nil
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() {
		_, err := call(ctx, c, "hang", "")
		errs <- err
	}()
	<-entered
	cancel()
	err := <-errs
	if !errors.Is(err, context.Canceled) || rpc.Classify(err) != rpc.ClassCanceled || !rpc.Ambiguous(err) {
		t.Errorf("%v: class %v, ambiguous %v", err, rpc.Classify(err), rpc.Ambiguous(err))
	}
	close(release) // its answer finds nobody
	for i := range 10 {
		if got, err := call(t.Context(), c, "echo", fmt.Sprint(i)); got != fmt.Sprint(i) || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, accepted := s.Connections(); accepted != 1 {
		t.Errorf("%d connections, want 1", accepted)
	}
}

func TestNewTokenIsUsedOnReconnect(t *testing.T) {
	next := &security.Token{Identifier: []byte("second"), Password: []byte("p2"), Kind: security.KindAMRM}
	s := echoServer(t, rpcfake.Config{Password: passwordOf(testToken, next)})
	var mu sync.Mutex
	current := testToken
	c := newClient(t, s.Addr(), rpc.Options{TokenSource: func() *security.Token {
		mu.Lock()
		defer mu.Unlock()
		return current
	}})
	want := func(id []byte) {
		t.Helper()
		if got, err := call(t.Context(), c, "who", ""); err != nil || got != fmt.Sprintf(`user="" token=%q`, id) {
			t.Errorf("%q, %v; want token %q", got, err, id)
		}
	}
	want(testToken.Identifier)
	mu.Lock()
	current = next
	mu.Unlock()
	want(testToken.Identifier) // the connection that is open stays
	c.Disconnect()
	want(next.Identifier)
}

func TestDisconnectLetsCallsFinish(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	entered, release := make(chan struct{}), make(chan struct{})
	rpcfake.Register(s, testProtocol, "slow", func(context.Context, *rpcfake.Call, *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		entered <- struct{}{}
		<-release
		return wrapperspb.String("done"), nil
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	got := make(chan string)
	go func() {
		text, err := call(t.Context(), c, "slow", "")
		got <- fmt.Sprint(text, err)
	}()
	<-entered
	c.Disconnect()
	if text, err := call(t.Context(), c, "echo", "new"); text != "new" || err != nil {
		t.Error(text, err)
	}
	close(release)
	if text := <-got; text != "done<nil>" {
		t.Error(text)
	}
}

func TestClose(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	entered := make(chan struct{})
	rpcfake.Register(s, testProtocol, "hang", func(ctx context.Context, _ *rpcfake.Call, _ *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann"})
	errs := make(chan error)
	go func() {
		_, err := call(t.Context(), c, "hang", "")
		errs <- err
	}()
	<-entered
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("call under way: %v", err)
	}
	if _, err := call(t.Context(), c, "echo", ""); !errors.Is(err, rpc.ErrClosed) {
		t.Errorf("call after Close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := newClient(t, addr, rpc.Options{User: "ann"})
	_, err = call(t.Context(), c, "echo", "")
	if rpc.Classify(err) != rpc.ClassRetryOther || rpc.Ambiguous(err) || !strings.Contains(err.Error(), "echo: connect to "+addr) {
		t.Errorf("%v: class %v, ambiguous %v", err, rpc.Classify(err), rpc.Ambiguous(err))
	}
}

func TestRequestThatCannotBeSent(t *testing.T) {
	s := echoServer(t, rpcfake.Config{Simple: true})
	c := newClient(t, s.Addr(), rpc.Options{User: "ann", MaxFrame: 1 << 20})
	_, err := call(t.Context(), c, "echo", strings.Repeat("x", 1<<20))
	if !errors.Is(err, rpc.ErrTooLarge) || rpc.Classify(err) != rpc.ClassFatal || rpc.Ambiguous(err) {
		t.Errorf("%v", err)
	}
	// The answer of a smaller one may be as large as the limit allows.
	if _, err := call(t.Context(), c, "echo", strings.Repeat("x", 1<<19)); err != nil {
		t.Error(err)
	}
}

// recorder keeps what a client's connections carried, in both directions.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return recordedConn{nc, r}, err
}

func (r *recorder) add(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Write(p)
}

func (r *recorder) contains(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.buf.Bytes(), []byte(s))
}

type recordedConn struct {
	net.Conn
	r *recorder
}

func (c recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.r.add(p[:n])
	return n, err
}

func (c recordedConn) Write(p []byte) (int, error) {
	c.r.add(p)
	return c.Conn.Write(p)
}
