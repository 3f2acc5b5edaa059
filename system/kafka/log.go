package kafka

import (
	"context"
	"log/slog"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// version is what brokers show of this software: the module's version.
var version = func() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "development"
}()

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
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	down map[string]time.Time // address: since when
}

var _ kgo.HookBrokerConnect = (*outages)(nil)

func newOutages(log *slog.Logger, now func() time.Time) *outages {
	return &outages{log: log, now: now, down: map[string]time.Time{}}
}

// OnBrokerConnect is called by the client after each attempt.
func (o *outages) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	address := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
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
		o.log.Warn("Kafka broker cannot be reached; trying on", "address", address, "error", err)
	case err == nil && wasDown:
		o.log.Info("Kafka broker is reached again", "address", address, "after", o.now().Sub(since).Round(time.Millisecond))
	}
}
