package topic

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/system/systemtest"
)

// A stream ends where its end is, and not at its last message: markers, what was
// aborted and what compaction took lie behind it.
func TestTailEndsBehindTheLastMessage(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	sys, err := kafka.New("kafka", config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": cluster.ListenAddrs()[0]}),
		kafka.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	admin, err := sys.Admin()
	if err != nil {
		t.Fatal(err)
	}
	for i, tail := range systemtest.Tails(t, sys, cluster.Compact) {
		t.Run(tail.Name, func(t *testing.T) {
			stream := string(rune('a' + i))
			if err := admin.Create(t.Context(), system.StreamSpec{Name: stream, Partitions: 1, Settings: map[string]string{"cleanup.policy": "compact"}}); err != nil {
				t.Fatal(err)
			}
			tail.Append(system.Record{Stream: stream, At: 1, Key: []byte("k"), Value: []byte("v")})
			ends, err := admin.Offsets(t.Context(), stream)
			if err != nil || ends[0].Stable < 2 || ends[0].Stable != ends[0].Next {
				t.Fatalf("ends %+v, %v", ends, err)
			}
			for from, want := range map[string]int64{"oldest": 1, "0": 1, "1": 0, "newest": 0} {
				var out bytes.Buffer
				n, err := Tail{UntilEnd: true, From: from}.Run(t.Context(), sys, stream, &out)
				if err != nil || n != want || int64(bytes.Count(out.Bytes(), []byte("\n"))) != want {
					t.Errorf("from %s: %d messages, %v; want %d:\n%s", from, n, err, want, &out)
				}
			}
		})
	}
}
