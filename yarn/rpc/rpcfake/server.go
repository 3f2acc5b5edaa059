package rpcfake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// Config is what a Server accepts. The zero value accepts nobody.
type Config struct {
	// Addr to listen on; empty means a free port of 127.0.0.1.
	Addr string
	// Virtual listens nowhere: clients connect by Server.Dial, over a pipe in
	// memory, so that the server works inside a testing/synctest bubble.
	Virtual bool
	// Simple accepts clients that merely say who they are.
	Simple bool
	// Password, if not nil, accepts tokens: it returns the password that
	// belongs to an identifier. Its error is the client's refusal: a
	// *rpc.RemoteError as it is, another one as an InvalidToken.
	Password func(identifier []byte) ([]byte, error)
	// Protection lists the offered qualities of protection; empty means
	// security.QOPAuth.
	Protection []security.QOP
	// Ciphers are those offered with security.QOPPrivacy; empty means all.
	Ciphers []security.Cipher
}

// A Call is one call of a client.
type Call struct {
	Protocol string
	Version  uint64
	Method   string
	ID       int32
	Retry    int32
	ClientID []byte
	// User is the name a SIMPLE client gave.
	User, RealUser string
	// Identifier is that of the token, nil for a SIMPLE client.
	Identifier []byte
	// Remote is the client's address.
	Remote net.Addr
	// Body is the request, encoded.
	Body []byte

	// Disconnect closes the connection under the client: without an answer,
	// if called before the handler returns.
	Disconnect func()
}

// A Handler answers calls of one method. Calls run at the same time, so answers
// may overtake each other. An error is sent as an exception: a *rpc.RemoteError
// with its class, message, code, and as the connection's end if Fatal; another
// one as java.io.IOException. ctx ends with the connection.
type Handler func(ctx context.Context, c *Call) (proto.Message, error)

// A Server is a fake Hadoop RPC server. Safe for concurrent use.
type Server struct {
	conf     Config
	listener net.Listener    // nil if virtual
	ctx      context.Context //nolint:containedctx // the server's life, which its handlers' contexts come from
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	protocols map[string]map[string]Handler
	conns     map[*serverConn]struct{}
	accepted  int
}

// New listens and serves until Close.
func New(conf Config) (*Server, error) {
	s := &Server{
		conf:      conf,
		protocols: make(map[string]map[string]Handler),
		conns:     make(map[*serverConn]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if conf.Virtual {
		return s, nil
	}
	l, err := new(net.ListenConfig).Listen(s.ctx, "tcp", cmp.Or(conf.Addr, "127.0.0.1:0"))
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("fake Hadoop RPC server: %w", err)
	}
	s.listener = l
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where the server listens, "127.0.0.1:port"; "virtual:1" if virtual.
func (s *Server) Addr() string {
	if s.listener == nil {
		return "virtual:1"
	}
	return s.listener.Addr().String()
}

// Dial connects to the server over a pipe in memory, whatever the address; it
// fits rpc.Options.Dial.
func (s *Server) Dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	if !s.take(server) {
		_ = client.Close()
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	}
	return client, nil
}

// Handle sets the handler of a protocol's method.
func (s *Server) Handle(protocol, method string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.protocols[protocol] == nil {
		s.protocols[protocol] = make(map[string]Handler)
	}
	s.protocols[protocol][method] = h
}

// message is a pointer to a protobuf message.
type message[T any] interface {
	*T
	proto.Message
}

// Register sets f as the handler of a protocol's method, with the request
// decoded.
func Register[Q any, PQ message[Q], R proto.Message](s *Server, protocol, method string, f func(ctx context.Context, c *Call, req PQ) (R, error)) {
	s.Handle(protocol, method, func(ctx context.Context, c *Call) (proto.Message, error) {
		req := PQ(new(Q))
		if err := proto.Unmarshal(c.Body, req); err != nil {
			return nil, &rpc.RemoteError{
				Class: "org.apache.hadoop.ipc.RpcServerException", Message: err.Error(),
				Code: rpc.FatalDeserializingRequest, Fatal: true,
			}
		}
		resp, err := f(ctx, c, req)
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

// Connections returns how many connections are open, and how many there ever
// were.
func (s *Server) Connections() (open, accepted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.accepted
}

// Disconnect closes all connections, as a server's crash would; the server
// takes new ones.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
}

// Close stops the server and waits for its handlers, whose contexts end.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.Disconnect()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil || !s.take(nc) {
			return
		}
	}
}

// take serves a connection, unless the server is closed.
func (s *Server) take(nc net.Conn) bool {
	c := &serverConn{server: s, nc: nc}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return false
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	s.conns[c] = struct{}{}
	s.accepted++
	s.wg.Go(func() {
		defer func() {
			c.cancel()
			_ = nc.Close()
			c.handlers.Wait()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		c.serve()
	})
	return true
}

// handler returns the handler of a method, or the refusal of Hadoop's server.
func (s *Server) handler(c *Call) (Handler, *rpc.RemoteError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	methods, ok := s.protocols[c.Protocol]
	if !ok {
		return nil, &rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
			Message: "Unknown protocol: " + c.Protocol, Code: rpc.ErrorNoSuchProtocol,
		}
	}
	if c.Version != 1 {
		return nil, &rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RPC$VersionMismatch",
			Message: fmt.Sprintf("Protocol %s version mismatch. (client = %d, server = 1)", c.Protocol, c.Version),
			Code:    rpc.ErrorVersionMismatch,
		}
	}
	h, ok := methods[c.Method]
	if !ok {
		return nil, &rpc.RemoteError{
			Class:   "org.apache.hadoop.ipc.RpcNoSuchMethodException",
			Message: fmt.Sprintf("Unknown method %s called on %s protocol.", c.Method, c.Protocol), Code: rpc.ErrorNoSuchMethod,
		}
	}
	return h, nil
}

// asRemote is the exception that an error of a handler is sent as.
func asRemote(err error, class string, code rpc.Code) *rpc.RemoteError {
	var re *rpc.RemoteError
	if errors.As(err, &re) {
		own := *re
		own.Code = cmp.Or(own.Code, code)
		return &own
	}
	return &rpc.RemoteError{Class: class, Message: err.Error(), Code: code}
}
