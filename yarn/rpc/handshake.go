package rpc

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
	"heddle/yarn/security"
)

// A session is a connection that is ready for calls.
type session struct {
	nc    net.Conn
	in    packetReader
	layer security.Layer // nil: packets travel as they are
	// opening must go out before the first call, in the same write: what a
	// SIMPLE client begins with, and the connection context.
	opening []byte
}

// connect dials and, where there is something to log in with, logs in.
func connect(ctx context.Context, addr, protocol string, clientID []byte, o *Options) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.DialTimeout, timeoutError{o.DialTimeout, "no connection"})
	defer cancel()
	token := o.token()
	if token == nil && o.Kerberos == nil && o.User == "" {
		return nil, &TransportError{Op: "authenticate to", Addr: addr, Err: &AuthError{Reason: "there is neither a user name nor a token to log in with"}}
	}
	nc, err := o.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, &TransportError{Op: "connect to", Addr: addr, Err: withCause(ctx, err)}
	}
	if token == nil && o.Kerberos == nil {
		opening, err := wire.AppendFrame(wire.Preamble(wire.AuthNone), requestHeader(wire.CallContext, clientID, -1),
			connectionContext(protocol, methodSimple, o))
		if err != nil {
			_ = nc.Close()
			return nil, &TransportError{Op: "connect to", Addr: addr, Err: err}
		}
		return &session{nc: nc, in: newFrameReader(nc, o.MaxFrame), opening: opening}, nil
	}
	// Ends reads and writes under way when the time is up or the caller gone.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	s, err := login(ctx, nc, protocol, clientID, token, o)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		if re, ok := err.(*RemoteError); ok { //nolint:errorlint // login returns it bare
			re.Addr = addr
			return nil, re
		}
		return nil, &TransportError{Op: "authenticate to", Addr: addr, Err: withCause(ctx, serverClosed(err))}
	}
	return s, nil
}

// withCause returns why the context ended, in place of the error that its end
// led to.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// login runs the SASL negotiation on a fresh connection.
func login(ctx context.Context, nc net.Conn, protocol string, clientID []byte, token *security.Token, o *Options) (*session, error) {
	n := &negotiation{opt: o, token: token}
	in := newFrameReader(nc, o.MaxFrame)
	out := wire.Preamble(wire.AuthSASL)
	for message, done := n.start(), false; ; {
		if message != nil {
			var err error
			if out, err = wire.AppendFrame(out, requestHeader(wire.CallSASL, nil, -1), message); err != nil {
				return nil, err
			}
		}
		if done {
			break
		}
		if _, err := nc.Write(out); err != nil {
			return nil, err
		}
		out = nil
		answer, err := readSASL(in)
		if err != nil {
			return nil, err
		}
		in.first = false
		if message, done, err = n.step(ctx, answer); err != nil {
			return nil, err
		}
	}
	// What is still to be said (the choice of SIMPLE has no answer) goes out
	// with the context.
	s := &session{nc: nc, in: in, layer: n.layer}
	opening, err := wire.AppendFrame(nil, requestHeader(wire.CallContext, clientID, -1), n.context(protocol))
	if err != nil {
		return nil, err
	}
	if s.layer != nil {
		s.in = &unwrapper{outer: in, layer: s.layer, max: o.MaxFrame}
	}
	s.opening = append(out, opening...)
	return s, nil
}

// readSASL reads a message of the negotiation.
func readSASL(in *frameReader) (*rpcpb.RpcSaslProto, error) {
	frame, err := in.next()
	if err != nil {
		return nil, noEOF(err)
	}
	r, err := parseResponse(frame)
	if err != nil {
		return nil, &ProtocolError{Foreign: in.first, Reason: err.Error()}
	}
	if e := r.remoteError(""); e != nil {
		e.Fatal = true
		return nil, e
	}
	if r.id != wire.CallSASL {
		return nil, &ProtocolError{Foreign: in.first, Reason: fmt.Sprintf("answer to call %d during the SASL negotiation", r.id)}
	}
	return parseSASL(r.body)
}

func parseSASL(b []byte) (*rpcpb.RpcSaslProto, error) {
	m := new(rpcpb.RpcSaslProto)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, &ProtocolError{Reason: fmt.Sprintf("SASL message: %v", err)}
	}
	return m, nil
}

// timeoutError is the end of a wait. It is a net.Error that timed out.
type timeoutError struct {
	after time.Duration
	what  string
}

func (e timeoutError) Error() string   { return fmt.Sprintf("%s within %v", e.what, e.after) }
func (e timeoutError) Timeout() bool   { return true }
func (e timeoutError) Temporary() bool { return true }

var _ net.Error = timeoutError{}
