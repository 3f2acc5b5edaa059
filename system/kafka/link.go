package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// link is a client, and whether it has reached Kafka.
type link struct {
	s      *System
	side   side
	client *kgo.Client

	posture posture

	mu      sync.Mutex
	reached bool
}

// connect makes a client; kind is for its id. It does not dial yet.
func (s *System) connect(kind string, sd side, extra ...kgo.Opt) (*link, error) {
	h := s.sides[sd]
	sec, err := securityOf(s.conf, s.name, sd)
	if err != nil {
		return nil, err
	}
	id := cmp.Or(s.o.ClientID, clientID(kind, s.o.JobName, s.o.JobID))
	opts := []kgo.Opt{
		kgo.ClientID(id), kgo.SoftwareNameAndVersion("heddle", version), kgo.DisableClientMetrics(),
		kgo.WithLogger(clientLog{s.log}), kgo.WithHooks(s.outages),
	}
	if s.embedded {
		b, err := s.serve(s.ctx)
		if err != nil {
			return nil, err
		}
		// Another process may take the broker over, at another address. Its connections
		// have no security whose absence a closed one could mean.
		opts = append(opts, kgo.SeedBrokers(b.Addr()), kgo.AlwaysRetryEOF(), kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialNext(ctx, network, b.Addr)
		}))
	} else {
		opts = append(opts, kgo.SeedBrokers(h.boot.servers...))
	}
	opts = append(opts, h.settings.opts...)
	opts = append(opts, sec.opts...)
	opts = append(opts, extra...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", s.name, err)
	}
	l := &link{s: s, side: sd, client: client, posture: sec.posture}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		client.Close()
		return nil, fmt.Errorf("system %s: %w", s.name, errClosed)
	}
	s.links = append(s.links, l)
	return l, nil
}

// takeover is the most that is waited for the next process to serve the embedded
// Kafka: it tries five times a second, this one among them.
const takeover = 5 * time.Second

// dialNext connects to the embedded Kafka, also between the end of one process that
// served it and the next.
func dialNext(ctx context.Context, network string, address func() string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, network, address())
		if !errors.Is(err, syscall.ECONNREFUSED) || pause(ctx, 20*time.Millisecond) != nil {
			return c, err
		}
	}
}

// drop closes a client that is no longer needed.
func (s *System) drop(l *link) {
	s.mu.Lock()
	s.links = slices.DeleteFunc(s.links, func(o *link) bool { return o == l })
	s.mu.Unlock()
	l.client.Close()
}

// ask gives the client of Admin and Read.
func (s *System) ask(ctx context.Context) (*link, error) {
	s.mu.Lock()
	l := s.asking
	s.mu.Unlock()
	if l == nil {
		made, err := s.connect("admin_consumer", consumerSide)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if s.asking == nil {
			s.asking = made
		}
		l = s.asking
		s.mu.Unlock()
		if l != made {
			s.drop(made)
		}
	}
	return l, l.reach(ctx)
}

// reach tries to get an answer from Kafka until ConnectTimeout has passed; once
// it got one, it returns at once for ever.
func (l *link) reach(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reached {
		return nil
	}
	limit := l.s.o.ConnectTimeout
	switch {
	case limit > 0:
	case l.s.reachedBefore(l.side):
		limit = outagePatience // another client was there, so the address is right
	default:
		limit = 10 * time.Second
	}
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTookTooLong)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A request of a closed client may hang.
	defer context.AfterFunc(l.client.Context(), func() { end(errClosed) })()
	var last error
	closed := 0
	for try := 1; ; try++ {
		err := l.client.Ping(ctx)
		if err == nil {
			l.reached = true
			l.s.sides[l.side].reached.Store(true)
			return nil
		}
		// The try that the time limit cuts off says less than the one before.
		var late net.Error
		if last == nil || ctx.Err() == nil && !(errors.As(err, &late) && late.Timeout()) {
			last = err
		}
		if errors.Is(err, kgo.ErrClientClosed) {
			return fmt.Errorf("system %s: %w", l.s.name, errClosed)
		}
		if l.posture.closedAtLogin(err) {
			closed++
		} else {
			closed = 0
		}
		if refused(err) || closed == closedLogins {
			return l.failure(err, time.Since(start), true)
		}
		wait := time.NewTimer(min(time.Duration(try)*100*time.Millisecond, time.Second))
		select {
		case <-wait.C:
			continue
		case <-ctx.Done():
			wait.Stop()
		}
		if cause := context.Cause(ctx); cause != errTookTooLong { //nolint:errorlint // it is ours, unwrapped
			return fmt.Errorf("system %s: %w", l.s.name, cause)
		}
		return l.failure(last, time.Since(start), false)
	}
}

var errTookTooLong = errors.New("took too long")

func (l *link) failure(err error, tried time.Duration, refused bool) error {
	b := l.s.sides[l.side].boot
	e := &ConnectError{System: l.s.name, Addresses: b.servers, Key: b.key, Origin: b.origin, Tried: tried, Refused: refused, Err: err, remedy: l.posture.remedy(err)}
	if l.s.embedded {
		l.s.mu.Lock()
		if l.s.broker != nil {
			e.Addresses = []string{l.s.broker.Addr()}
		}
		l.s.mu.Unlock()
	}
	return e
}
