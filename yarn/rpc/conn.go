package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"heddle/yarn/rpc/internal/wire"
)

// maxBatch is how many bytes of waiting calls go out in one write.
const maxBatch = 64 << 10

var errIdle = errors.New("closed after being idle")

// A call is one call under way.
type call struct {
	id     int32
	method string
	frame  []byte
	result chan result // holds one
	gone   atomic.Bool // the caller no longer waits: do not send
	sent   atomic.Bool // may have reached the server
}

type result struct {
	body []byte
	err  error // *RemoteError, or why the connection broke
}

// A conn carries many calls at a time over one session. Two goroutines serve
// it: the writer, which also pings and ends an idle connection, and the reader.
type conn struct {
	addr     string
	clientID []byte
	s        *session
	opt      *Options
	log      *slog.Logger

	queue chan *call    // to the writer
	wake  chan struct{} // tells the writer that the connection became idle
	done  chan struct{} // closed when the connection is broken
	stop  func() bool   // ends the watch over the client's Close

	lastRead atomic.Int64  // UnixNano of the last packet
	heard    atomic.Uint64 // packets read

	mu        sync.Mutex
	err       error // why it is broken; nil while it is not
	pending   map[int32]*call
	idleSince time.Time // when pending became empty
	retired   bool      // to be ended as soon as pending is empty
}

func newConn(cl *Client, s *session) *conn {
	c := &conn{
		addr: cl.addr, clientID: cl.clientID, s: s, opt: &cl.opt,
		log:   cl.opt.Logger.With("addr", cl.addr),
		queue: make(chan *call, 64), wake: make(chan struct{}, 1), done: make(chan struct{}),
		pending: make(map[int32]*call), idleSince: time.Now(),
	}
	c.lastRead.Store(time.Now().UnixNano())
	c.stop = context.AfterFunc(cl.ctx, func() { c.fail(ErrClosed) })
	cl.wg.Go(c.write)
	cl.wg.Go(c.read)
	return c
}

// add puts the call among those that wait for an answer. It fails, with the
// reason, when the connection is broken; then nothing of the call was sent.
func (c *conn) add(k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.retired {
		return errIdle
	}
	c.pending[k.id] = k
	return nil
}

// remove takes the call from those that wait, nil if it is not among them.
func (c *conn) remove(id int32) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.pending[id]
	delete(c.pending, id)
	if k != nil && len(c.pending) == 0 {
		c.idleSince = time.Now()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return k
}

// fail breaks the connection and every call on it. Only the first reason
// counts.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	c.end(len(pending))
	for _, k := range pending {
		k.result <- result{err: err}
	}
}

// end does what follows the end of a connection, once c.err is set.
func (c *conn) end(calls int) {
	c.log.Debug("hadoop rpc connection ended", "reason", c.err, "calls", calls)
	close(c.done)
	_ = c.s.nc.Close()
	c.stop()
}

func (c *conn) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// retire ends the connection as soon as no call waits on it. The caller has
// taken care that no new ones come.
func (c *conn) retire() {
	c.mu.Lock()
	c.retired = true
	idle := len(c.pending) == 0
	c.mu.Unlock()
	if idle {
		c.fail(errIdle)
	}
}

func (c *conn) write() {
	ping, err := wire.AppendFrame(nil, requestHeader(wire.CallPing, c.clientID, -1))
	if err != nil {
		c.fail(err)
		return
	}
	lastWrite := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var batch []byte
	for {
		select {
		case <-c.done:
			return
		case k := <-c.queue:
			batch = append(batch[:0], c.s.opening...)
			batch = c.gather(batch, k)
			if len(batch) == len(c.s.opening) {
				continue // nobody waits for it any more
			}
			c.s.opening = nil
		case <-c.wake:
			batch = batch[:0]
		case <-timer.C:
			batch = batch[:0]
		}
		if len(batch) == 0 {
			var idle bool
			batch, idle = c.rest(batch, ping, lastWrite)
			if idle {
				return
			}
		}
		if len(batch) > 0 {
			if err := c.send(batch); err != nil {
				c.fail(err)
				return
			}
			lastWrite = time.Now()
			if cap(batch) > 1<<20 {
				batch = nil
			}
		}
		timer.Reset(c.nextRest(time.Now(), lastWrite))
	}
}

// gather appends the call and those that wait behind it.
func (c *conn) gather(batch []byte, k *call) []byte {
	for {
		if !k.gone.Load() {
			k.sent.Store(true)
			batch = append(batch, k.frame...)
		}
		if len(batch) >= maxBatch {
			return batch
		}
		select {
		case k = <-c.queue:
		default:
			return batch
		}
	}
}

// rest is what the writer does when there is nothing to write: a ping if calls
// wait for their answers in silence, the end if none have for long.
func (c *conn) rest(batch, ping []byte, lastWrite time.Time) (_ []byte, ended bool) {
	now := time.Now()
	c.mu.Lock()
	open, retired, idleFor := len(c.pending), c.retired, now.Sub(c.idleSince)
	c.mu.Unlock()
	switch {
	case open > 0 && c.opt.PingInterval > 0 && now.Sub(c.lastActivity(lastWrite)) >= c.opt.PingInterval && c.s.opening == nil:
		return append(batch, ping...), false
	case open == 0 && (retired || c.opt.IdleTimeout > 0 && idleFor >= c.opt.IdleTimeout):
		// A call may have come in since: then the connection stays.
		c.mu.Lock()
		idle := c.err == nil && len(c.pending) == 0
		if idle {
			c.err = errIdle
		}
		c.mu.Unlock()
		if idle {
			c.end(0)
			return nil, true
		}
	}
	return batch, false
}

// nextRest is how long until rest may have something to do.
func (c *conn) nextRest(now, lastWrite time.Time) time.Duration {
	c.mu.Lock()
	open, idleSince := len(c.pending), c.idleSince
	c.mu.Unlock()
	wait := time.Hour
	if open > 0 && c.opt.PingInterval > 0 {
		wait = c.lastActivity(lastWrite).Add(c.opt.PingInterval).Sub(now)
	}
	if open == 0 && c.opt.IdleTimeout > 0 {
		wait = idleSince.Add(c.opt.IdleTimeout).Sub(now)
	}
	return max(wait, time.Millisecond)
}

func (c *conn) lastActivity(lastWrite time.Time) time.Time {
	if read := time.Unix(0, c.lastRead.Load()); read.After(lastWrite) {
		return read
	}
	return lastWrite
}

func (c *conn) send(packets []byte) error {
	if c.s.layer != nil {
		var err error
		if packets, err = appendWrapped(nil, packets, c.s.layer); err != nil {
			return err
		}
	}
	// A server that reads nothing any more must not hold the writer for ever.
	limit := c.opt.CallTimeout
	if limit <= 0 {
		limit = DefaultCallTimeout
	}
	if err := c.s.nc.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := c.s.nc.Write(packets)
	return err
}

func (c *conn) read() {
	for {
		frame, err := c.s.in.next()
		if err != nil {
			c.fail(c.asReadError(err))
			return
		}
		c.lastRead.Store(time.Now().UnixNano())
		c.heard.Add(1)
		r, err := parseResponse(frame)
		if err != nil {
			c.fail(&ProtocolError{Foreign: c.foreign(), Reason: err.Error()})
			return
		}
		if fr, ok := c.s.in.(*frameReader); ok {
			fr.first = false
		}
		if id := r.header.GetClientId(); len(id) > 0 && !bytes.Equal(id, c.clientID) {
			c.fail(&ProtocolError{Reason: "an answer for another client came over the connection"})
			return
		}
		re := r.remoteError(c.addr)
		if re != nil && re.Fatal {
			// It is about the connection, so about every call on it.
			c.fail(&fatalAnswer{re, r.id, r.id >= 0 || c.heard.Load() > 1})
			return
		}
		k := c.remove(r.id)
		if k == nil {
			if r.id < 0 {
				c.fail(&ProtocolError{Reason: "an answer came to something that has none"})
				return
			}
			c.log.Debug("hadoop rpc answer after its caller gave up", "call", r.id)
			continue
		}
		if re != nil {
			re.Method = k.method
			k.result <- result{err: re}
			continue
		}
		k.result <- result{body: r.body}
	}
}

// A fatalAnswer is the server's last word on a connection.
type fatalAnswer struct {
	re *RemoteError
	id int32 // of the call that it answers; negative: of none
	// executing: the server took calls before, so that those under way, but
	// for the one it answers, may have been executed.
	executing bool
}

func (f *fatalAnswer) Error() string {
	return fmt.Sprintf("the server ended the connection: %s (%s)", f.re.Message, f.re.ShortClass())
}

func (f *fatalAnswer) Unwrap() error { return f.re }

// to returns what the answer means to the call.
func (f *fatalAnswer) to(k *call) error {
	if f.id != k.id && f.executing {
		return &TransportError{Op: "call", Method: k.method, Addr: f.re.Addr, Sent: k.sent.Load(), Err: f}
	}
	own := *f.re // shared by all calls of the connection: not to be changed
	own.Method = k.method
	return &own
}

func (c *conn) foreign() bool {
	fr, ok := c.s.in.(*frameReader)
	return ok && fr.first
}

func (c *conn) asReadError(err error) error {
	if re, ok := err.(*RemoteError); ok { //nolint:errorlint // the frame reader returns it bare
		re.Addr = c.addr
		return re
	}
	return serverClosed(err)
}

// serverClosed says in words what EOF means here.
func serverClosed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errServerClosed{err}
	}
	return err
}

type errServerClosed struct{ err error }

func (e errServerClosed) Error() string { return "the server closed the connection" }
func (e errServerClosed) Unwrap() error { return e.err }
