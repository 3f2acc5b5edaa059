package job

import (
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/system"
	"heddle/system/kafka"
	"heddle/system/systemtest"
)

// The lag of a task that has processed every message there is, is 0, whatever
// lies behind the last one; with one message left it is not.
func TestLagBehindTheLastMessage(t *testing.T) {
	for _, isolation := range []string{"read_committed", "read_uncommitted"} {
		t.Run(isolation, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			base := map[string]string{
				"systems.kafka.samza.factory": "kafka", "systems.kafka.producer.bootstrap.servers": cluster.ListenAddrs()[0],
				"systems.kafka.consumer.isolation.level": isolation, "task.class": "a.Task",
			}
			log := slog.New(slog.DiscardHandler)
			sys, err := kafka.New("kafka", config.New(base), kafka.Options{Logger: log})
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
					spec := system.StreamSpec{Name: stream, Partitions: 2, Settings: map[string]string{"cleanup.policy": "compact"}}
					if err := admin.Create(t.Context(), spec); err != nil {
						t.Fatal(err)
					}
					// Partition 0 has one message, partition 1 another behind the first's tail.
					tail.Append(system.Record{Stream: stream, At: 1, Key: []byte("k"), Value: []byte("v")})
					tail.Append(system.Record{Stream: stream, At: 2, Key: []byte("k"), Value: []byte("v")})
					tail.Append(system.Record{Stream: stream, At: 2, Key: []byte("l"), Value: []byte("v")})

					settings := map[string]string{"job.name": "reads-" + stream, "task.inputs": "kafka." + stream}
					for k, v := range base {
						settings[k] = v
					}
					j := &Job{Config: config.New(settings), log: log}
					show := func(offset string) (lags [2]int64) {
						t.Helper()
						systems, err := j.Systems()
						if err != nil {
							t.Fatal(err)
						}
						defer systems.Close()
						c, err := checkpoint.New(j.Config, systems, checkpoint.Options{Logger: log})
						if err != nil {
							t.Fatal(err)
						}
						if err := c.Start(t.Context()); err != nil {
							t.Fatal(err)
						}
						for p, task := range []string{"Partition 0", "Partition 1"} {
							at := system.Partition{System: "kafka", Stream: stream, Partition: int32(p)}
							if err := c.Write(t.Context(), task, checkpoint.Checkpoint{ID: "1-" + offset, Inputs: map[system.Partition]string{at: offset}}); err != nil {
								t.Fatal(err)
							}
						}
						if err := c.Close(); err != nil {
							t.Fatal(err)
						}
						all, err := j.Positions(t.Context())
						if err != nil || len(all) != 2 || all[0].Lag == nil || all[1].Lag == nil {
							t.Fatalf("%+v, %v", all, err)
						}
						return [2]int64{*all[0].Lag, *all[1].Lag}
					}
					ends, err := admin.Offsets(t.Context(), stream)
					if err != nil {
						t.Fatal(err)
					}
					read := [2]int64{0, ends[1].Next - 1}
					if isolation == "read_uncommitted" && tail.Name == "an aborted tail" {
						read[0] = ends[0].Next - 1 // it is given what was aborted
					}
					if got := show("0"); got != read {
						t.Errorf("with one message processed: lags %v, want %v; ends %+v", got, read, ends)
					}
					if got, want := show("-1"), [2]int64{ends[0].Next, ends[1].Next}; got != want {
						t.Errorf("with none processed: lags %v, want %v", got, want)
					}
				})
			}
		})
	}
}
