package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka/embedded"
)

// Options are what a System needs beside the job's configuration.
type Options struct {
	// JobName and JobID make the client ids that brokers show, Samza's
	// "kafka_consumer-<name>-<id>"; without a name it is "heddle-consumer".
	JobName, JobID string
	// ClientID, if set, is the client id of all clients instead.
	ClientID string
	// Logger takes warnings and changes of state; slog.Default by default.
	Logger *slog.Logger
	// ConnectTimeout is how long the first use of a client tries to reach Kafka
	// before it gives up; 10 s by default. What was reached once is tried for
	// ever; a producer's first use, too, once another client has reached Kafka.
	ConnectTimeout time.Duration
}

// System is one system "systems.NAME.*" whose factory is kafka (Samza:
// KafkaSystemFactory). It implements system.System.
type System struct {
	name     string
	conf     config.Config
	o        Options
	log      *slog.Logger
	sides    map[side]*half
	embedded bool
	outages  *outages
	ctx      context.Context
	cancel   context.CancelFunc

	mu       sync.Mutex
	closed   bool
	broker   *embedded.Broker // once used, if embedded
	asking   *link            // of Admin and Read
	producer *producer
	users    int // open handles of producer
	links    []*link
	readers  map[*consumer]struct{}

	txnMu sync.Mutex
	txn   *transactor // once used
}

// half is what a side's keys say.
type half struct {
	boot     bootstrap
	settings settings
	reached  atomic.Bool // by one of its clients
}

// reachedBefore says if a client of the system has reached the addresses of a side.
func (s *System) reachedBefore(sd side) bool {
	servers := s.sides[sd].boot.servers
	for _, h := range s.sides {
		if h.reached.Load() && slices.Equal(h.boot.servers, servers) {
			return true
		}
	}
	return false
}

var _ system.System = (*System)(nil)

// New makes the system of that name from the job's configuration. It checks the
// settings, warns of those that are passed over, and connects to nothing. The
// error is a *config.Error.
func New(name string, c config.Config, o Options) (*System, error) {
	s := &System{name: name, conf: c, o: o, sides: map[side]*half{}}
	s.log = cmp.Or(o.Logger, slog.Default()).With("system", name)
	var warnings []string
	for _, sd := range []side{consumerSide, producerSide} {
		h := &half{}
		var err error
		if h.boot, err = bootstrapOf(c, name, sd); err != nil {
			return nil, err
		}
		if h.settings, err = settingsOf(c, name, sd); err != nil {
			return nil, err
		}
		sec, err := securityOf(c, name, sd)
		if err != nil {
			return nil, err
		}
		s.sides[sd] = h
		warnings = append(warnings, h.settings.warnings...)
		warnings = append(warnings, sec.warnings...)
	}
	s.embedded = s.sides[consumerSide].boot.embedded
	if s.embedded != s.sides[producerSide].boot.embedded {
		return nil, &config.Error{Key: s.sides[producerSide].boot.key, Origin: s.sides[producerSide].boot.origin,
			Problem: "consumer and producer cannot use the embedded Kafka and another one"}
	}
	// One half's security may stand for both: its warnings come twice.
	slices.Sort(warnings)
	for _, w := range slices.Compact(warnings) {
		s.log.Warn(w)
	}
	s.outages = newOutages(s.log, time.Now, slices.Concat(s.sides[consumerSide].boot.servers, s.sides[producerSide].boot.servers))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Name is the name given to New.
func (s *System) Name() string { return s.name }

// Embedded says if the system is the Kafka in the process.
func (s *System) Embedded() bool { return s.embedded }

// Addresses are the bootstrap addresses as the configuration has them; for the
// embedded Kafka, which it starts if need be, the one it listens on.
func (s *System) Addresses(ctx context.Context) ([]string, error) {
	if !s.embedded {
		return slices.Clone(s.sides[consumerSide].boot.servers), nil
	}
	b, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	return []string{b.Addr()}, nil
}

// Close ends all clients; what is not acknowledged then is lost. The embedded
// Kafka ends with its last user of the process.
func (s *System) Close() error {
	s.cancel()
	s.mu.Lock()
	links, broker, readers := s.links, s.broker, s.readers
	s.closed, s.links, s.broker, s.readers = true, nil, nil, nil
	s.mu.Unlock()
	for c := range readers {
		_ = c.Close() // it cannot fail
	}
	for _, l := range links {
		l.client.Close()
	}
	if broker != nil {
		if err := broker.Close(); err != nil {
			return fmt.Errorf("system %s: close the embedded Kafka: %w", s.name, err)
		}
	}
	return nil
}

var errClosed = errors.New("closed")

// serve makes sure that the embedded Kafka runs.
func (s *System) serve(ctx context.Context) (*embedded.Broker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("system %s: %w", s.name, errClosed)
	}
	if s.broker != nil {
		return s.broker, nil
	}
	b, err := embedded.Ensure(ctx, config.HeddleHome.Of(s.conf), s.log)
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", s.name, err)
	}
	s.broker = b
	return b, nil
}

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
	limit := cmp.Or(l.s.o.ConnectTimeout, 10*time.Second)
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

// admin is kadm on the asking client.
func (s *System) admin(ctx context.Context) (*kadm.Client, error) {
	l, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(l.client), nil
}
