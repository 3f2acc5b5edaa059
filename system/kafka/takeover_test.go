package kafka

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestDialsTheNextToServe: while nobody serves the embedded Kafka a connection waits
// for who serves next, and no longer than its request.
func TestDialsTheNextToServe(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	gone, next := listen(), listen()
	defer next.Close()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	tries := 0
	c, err := dialNext(t.Context(), "tcp", func() string {
		if tries++; tries < 3 {
			return gone.Addr().String()
		}
		return next.Addr().String()
	})
	if err != nil || tries != 3 {
		t.Fatalf("%d tries: %v", tries, err)
	}
	_ = c.Close()

	ctx, cancel := context.WithCancel(t.Context())
	_, err = dialNext(ctx, "tcp", func() string {
		if tries++; tries == 6 {
			cancel()
		}
		return gone.Addr().String()
	})
	if err == nil || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, context.Canceled) {
		t.Errorf("after its request was given up: %v", err)
	}
}
