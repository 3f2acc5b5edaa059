package container

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"syscall"
	"testing"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/task"
)

// endless is a system without Kafka: its consumer gives the same batches again
// and again, as many records as the benchmark asks for, and its producer
// forgets. What is left is the container's own cost.
type endless struct {
	records int // in each batch
	each    int64
	perPoll int // batches in each poll
	parts   []*task.Source
	next    []int64
	slab    []task.Message // what every batch holds
	turn    int
	over    int // partitions that have given all
	paused  int
	start   func() // called at the first Poll
}

func (e *endless) Name() string                       { return "mem" }
func (e *endless) Admin() (system.Admin, error)       { return endlessAdmin{e: e}, nil }
func (e *endless) Consumer() (system.Consumer, error) { return e, nil }
func (e *endless) Producer() (system.Producer, error) { return endlessProducer{}, nil }
func (e *endless) Close() error                       { return nil }
func (e *endless) Read(context.Context, string, int32, int64, int64, func([]task.Message) error) (int64, error) {
	return 0, nil
}

func (e *endless) Assign(src *task.Source, next int64) error {
	e.parts = append(e.parts, src)
	e.next = append(e.next, 0)
	return nil
}

func (e *endless) Poll(ctx context.Context) ([]system.Batch, error) {
	if e.turn == 0 {
		e.start()
	}
	batches := make([]system.Batch, 0, e.perPoll)
	for e.over < len(e.parts) && len(batches) < e.perPoll {
		i := e.turn % len(e.parts)
		e.turn++
		n := min(int64(e.records), e.each-e.next[i])
		if n == 0 {
			continue
		}
		if e.next[i] += n; e.next[i] == e.each {
			e.over++
		}
		batches = append(batches, system.Batch{Source: e.parts[i], Messages: e.slab[:n], Next: e.next[i], HighWatermark: e.each, Bytes: 113 * int(n)})
	}
	if len(batches) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return batches, nil
}

func (e *endless) Pause(...*task.Source)  { e.paused++ }
func (e *endless) Resume(...*task.Source) {}

type endlessAdmin struct {
	system.Admin
	e *endless
}

func (a endlessAdmin) Offsets(context.Context, string) ([]system.Ends, error) {
	ends := make([]system.Ends, 2000)
	for i := range ends {
		ends[i] = system.Ends{Next: a.e.each, Stable: a.e.each}
	}
	return ends, nil
}

type endlessProducer struct{}

func (endlessProducer) Outbox(string) (system.Outbox, error) { return &endlessBox{}, nil }
func (endlessProducer) Close() error                         { return nil }

type endlessBox struct {
	n     int
	bytes int
}

func (b *endlessBox) Partitions(context.Context, string) (int32, error) { return 4, nil }
func (b *endlessBox) Send(r system.Record) error {
	b.n++
	b.bytes += len(r.Value)
	return nil
}
func (b *endlessBox) Flush(context.Context) error       { return nil }
func (b *endlessBox) Acked(string, int32) (int64, bool) { return 0, false }
func (b *endlessBox) Close() error                      { return nil }

// BenchmarkLoop is a pass-through: each operation is one record, from the
// fetched batch to the producer's Send.
func BenchmarkLoop(b *testing.B) {
	for _, bb := range []struct{ partitions, records, perPoll int }{
		{4, 2000, 4}, {4, 100, 4}, {4, 1, 4}, {1000, 2000, 250}, {1000, 50, 1000}, {1000, 1, 1000},
	} {
		b.Run(fmt.Sprintf("partitions=%d/batch=%d", bb.partitions, bb.records), func(b *testing.B) {
			cfg := config.New(map[string]string{
				"job.name": "bench", "task.class": "t", "task.inputs": "mem.in", "systems.mem.samza.factory": "memory",
				"task.commit.ms": "1000", "systems.mem.samza.offset.default": "oldest", "systems.mem.samza.fetch.threshold": "50000",
			})
			model := jobmodel.Container{ID: "0", Tasks: map[string]jobmodel.Task{}}
			for p := range bb.partitions {
				name := fmt.Sprintf("Partition %d", p)
				model.Tasks[name] = jobmodel.Task{Name: name, Inputs: []jobmodel.Input{{System: "mem", Stream: "in", Partition: int32(p)}}}
			}
			e := &endless{records: bb.records, each: int64(max(b.N/bb.partitions, 1)), perPoll: bb.perPoll, slab: make([]task.Message, bb.records)}
			for i := range e.slab {
				e.slab[i] = task.Message{KeyBytes: []byte("user-00001234"), ValueBytes: make([]byte, 100)}
			}
			var before syscall.Rusage
			e.start = func() {
				runtime.GC()
				_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
				b.ResetTimer()
			}
			c, err := New(Options{
				Config: cfg, Model: model, Logger: slog.New(slog.DiscardHandler), Metrics: newMeasures(cfg, "0").of,
				System: func(string) (system.System, error) { return e, nil },
				NewTask: func() task.Task {
					return task.Func(func(ctx task.Context, m *task.Message) error {
						return ctx.Send(task.Output{Stream: "mem.out", RawKey: m.KeyBytes, RawValue: m.ValueBytes})
					})
				},
				UntilCaughtUp: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			if err := c.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			var after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(e.paused), "pauses")
		})
	}
}
