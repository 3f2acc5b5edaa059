package rpc

import (
	"errors"
	"fmt"
	"strings"

	"heddle/yarn/rpc/internal/rpcpb"
)

// ErrClosed is the error of calls on a Client that was closed.
var ErrClosed = errors.New("the client is closed")

// ErrTooLarge is wrapped by the error of a call whose request is larger than
// the server would take.
var ErrTooLarge = errors.New("too large")

// ErrBadRequest is wrapped by the error of a call whose request cannot be
// encoded (a required field is missing).
var ErrBadRequest = errors.New("incomplete request")

// Code is the server's coarse kind of an error (RpcErrorCodeProto).
type Code int32

// Codes that servers send. Those from FatalUnknown on end the connection.
const (
	ErrorApplication              Code = 1
	ErrorNoSuchMethod             Code = 2
	ErrorNoSuchProtocol           Code = 3
	ErrorServer                   Code = 4
	ErrorSerializingResponse      Code = 5
	ErrorVersionMismatch          Code = 6
	FatalUnknown                  Code = 10
	FatalUnsupportedSerialization Code = 11
	FatalInvalidHeader            Code = 12
	FatalDeserializingRequest     Code = 13
	FatalVersionMismatch          Code = 14
	FatalUnauthorized             Code = 15
)

// String is the code's name in Hadoop's protocol files.
func (c Code) String() string { return rpcpb.RpcResponseHeaderProto_RpcErrorCodeProto(c).String() }

// A RemoteError is the server's refusal of a call, or, if Fatal, of the
// connection.
type RemoteError struct {
	Class   string // Java class of the exception, "" if the server gave none
	Message string // its message, without the server's stack trace
	Trace   string // the stack trace, "" if none was sent
	Method  string // the method called, "" while the connection was set up
	Addr    string
	Code    Code
	Fatal   bool // the server closed the connection with it
}

// Error names method, address, message and the exception's short class.
func (e *RemoteError) Error() string {
	what := "connect to"
	if e.Method != "" {
		what = e.Method + " at"
	}
	msg := e.Message
	if msg == "" {
		msg = "no message"
	}
	if c := e.ShortClass(); c != "" {
		return fmt.Sprintf("%s %s: %s (%s)", what, e.Addr, msg, c)
	}
	return fmt.Sprintf("%s %s: %s", what, e.Addr, msg)
}

// ShortClass is Class without its package: "ApplicationNotFoundException".
func (e *RemoteError) ShortClass() string {
	c := e.Class[strings.LastIndexByte(e.Class, '.')+1:]
	return c[strings.LastIndexByte(c, '$')+1:]
}

// A TransportError is the failure of a connection, or of the wait for an
// answer.
type TransportError struct {
	Op     string // "connect to", "authenticate to", "call"
	Method string // "" when no call was involved
	Addr   string
	Sent   bool // the request may have reached the server and been executed
	Err    error
}

// Error names the operation, the address and the cause.
func (e *TransportError) Error() string {
	if e.Op == "call" {
		return fmt.Sprintf("%s at %s: %v", e.Method, e.Addr, e.Err)
	}
	if e.Method != "" {
		return fmt.Sprintf("%s: %s %s: %v", e.Method, e.Op, e.Addr, e.Err)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// A ProtocolError says that what came over the connection is not Hadoop RPC.
type ProtocolError struct {
	Reason  string
	Foreign bool // nothing valid came before it: another kind of server listens there
}

// Error returns the reason.
func (e *ProtocolError) Error() string { return e.Reason }

// An AuthError says that client and server could not agree on who they are, by
// the client's judgement. (A refusal by the server is a RemoteError.)
type AuthError struct {
	Reason string
	Err    error // the cause, nil if the reason is all there is
}

// Error returns the reason.
func (e *AuthError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// splitTrace parts the message of a Java exception from the stack trace that
// servers append to it.
func splitTrace(s string) (message, trace string) {
	message, trace, found := strings.Cut(s, "\n\tat ")
	if found {
		trace = "\tat " + trace
	}
	return strings.TrimRight(message, "\n"), trace
}
