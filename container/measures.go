package container

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"heddle/config"
	"heddle/metrics"
	"heddle/system"
	"heddle/task"
)

// measures are the registries of one container's process.
type measures struct {
	opts metrics.Options
	own  *metrics.Registry

	mu    sync.Mutex
	tasks map[string]*metrics.Registry
	// added is told of registries made later.
	added []func(*metrics.Registry)
}

func newMeasures(c config.Config, id string) *measures {
	o := metrics.Options{NoTimers: !config.MetricsTimer.Of(c)}
	m := &measures{opts: o, own: metrics.New("samza-container-"+id, o), tasks: map[string]*metrics.Registry{}}
	metrics.AddProcess(m.own)
	return m
}

// of gives the registry of a task, made at its first use; that of the
// container for "".
func (m *measures) of(name string) task.Metrics {
	if name == "" {
		return m.own
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.tasks[name]
	if r == nil {
		r = metrics.New("TaskName-"+name, m.opts)
		m.tasks[name] = r
		for _, f := range m.added {
			f(r)
		}
	}
	return r
}

// each calls f for every registry, now and later.
func (m *measures) each(f func(*metrics.Registry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.own)
	for _, name := range sortedKeys(m.tasks) {
		f(m.tasks[name])
	}
	m.added = append(m.added, f)
}

// snapshot is the container's own registry, group to name to value.
func (m *measures) snapshot() map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, g := range m.own.Snapshot().Groups {
		values := map[string]any{}
		for _, v := range g.Metrics {
			if t, ok := v.Value.(metrics.Timing); ok {
				values[v.Name] = float64(t.Average.Nanoseconds())
			} else {
				values[v.Name] = v.Value
			}
		}
		out[g.Name] = values
	}
	return out
}

// startReporters runs what metrics.reporters names; the function ends it with
// a last report.
func startReporters(c config.Config, systems Systems, m *measures, execution string, now func() time.Time, log *slog.Logger) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var closers []func() error
	stop = func() {
		cancel()
		wg.Wait()
		for _, f := range closers {
			_ = f() // what a reporter could not send is not worth a failure
		}
	}
	for _, name := range config.MetricsReporters.Of(c) {
		r, closer, err := newReporter(c, name, systems, m.header(c, execution, now()), log)
		if err != nil {
			stop()
			return nil, err
		}
		if closer != nil {
			closers = append(closers, closer)
		}
		if r != nil {
			m.each(r.Add)
			wg.Go(func() { r.Run(ctx) })
		}
	}
	return stop, nil
}

// header is what every message of the container's reports begins with.
func (m *measures) header(c config.Config, execution string, now time.Time) metrics.Header {
	host, _ := os.Hostname()
	return metrics.Header{
		JobName: config.JobName.Of(c), JobID: config.JobID.Of(c), ContainerName: m.own.Source(),
		ExecEnvContainerID: execution, Host: host, ResetTime: now,
	}
}

func newReporter(c config.Config, name string, systems Systems, header metrics.Header, log *slog.Logger) (*metrics.Reporter, func() error, error) {
	class, err := config.MetricsReporterClass.Get(c, name)
	if err != nil {
		return nil, nil, err
	}
	alias, err := config.Canonical(config.KindReporter, class)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", config.MetricsReporterClass.Name(name), err)
	}
	r := &metrics.Reporter{Header: header, Interval: config.MetricsReporterInterval.Of(c, name), Logger: log}
	if skip := config.MetricsReporterBlacklist.Of(c, name); skip != "" {
		if r.Skip, err = metrics.SkipPattern(skip); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", config.MetricsReporterBlacklist.Name(name), err)
		}
	}
	switch alias.Name {
	case "log":
		r.Send = func(_ context.Context, messages [][]byte) error {
			for _, m := range messages {
				log.Info("metrics", "snapshot", string(m))
			}
			return nil
		}
		return r, nil, nil
	case "snapshot":
	default:
		return nil, nil, nil // Prometheus is the application master's
	}
	key := config.MetricsReporterStream.Name(name)
	stream, err := config.ParseSystemStream(config.MetricsReporterStream.Of(c, name))
	if err != nil {
		return nil, nil, &config.Error{Key: key, Origin: c.Origin(key), Problem: err.Error()}
	}
	sys, err := systems.Get(stream.System)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", key, err)
	}
	producer, err := sys.Producer()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", key, err)
	}
	out, err := producer.Outbox("metrics")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", key, err)
	}
	topic := config.Physical(c, stream.System, stream.Stream).Stream
	// Without a serde Samza writes its second format.
	of, err := config.Stream(c, stream.System, topic)
	if err != nil {
		return nil, nil, err
	}
	if of.MsgSerde == "" {
		r.Format = metrics.V2
	}
	r.Send = func(ctx context.Context, messages [][]byte) error {
		for _, m := range messages {
			if err := out.Send(system.Record{Stream: topic, PartitionKey: header.Host, Value: m}); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return out.Flush(ctx)
	}
	return r, producer.Close, nil
}
