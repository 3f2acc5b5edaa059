package kafka

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// version is what brokers show of this software: the module's version.
var version = func() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "(devel)" {
		return shownVersion(b.Main.Version)
	}
	return shownVersion("")
}()

// shownVersion makes a version into one that a broker takes: Kafka refuses the
// connection of a client whose version holds anything but letters, digits, '-'
// and '.' (KIP-511), such as the "+dirty" of a build from a changed checkout.
func shownVersion(v string) string {
	v = strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}, v), "-.")
	return cmp.Or(v, "development")
}

// clientLog takes the client's log. What the client cannot deal with itself is
// an error of the call; its own log is for looking closely, so all of it is at
// level Debug, but its errors.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelDebug
	}
	return kgo.LogLevelError
}

func (l clientLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError {
		to = slog.LevelWarn
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}

// outages logs once when a broker cannot be reached, and once when it can be
// again. All clients of a system share it.
type outages struct {
	log   *slog.Logger
	now   func() time.Time
	named []string // addresses of the configuration

	mu   sync.Mutex
	down map[string]time.Time // address: since when
}

var _ kgo.HookBrokerConnect = (*outages)(nil)

func newOutages(log *slog.Logger, now func() time.Time, named []string) *outages {
	return &outages{log: log, now: now, named: named, down: map[string]time.Time{}}
}

// OnBrokerConnect is called by the client after each attempt.
func (o *outages) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) {
		return // the client closes: that says nothing about the broker
	}
	address := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	log := o.log
	if meta.NodeID >= 0 && !slices.Contains(o.named, address) {
		log = log.With("note", "not an address of the configuration: the brokers gave it (their advertised.listeners)")
	}
	o.mu.Lock()
	since, wasDown := o.down[address]
	if err == nil {
		delete(o.down, address)
	} else if !wasDown {
		o.down[address] = o.now()
	}
	o.mu.Unlock()
	switch {
	case err != nil && !wasDown:
		log.Warn("Kafka broker cannot be reached; trying on", "address", address, "error", err)
	case err == nil && wasDown:
		log.Info("Kafka broker is reached again", "address", address, "after", o.now().Sub(since).Round(time.Millisecond))
	}
}
