package rpcfake

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc"
	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
	"heddle/yarn/security"
)

const maxRequest = 128 << 20

// httpAnswer is what Hadoop's server tells a browser.
const httpAnswer = "HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\n" +
	"It looks like you are making an HTTP request to a Hadoop IPC port. This is not the correct port for the web interface on this daemon.\r\n"

type serverConn struct {
	server   *Server
	nc       net.Conn
	ctx      context.Context //nolint:containedctx // the connection's life, for its handlers
	cancel   context.CancelFunc
	handlers sync.WaitGroup

	digest *security.DigestServer
	layer  security.Layer // set once, by the reader, before the first call

	user, realUser string
	established    bool // the connection context was read

	writeMu sync.Mutex // also keeps wrapping and writing in one order
}

// fatal is the end of a connection, as the client is told.
type fatal struct {
	id int32
	e  *rpc.RemoteError
}

func (f *fatal) Error() string { return f.e.Error() }

func refuse(id int32, class string, code rpc.Code, format string, args ...any) error {
	return &fatal{id, &rpc.RemoteError{Class: class, Message: fmt.Sprintf(format, args...), Code: code, Fatal: true}}
}

const (
	classIPC           = "org.apache.hadoop.ipc.IpcException"
	classRPCServer     = "org.apache.hadoop.ipc.RpcServerException"
	classAccessControl = "org.apache.hadoop.security.AccessControlException"
	classInvalidToken  = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
	classSASL          = "javax.security.sasl.SaslException"
	classIO            = "java.io.IOException"
)

func (c *serverConn) serve() {
	var f *fatal
	if err := c.run(bufio.NewReader(c.nc)); errors.As(err, &f) {
		_ = c.respond(f.id, nil, 0, nil, f.e)
	}
}

func (c *serverConn) run(in *bufio.Reader) error {
	var head [wire.PreambleSize]byte
	if _, err := io.ReadFull(in, head[:4]); err != nil {
		return err
	}
	if string(head[:4]) == "GET " {
		_, err := io.WriteString(c.nc, httpAnswer)
		return err
	}
	if string(head[:4]) != "hrpc" {
		return errors.New("no Hadoop RPC")
	}
	if _, err := io.ReadFull(in, head[4:]); err != nil {
		return err
	}
	if head[4] != 9 {
		return refuse(wire.CallAuthorizationFailed, "org.apache.hadoop.ipc.RPC$VersionMismatch", rpc.FatalVersionMismatch,
			"Server IPC version 9 cannot communicate with client version %d", head[4])
	}
	switch head[6] {
	case wire.AuthNone:
		if !c.server.conf.Simple {
			return refuse(wire.CallAuthorizationFailed, classAccessControl, rpc.FatalUnauthorized,
				"SIMPLE authentication is not enabled.  Available:[%s]", strings.Join(c.methods(), ", "))
		}
	case wire.AuthSASL:
		if err := c.negotiate(in); err != nil {
			return err
		}
	default:
		return refuse(wire.CallAuthorizationFailed, classIPC, rpc.FatalUnauthorized, "Unknown auth byte %#x", head[6])
	}
	packets := &packetStream{c: c, in: in}
	for {
		b, err := packets.next()
		if err != nil {
			return err
		}
		if err := c.packet(b); err != nil {
			return err
		}
	}
}

func (c *serverConn) methods() []string {
	var m []string
	if c.server.conf.Password != nil {
		m = append(m, "TOKEN")
	}
	if c.server.conf.Simple {
		m = append(m, "SIMPLE")
	}
	return m
}

// packetStream returns the client's packets, out of their protection where they
// have one.
type packetStream struct {
	c     *serverConn
	in    *bufio.Reader
	inner []byte
}

func (p *packetStream) next() ([]byte, error) {
	for {
		if b, rest, _ := wire.CutPacket(p.inner); b != nil {
			p.inner = rest
			return b, nil
		}
		b, err := readPacket(p.in)
		if err != nil {
			return nil, err
		}
		var h rpcpb.RpcRequestHeaderProto
		rest, err := wire.TakeMessage(b, &h)
		if err != nil {
			return nil, refuse(wire.CallAuthorizationFailed, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
		}
		if h.GetCallId() != wire.CallSASL {
			if p.c.layer != nil {
				// Hadoop's server takes it; a client that sends it leaks.
				return nil, refuse(h.GetCallId(), classSASL, rpc.FatalInvalidHeader, "unprotected packet on a protected connection")
			}
			return b, nil
		}
		var m rpcpb.RpcSaslProto
		if _, err := wire.TakeMessage(rest, &m); err != nil {
			return nil, refuse(wire.CallSASL, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
		}
		if m.GetState() != rpcpb.RpcSaslProto_WRAP || p.c.layer == nil {
			return nil, refuse(wire.CallSASL, classSASL, rpc.FatalUnauthorized, "unexpected SASL message %v", m.GetState())
		}
		plain, err := p.c.layer.Unwrap(m.GetToken())
		if err != nil {
			return nil, refuse(wire.CallSASL, classSASL, rpc.FatalUnauthorized, "%v", err)
		}
		p.inner = append(p.inner, plain...)
	}
}

func readPacket(in *bufio.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxRequest {
		return nil, refuse(wire.CallInvalid, classIO, rpc.FatalDeserializingRequest, "Requested data length %d is longer than maximum configured RPC length %d", n, maxRequest)
	}
	return wire.ReadSized(in, int(n))
}

// negotiate runs the server's side of SASL.
func (c *serverConn) negotiate(in *bufio.Reader) error {
	conf := &c.server.conf
	var offer []*rpcpb.RpcSaslProto_SaslAuth
	for first := true; ; first = false {
		m, err := readSASL(in)
		if err != nil {
			return err
		}
		switch {
		case first && m.GetState() == rpcpb.RpcSaslProto_NEGOTIATE:
			if conf.Password == nil {
				if !conf.Simple {
					return refuse(wire.CallSASL, classAccessControl, rpc.FatalUnauthorized, "no authentication is enabled")
				}
				return c.sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_SUCCESS.Enum()})
			}
			if offer, err = c.offer(); err != nil {
				return err
			}
			if err := c.sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_NEGOTIATE.Enum(), Auths: offer}); err != nil {
				return err
			}
		case !first && m.GetState() == rpcpb.RpcSaslProto_INITIATE:
			return c.initiate(m, offer)
		default:
			return refuse(wire.CallSASL, classSASL, rpc.FatalUnauthorized, "Client sent unsupported state %v", m.GetState())
		}
	}
}

func (c *serverConn) offer() ([]*rpcpb.RpcSaslProto_SaslAuth, error) {
	conf := &c.server.conf
	c.digest = &security.DigestServer{
		Realm: "default", Offer: conf.Protection, Ciphers: conf.Ciphers, Password: conf.Password, Random: rand.Reader,
	}
	challenge, err := c.digest.Challenge()
	if err != nil {
		return nil, err
	}
	auths := []*rpcpb.RpcSaslProto_SaslAuth{{
		Method: proto.String("TOKEN"), Mechanism: proto.String(security.MechanismDigestMD5),
		Protocol: proto.String(""), ServerId: proto.String("default"), Challenge: challenge,
	}}
	if conf.Simple {
		auths = append(auths, &rpcpb.RpcSaslProto_SaslAuth{Method: proto.String("SIMPLE"), Mechanism: proto.String("")})
	}
	return auths, nil
}

func (c *serverConn) initiate(m *rpcpb.RpcSaslProto, offer []*rpcpb.RpcSaslProto_SaslAuth) error {
	if len(m.GetAuths()) != 1 {
		return refuse(wire.CallSASL, classSASL, rpc.FatalUnauthorized, "Client must choose one authentication")
	}
	choice := m.GetAuths()[0]
	chosen := false
	for _, a := range offer {
		a = proto.CloneOf(a)
		a.Challenge = nil
		chosen = chosen || proto.Equal(a, choice)
	}
	if !chosen {
		return refuse(wire.CallSASL, classAccessControl, rpc.FatalUnauthorized,
			"%s authentication is not enabled.  Available:[%s]", choice.GetMethod(), strings.Join(c.methods(), ", "))
	}
	if choice.GetMethod() == "SIMPLE" {
		c.digest = nil
		return nil // no answer
	}
	proof, err := c.digest.Evaluate(m.GetToken())
	if err != nil {
		class := classSASL
		if errors.Is(err, security.ErrNoPassword) {
			class = classInvalidToken
		}
		e := asRemote(err, class, rpc.FatalUnauthorized)
		e.Fatal = true
		return &fatal{wire.CallSASL, e}
	}
	if err := c.sasl(&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_SUCCESS.Enum(), Token: proof}); err != nil {
		return err
	}
	c.layer = c.digest.Layer()
	return nil
}

func readSASL(in *bufio.Reader) (*rpcpb.RpcSaslProto, error) {
	b, err := readPacket(in)
	if err != nil {
		return nil, err
	}
	var h rpcpb.RpcRequestHeaderProto
	rest, err := wire.TakeMessage(b, &h)
	if err != nil {
		return nil, refuse(wire.CallSASL, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
	}
	if h.GetCallId() != wire.CallSASL {
		return nil, refuse(h.GetCallId(), classRPCServer, rpc.FatalInvalidHeader, "unexpected call %d during SASL", h.GetCallId())
	}
	m := new(rpcpb.RpcSaslProto)
	if _, err := wire.TakeMessage(rest, m); err != nil {
		return nil, refuse(wire.CallSASL, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
	}
	return m, nil
}

// packet takes one packet after the negotiation.
func (c *serverConn) packet(b []byte) error {
	var h rpcpb.RpcRequestHeaderProto
	rest, err := wire.TakeMessage(b, &h)
	if err != nil {
		return refuse(wire.CallAuthorizationFailed, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
	}
	id := h.GetCallId()
	switch {
	case h.RpcKind == nil || h.RpcOp == nil || h.GetRpcOp() != rpcpb.RpcRequestHeaderProto_RPC_FINAL_PACKET ||
		h.GetRpcKind() != rpcpb.RpcKindProto_RPC_PROTOCOL_BUFFER:
		return refuse(id, classRPCServer, rpc.FatalInvalidHeader, "IPC Server: invalid rpcKind or rpcOp in rpc request header")
	case id == wire.CallPing:
		return nil
	case id == wire.CallContext:
		return c.context(rest)
	case id < 0:
		return refuse(id, classRPCServer, rpc.FatalInvalidHeader, "Unknown out of band call #%d", id)
	case !c.established:
		return refuse(id, classRPCServer, rpc.FatalInvalidHeader, "Connection context not established")
	}
	var rh rpcpb.RequestHeaderProto
	if rest, err = wire.TakeMessage(rest, &rh); err != nil {
		return refuse(id, classRPCServer, rpc.FatalDeserializingRequest, "%v", err)
	}
	body, rest, err := wire.TakeBytes(rest)
	if err != nil || len(rest) > 0 {
		return refuse(id, classRPCServer, rpc.FatalDeserializingRequest, "request of %s is malformed", rh.GetMethodName())
	}
	call := &Call{
		Protocol: rh.GetDeclaringClassProtocolName(), Version: rh.GetClientProtocolVersion(), Method: rh.GetMethodName(),
		ID: id, Retry: h.GetRetryCount(), ClientID: h.GetClientId(),
		User: c.user, RealUser: c.realUser, Remote: c.nc.RemoteAddr(), Body: body,
		Disconnect: func() { _ = c.nc.Close() },
	}
	if c.digest != nil {
		call.Identifier = c.digest.Identifier()
	}
	c.handlers.Go(func() { c.handle(call) })
	return nil
}

func (c *serverConn) context(b []byte) error {
	if c.established {
		return refuse(wire.CallContext, classRPCServer, rpc.FatalInvalidHeader, "Connection context already processed")
	}
	var m rpcpb.IpcConnectionContextProto
	rest, err := wire.TakeMessage(b, &m)
	if err != nil || len(rest) > 0 {
		return refuse(wire.CallContext, classRPCServer, rpc.FatalDeserializingRequest, "malformed connection context")
	}
	c.user, c.realUser = m.GetUserInfo().GetEffectiveUser(), m.GetUserInfo().GetRealUser()
	if c.digest != nil && c.user != "" {
		return refuse(wire.CallContext, classAccessControl, rpc.FatalUnauthorized, "Authenticated user doesn't match what the client claims to be (%s)", c.user)
	}
	c.established = true
	return nil
}

func (c *serverConn) handle(call *Call) {
	h, refusal := c.server.handler(call)
	var answer proto.Message
	if refusal == nil {
		var err error
		if answer, err = h(c.ctx, call); err != nil {
			refusal = asRemote(err, classIO, rpc.ErrorApplication)
		}
	}
	if c.respond(call.ID, call.ClientID, call.Retry, answer, refusal) != nil || refusal != nil && refusal.Fatal {
		_ = c.nc.Close()
	}
}

func (c *serverConn) sasl(m *rpcpb.RpcSaslProto) error {
	return c.respond(wire.CallSASL, []byte{}, -1, m, nil)
}

// respond sends a response, protected if that was agreed.
func (c *serverConn) respond(id int32, clientID []byte, retry int32, answer proto.Message, refusal *rpc.RemoteError) error {
	h := &rpcpb.RpcResponseHeaderProto{
		CallId:              proto.Uint32(uint32(id)),
		Status:              rpcpb.RpcResponseHeaderProto_SUCCESS.Enum(),
		ServerIpcVersionNum: proto.Uint32(9),
		ClientId:            clientID,
		RetryCount:          &retry,
	}
	messages := []proto.Message{h}
	if refusal != nil {
		h.Status = rpcpb.RpcResponseHeaderProto_ERROR.Enum()
		if refusal.Fatal {
			h.Status = rpcpb.RpcResponseHeaderProto_FATAL.Enum()
		}
		text := refusal.Message
		if refusal.Trace != "" {
			text += "\n" + refusal.Trace
		}
		h.ExceptionClassName, h.ErrorMsg = &refusal.Class, &text
		h.ErrorDetail = rpcpb.RpcResponseHeaderProto_RpcErrorCodeProto(refusal.Code).Enum()
	} else {
		messages = append(messages, answer)
	}
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	b, err := wire.AppendFrame(nil, messages...)
	if err != nil {
		return err
	}
	if c.layer != nil {
		// As Hadoop's server, one message for the whole response, however large.
		token, err := c.layer.Wrap(b)
		if err != nil {
			return err
		}
		b, err = wire.AppendFrame(nil,
			&rpcpb.RpcResponseHeaderProto{
				CallId: proto.Uint32(uint32(0xFFFFFFDF)), // wire.CallSASL
				Status: rpcpb.RpcResponseHeaderProto_SUCCESS.Enum(),
			},
			&rpcpb.RpcSaslProto{State: rpcpb.RpcSaslProto_WRAP.Enum(), Token: token})
		if err != nil {
			return err
		}
	}
	_, err = c.nc.Write(b)
	return err
}
