package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"heddle/config"
	"heddle/internal/heard"
)

// TestOutagesAreLoggedOnce: one line when a broker goes, one when it is back.
func TestOutagesAreLoggedOnce(t *testing.T) {
	log := &heard.Text{}
	now := time.Unix(1000, 0)
	o := newOutages(slog.New(slog.NewTextHandler(log, nil)), func() time.Time { return now }, []string{"a:1"})
	seed, other := kgo.BrokerMetadata{NodeID: -2147483648, Host: "a", Port: 1}, kgo.BrokerMetadata{NodeID: 7, Host: "b", Port: 2}
	refused := errors.New("connection refused")
	for range 5 {
		o.OnBrokerConnect(seed, 0, nil, refused)
	}
	o.OnBrokerConnect(other, 0, nil, refused)
	// What net makes of a dial whose context is cancelled, as kgo wraps it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:9")
	if err == nil {
		t.Fatal("a cancelled dial succeeded")
	}
	o.OnBrokerConnect(kgo.BrokerMetadata{NodeID: 9, Host: "c", Port: 3}, 0, nil, fmt.Errorf("unable to dial: %w", err))
	now = now.Add(3 * time.Second)
	for range 5 {
		o.OnBrokerConnect(seed, 0, nil, nil)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), log)
	}
	for i, parts := range [][]string{
		{"level=WARN", "address=a:1", "connection refused"}, {"level=WARN", "address=b:2", "advertised.listeners"}, {"level=INFO", "address=a:1", "after=3s"},
	} {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i, part, lines[i])
			}
		}
	}
	if strings.Contains(lines[0], "advertised") {
		t.Errorf("a configured address: %s", lines[0])
	}
}

// TestNothingIsLeftRunning: a closed system leaves no goroutine.
func TestNothingIsLeftRunning(t *testing.T) {
	cluster := fake(t)
	before := goleak.IgnoreCurrent()
	s, err := New("kafka", config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": cluster.ListenAddrs()[0]}), Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, "in", 2)
	fill(t, s, "in", 0, 10)
	drain(t, consumerAt(t, s, "in", 0, 0), map[string]int64{"in/0": 10})
	polled := make(chan error, 1)
	c := consumerAt(t, s, "in", 10)
	go func() {
		_, err := c.Poll(testContext(t))
		polled <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; !errors.Is(err, errClosed) {
		t.Errorf("Poll while the system is closed: %v", err)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"), goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"))
}
