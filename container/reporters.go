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
)

// startReporters runs what metrics.reporters names; the function ends it with
// a last report.
func startReporters(c config.Config, systems Systems, m *measures, execution string, now func() time.Time, log *slog.Logger) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var closers []func() error
	stop = func() {
		cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			wg.Wait()
		}()
		select {
		case <-done:
		case <-time.After(metrics.LastReport + hardWait):
			log.Warn("the last report of the metrics does not end; it is left behind")
		}
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
