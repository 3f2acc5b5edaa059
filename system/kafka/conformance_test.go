package kafka

import (
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"heddle/config"
	"heddle/system"
	"heddle/system/systemtest"
)

// TestConformance runs the suite against the protocol of several Kafkas: names
// gave way to ids of topics, sessions of fetches came, and batches changed.
func TestConformance(t *testing.T) {
	for name, versions := range map[string]*kversion.Versions{
		"1.1": kversion.V1_1_0(), "2.1": kversion.V2_1_0(), "2.4": kversion.V2_4_0(), "3.0": kversion.V3_0_0(), "newest": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			systemtest.Run(t, func(t *testing.T) system.System {
				var opts []kfake.Opt
				if versions != nil {
					opts = append(opts, kfake.MaxVersions(versions))
				}
				s, err := New("sys", config.New(map[string]string{
					"systems.sys.producer.bootstrap.servers": fake(t, opts...).ListenAddrs()[0], "systems.sys.consumer.isolation.level": "read_committed",
				}), Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
