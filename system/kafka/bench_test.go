package kafka

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/config"
	"heddle/system"
)

// The benchmarks compare with a bare loop over the client, with the same
// settings, against a broker in another process that answers fetches from one
// canned batch and throws away what is produced. Beside the rate they report the
// CPU time of this process per record.

const benchPartitions = 4

// benchBroker is the child's part: it serves until its stdin is closed.
func benchBroker() {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(benchPartitions, "in", "out"), kfake.BlackholeProduce(), kfake.SyntheticFetch(kfake.SyntheticBatch{}))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("address", c.ListenAddrs()[0])
	_, _ = os.Stdin.Read(make([]byte, 1)) // the parent's end
	c.Close()
}

func startBenchBroker(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childHome+"=none", childRole+"=bench")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // its end is all that matters
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "address ") {
		b.Fatalf("the broker said %q", lines.Text())
	}
	return strings.TrimPrefix(lines.Text(), "address ")
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// measured runs f for b.N records.
func measured(b *testing.B, f func(n int)) {
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	f(b.N)
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func benchSystem(b *testing.B, addr string) *System {
	b.Helper()
	s, err := New("kafka", config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": addr}), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func bareClient(b *testing.B, addr string, consume bool) *kgo.Client {
	b.Helper()
	c := config.New(map[string]string{"systems.kafka.producer.bootstrap.servers": addr})
	opts := []kgo.Opt{kgo.SeedBrokers(addr)}
	cons, err := settingsOf(c, "kafka", consumerSide)
	if err != nil {
		b.Fatal(err)
	}
	prod, err := settingsOf(c, "kafka", producerSide)
	if err != nil {
		b.Fatal(err)
	}
	opts = append(opts, prod.opts...)
	opts = append(opts, cons.opts...)
	opts = append(opts, kgo.FetchMaxWait(cons.fetchWait), kgo.FetchMaxBytes(cons.fetchMaxBytes), kgo.FetchMaxPartitionBytes(cons.maxPartitionBytes))
	if consume {
		ps := map[int32]kgo.Offset{}
		for p := range int32(benchPartitions) {
			ps[p] = kgo.NewOffset().At(0)
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"in": ps}))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cl.Close)
	return cl
}

func benchConsumer(b *testing.B, s *System) system.Consumer {
	b.Helper()
	c, err := s.Consumer()
	if err != nil {
		b.Fatal(err)
	}
	for p := range int32(benchPartitions) {
		if err := c.Assign(source("in", p), 0); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func BenchmarkPoll(b *testing.B) {
	addr := startBenchBroker(b)
	b.Run("bare", func(b *testing.B) {
		cl := bareClient(b, addr, true)
		cl.PollFetches(b.Context())
		bytes := 0
		measured(b, func(n int) {
			for n > 0 {
				cl.PollFetches(b.Context()).EachRecord(func(r *kgo.Record) {
					n--
					bytes += len(r.Value)
				})
			}
		})
	})
	b.Run("heddle", func(b *testing.B) {
		c := benchConsumer(b, benchSystem(b, addr))
		if _, err := c.Poll(b.Context()); err != nil {
			b.Fatal(err)
		}
		bytes := 0
		measured(b, func(n int) {
			for n > 0 {
				batches, err := c.Poll(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for i := range batches {
					for j := range batches[i].Messages {
						bytes += len(batches[i].Messages[j].ValueBytes)
					}
					n -= len(batches[i].Messages)
				}
			}
		})
	})
}

func BenchmarkSend(b *testing.B) {
	addr := startBenchBroker(b)
	value := []byte(strings.Repeat("v", 100))
	key := []byte("user-00000001")
	b.Run("bare", func(b *testing.B) {
		cl := bareClient(b, addr, false)
		cl.ProduceSync(b.Context(), &kgo.Record{Topic: "out", Value: value})
		var failed atomic.Int64
		measured(b, func(n int) {
			for range n {
				cl.Produce(context.Background(), &kgo.Record{Topic: "out", Key: key, Value: value}, func(_ *kgo.Record, err error) {
					if err != nil {
						failed.Add(1)
					}
				})
			}
			if err := cl.Flush(b.Context()); err != nil || failed.Load() > 0 {
				b.Fatal(err, failed.Load())
			}
		})
	})
	b.Run("heddle", func(b *testing.B) {
		o := outboxOf(b, benchSystem(b, addr))
		send := func() {
			if err := o.Send(system.Record{Stream: "out", Key: key, Value: value}); err != nil {
				b.Fatal(err)
			}
		}
		flush := func() {
			if err := o.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		send()
		flush()
		measured(b, func(n int) {
			for range n {
				send()
			}
			flush()
		})
	})
}

func BenchmarkPassThrough(b *testing.B) {
	addr := startBenchBroker(b)
	b.Run("bare", func(b *testing.B) {
		cl := bareClient(b, addr, true)
		cl.PollFetches(b.Context())
		cl.ProduceSync(b.Context(), &kgo.Record{Topic: "out"})
		var failed atomic.Int64
		measured(b, func(n int) {
			for n > 0 {
				cl.PollFetches(b.Context()).EachRecord(func(r *kgo.Record) {
					n--
					cl.Produce(context.Background(), &kgo.Record{Topic: "out", Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}, func(_ *kgo.Record, err error) {
						if err != nil {
							failed.Add(1)
						}
					})
				})
			}
			if err := cl.Flush(b.Context()); err != nil || failed.Load() > 0 {
				b.Fatal(err, failed.Load())
			}
		})
	})
	b.Run("heddle", func(b *testing.B) {
		s := benchSystem(b, addr)
		c, o := benchConsumer(b, s), outboxOf(b, s)
		if _, err := c.Poll(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := o.Send(system.Record{Stream: "out"}); err != nil {
			b.Fatal(err)
		}
		if err := o.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		measured(b, func(n int) {
			for n > 0 {
				batches, err := c.Poll(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for i := range batches {
					for j := range batches[i].Messages {
						m := &batches[i].Messages[j]
						if err := o.Send(system.Record{Stream: "out", Key: m.KeyBytes, Value: m.ValueBytes, Timestamp: m.Timestamp}); err != nil {
							b.Fatal(err)
						}
					}
					n -= len(batches[i].Messages)
				}
			}
			if err := o.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	})
}
