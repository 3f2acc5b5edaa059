package rpc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/rpc/internal/rpcpb"
	"heddle/yarn/rpc/internal/wire"
)

// A Client calls one server. Safe for concurrent use: calls share one
// connection, which is made by the first and made anew after it broke or was
// idle for long. The server may answer in any order; a slow call holds up no
// other.
type Client struct {
	addr     string
	proto    Protocol
	opt      Options
	clientID []byte

	ctx    context.Context //nolint:containedctx // ends with Close, and ends every connection
	cancel context.CancelFunc
	wg     sync.WaitGroup // all goroutines of the client

	mu     sync.Mutex
	closed bool
	conn   *conn
	dial   *dial
	lastID int32
}

// A dial is a connection being made, for all callers that want one meanwhile.
type dial struct {
	waiters int
	cancel  context.CancelFunc
	done    chan struct{} // closed when conn or err is set
	conn    *conn
	err     error
}

var _ Caller = (*Client)(nil)

// NewClient returns a client of the server at addr ("host:port"). Nothing is
// dialled before the first call.
func NewClient(addr string, p Protocol, o Options) *Client {
	c := &Client{addr: addr, proto: p, opt: o.withDefaults(), lastID: -1}
	c.proto.Version = cmp.Or(p.Version, 1)
	id := c.opt.ClientID
	if id == [16]byte{} {
		_, _ = rand.Read(id[:]) // never fails
	}
	c.clientID = id[:]
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Addr returns the server's address.
func (c *Client) Addr() string { return c.addr }

// Call sends req to the method of the client's protocol and fills resp with the
// answer. Errors are a *RemoteError (the server refused the call, or the
// connection), a *TransportError (connection or time), or ErrClosed; Classify
// says what to do about them. Nothing is repeated here.
//
// When Call returns because ctx ended or the time was up, the server may still
// execute the call: TransportError.Sent tells.
func (c *Client) Call(ctx context.Context, method string, req, resp proto.Message) error {
	k, err := c.newCall(method, req)
	if err != nil {
		return err
	}
	cn, err := c.start(ctx, k)
	if err != nil {
		return c.wrap(k, err)
	}
	body, err := c.await(ctx, cn, k)
	if err != nil {
		return c.wrap(k, err)
	}
	if err := proto.Unmarshal(body, resp); err != nil {
		return c.wrap(k, &ProtocolError{Reason: fmt.Sprintf("the answer is no %s: %v", resp.ProtoReflect().Descriptor().Name(), err)})
	}
	return nil
}

func (c *Client) newCall(method string, req proto.Message) (*call, error) {
	c.mu.Lock()
	c.lastID = (c.lastID + 1) & 0x7fffffff
	id := c.lastID
	c.mu.Unlock()
	k := &call{id: id, method: method, result: make(chan result, 1)}
	h := requestHeader(id, c.clientID, 0)
	if c.opt.CallerContext != "" {
		h.CallerContext = &rpcpb.RPCCallerContextProto{Context: &c.opt.CallerContext}
	}
	if size := proto.Size(req); size > c.opt.MaxFrame-1024 {
		return nil, c.wrap(k, fmt.Errorf("the request of %d bytes is beyond the limit of %d: %w", size, c.opt.MaxFrame, ErrTooLarge))
	}
	var err error
	k.frame, err = wire.AppendFrame(nil, h, &rpcpb.RequestHeaderProto{
		MethodName:                 &method,
		DeclaringClassProtocolName: &c.proto.Name,
		ClientProtocolVersion:      &c.proto.Version,
	}, req)
	if err != nil {
		return nil, c.wrap(k, fmt.Errorf("%w: %w", ErrBadRequest, err))
	}
	return k, nil
}

// start hands the call to a connection that works.
func (c *Client) start(ctx context.Context, k *call) (*conn, error) {
	for attempt := 0; ; attempt++ {
		cn, err := c.connection(ctx)
		if err != nil {
			return nil, err
		}
		// Between being handed out and taking the call, a connection may end:
		// idle, or closed by the server. Nothing was sent then.
		if err = cn.add(k); err == nil {
			select {
			case cn.queue <- k:
			case <-cn.done: // its result says why
			case <-ctx.Done():
				k.gone.Store(true)
				cn.remove(k.id)
				return nil, context.Cause(ctx)
			}
			return cn, nil
		}
		if attempt >= 2 {
			return nil, err
		}
	}
}

// await waits for the answer.
func (c *Client) await(ctx context.Context, cn *conn, k *call) ([]byte, error) {
	var expired <-chan time.Time
	heard := cn.heard.Load()
	if c.opt.CallTimeout > 0 {
		t := time.NewTimer(c.opt.CallTimeout)
		defer t.Stop()
		expired = t.C
	}
	select {
	case r := <-k.result:
		return r.body, r.err
	case <-ctx.Done():
		k.gone.Store(true)
		cn.remove(k.id)
		return nil, context.Cause(ctx)
	case <-expired:
		k.gone.Store(true)
		cn.remove(k.id)
		err := timeoutError{c.opt.CallTimeout, "no answer"}
		if cn.heard.Load() == heard {
			// Not a word from the server all that time, to whatever call: the
			// connection is half open, and the next call needs a new one.
			cn.fail(err)
		}
		return nil, err
	}
}

// connection returns one that works, dialling if need be.
func (c *Client) connection(ctx context.Context) (*conn, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if c.conn != nil && !c.conn.broken() {
		defer c.mu.Unlock()
		return c.conn, nil
	}
	d := c.dial
	if d == nil {
		var dctx context.Context
		d = &dial{done: make(chan struct{})}
		dctx, d.cancel = context.WithCancel(c.ctx)
		c.dial = d
		c.wg.Go(func() { c.connect(dctx, d) })
	}
	d.waiters++
	c.mu.Unlock()

	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		c.mu.Lock()
		if d.waiters--; d.waiters == 0 {
			d.cancel()
			if c.dial == d {
				c.dial = nil // who comes now must not wait for a dial that was called off
			}
		}
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// connect dials for d.
func (c *Client) connect(ctx context.Context, d *dial) {
	defer d.cancel()
	s, err := connect(ctx, c.addr, c.proto.Name, c.clientID, &c.opt)
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(d.done)
	wanted := c.dial == d
	if wanted {
		c.dial = nil
	}
	switch {
	case err != nil:
		d.err = err
		if c.closed {
			d.err = ErrClosed
		}
	case c.closed || !wanted:
		_ = s.nc.Close()
		d.err = ErrClosed
	default:
		d.conn = newConn(c, s)
		c.conn = d.conn
		c.opt.Logger.Debug("hadoop rpc connected", "addr", c.addr, "protected", s.layer != nil)
	}
}

// Disconnect ends the connection once the calls under way are answered or have
// failed, so that the next call logs in anew: with the newest token.
func (c *Client) Disconnect() {
	c.mu.Lock()
	cn := c.conn
	c.conn = nil
	c.mu.Unlock()
	if cn != nil {
		cn.retire()
	}
}

// Close ends the connection; calls under way fail with ErrClosed. It returns
// when nothing of the client runs any more. Closing twice is no error.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// wrap gives an error the call's method and address.
func (c *Client) wrap(k *call, err error) error {
	var te *TransportError
	var fatal *fatalAnswer
	switch re := (*RemoteError)(nil); {
	case errors.Is(err, ErrClosed):
		return ErrClosed
	case errors.As(err, &fatal):
		return fatal.to(k)
	case errors.As(err, &re):
		if re.Method != "" {
			return err
		}
		own := *re // a refused login, shared by all who waited for it
		own.Method = k.method
		return &own
	case errors.As(err, &te):
		own := *te // likewise
		own.Method = k.method
		return &own
	}
	return &TransportError{Op: "call", Method: k.method, Addr: c.addr, Sent: k.sent.Load(), Err: err}
}
