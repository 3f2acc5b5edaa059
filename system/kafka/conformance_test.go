package kafka

import (
	"log/slog"
	"testing"

	"heddle/config"
	"heddle/system"
	"heddle/system/systemtest"
)

func TestConformance(t *testing.T) {
	systemtest.Run(t, func(t *testing.T) system.System {
		s, err := New("sys", config.New(map[string]string{"systems.sys.producer.bootstrap.servers": fake(t).ListenAddrs()[0]}), Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
