package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

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
	// before it gives up; by default 10 s, and a minute once another client of the
	// system has reached Kafka. What was reached once is tried for ever; a
	// producer's first use, too, once another client has reached Kafka.
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

// admin is the asking client, and kadm on it.
func (s *System) admin(ctx context.Context) (*link, *kadm.Client, error) {
	l, err := s.ask(ctx)
	if err != nil {
		return nil, nil, err
	}
	return l, kadm.NewClient(l.client), nil
}
