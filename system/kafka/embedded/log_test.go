package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestBrokerLog: what nobody can do something about is no warning.
func TestBrokerLog(t *testing.T) {
	var out bytes.Buffer
	l := brokerLog{slog.New(slog.NewTextHandler(&out, nil))}
	l.Logf(kfake.LogLevelWarn, "txn: EndTxn slow pid=%d epoch=%d elapsed=%dms batches=%d groups=%d", 1, 0, 7, 4, 0)
	l.Logf(kfake.LogLevelInfo, "something")
	if out.Len() > 0 {
		t.Errorf("logged: %s", out.String())
	}
	l.Logf(kfake.LogLevelWarn, "lost %d", 3)
	if !strings.Contains(out.String(), "WARN") || !strings.Contains(out.String(), "embedded Kafka: lost 3") {
		t.Errorf("logged: %s", out.String())
	}
}
