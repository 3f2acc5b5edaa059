package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strings"
	"time"

	"heddle/config"
	"heddle/system"
	"heddle/task"
)

// TopicName is the name of a job's coordinator stream (Samza:
// CoordinatorStreamUtil.getCoordinatorStreamName). An underscore in the job's
// name or id becomes a hyphen.
func TopicName(jobName, jobID string) string {
	r := strings.NewReplacer("_", "-")
	return "__samza_coordinator_" + r.Replace(jobName) + "_" + r.Replace(cmp.Or(jobID, "1"))
}

// Spec says how the coordinator stream is made: one partition, with the settings of
// config.CoordinatorTopic. Brokers is the number of the system's brokers, for a
// replication factor that nobody set.
func Spec(cfg config.Config, systemName, topic string, brokers int) (system.StreamSpec, error) {
	rf, err := config.ReplicationFactor(cfg, config.ForCoordinator(systemName), brokers)
	if err != nil {
		return system.StreamSpec{}, err
	}
	settings, err := config.CoordinatorTopic(cfg, systemName)
	if err != nil {
		return system.StreamSpec{}, err
	}
	return system.StreamSpec{Name: topic, Partitions: 1, ReplicationFactor: rf, Settings: settings}, nil
}

// Stream reads and writes a job's coordinator stream. One goroutine uses it.
type Stream struct {
	sys   system.System
	topic string
	by    Identity
	now   func() time.Time

	next     int64
	snapshot Snapshot
	producer system.Producer
	outbox   system.Outbox
}

// Option changes how a Stream is opened.
type Option func(*Stream)

// WithIdentity sets who writes; by default the machine's address and the
// operating system's user.
func WithIdentity(by Identity) Option { return func(s *Stream) { s.by = by } }

// WithClock sets the clock for the times of messages; by default time.Now.
func WithClock(now func() time.Time) Option { return func(s *Stream) { s.now = now } }

// OpenStream opens the coordinator stream of a job. It asks nothing of the
// system yet: a stream that does not exist shows when it is read or written
// (system.ErrNoStream); Ensure makes it.
func OpenStream(_ context.Context, sys system.System, jobName, jobID string, opts ...Option) (*Stream, error) {
	if jobName == "" {
		return nil, errors.New("open the coordinator stream: job.name is not set")
	}
	s := &Stream{sys: sys, topic: TopicName(jobName, jobID), now: time.Now, next: system.Oldest}
	for _, o := range opts {
		o(s)
	}
	if s.by == (Identity{}) {
		s.by = Self()
	}
	return s, nil
}

// Topic is the stream's topic.
func (s *Stream) Topic() string { return s.topic }

// Ensure makes the topic if it is not there. One that is there is left as it is,
// as in Samza; warning says what is wrong with it.
func (s *Stream) Ensure(ctx context.Context, cfg config.Config) (created bool, warning string, err error) {
	admin, err := s.sys.Admin()
	if err != nil {
		return false, "", s.wrap("look for", err)
	}
	found, err := admin.Describe(ctx, s.topic)
	if err != nil {
		return false, "", s.wrap("look for", err)
	}
	if info, ok := found[s.topic]; ok {
		if p := info.Settings["cleanup.policy"]; p != "" && p != "compact" {
			warning = fmt.Sprintf("the coordinator stream %s has cleanup.policy=%s: its messages will be lost with time; set it to compact", s.topic, p)
		}
		return false, warning, nil
	}
	brokers, err := admin.Brokers(ctx)
	if err != nil {
		return false, "", s.wrap("make", err)
	}
	spec, err := Spec(cfg, s.sys.Name(), s.topic, brokers)
	if err != nil {
		return false, "", err
	}
	if err := admin.Create(ctx, spec); err != nil && !errors.Is(err, system.ErrExists) {
		return false, "", s.wrap("make", err)
	}
	return true, "", nil
}

// Read reads on to the end that the stream has at the call, and gives all that
// it holds. The snapshot is the stream's own: it changes with the next Read.
func (s *Stream) Read(ctx context.Context) (*Snapshot, error) {
	next, err := s.sys.Read(ctx, s.topic, 0, s.next, system.End, func(batch []task.Message) error {
		for i := range batch {
			m := &batch[i]
			if err := s.snapshot.Apply(m.Offset, m.KeyBytes, m.ValueBytes); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.wrap("read", err)
	}
	s.next = next
	return &s.snapshot, nil
}

// Write writes messages in order and returns when all are acknowledged.
func (s *Stream) Write(ctx context.Context, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := s.openWriter(); err != nil {
		return s.wrap("write", err)
	}
	for _, m := range messages {
		ms := s.now().UnixMilli()
		err := s.outbox.Send(system.Record{
			Stream: s.topic, At: 1, Timestamp: ms,
			Key: EncodeKey(m.Type, m.Key), Value: EncodeValue(m, s.by, ms),
		})
		if err != nil {
			return s.wrap("write", err)
		}
	}
	if err := s.outbox.Flush(ctx); err != nil {
		return s.wrap("write", err)
	}
	return nil
}

func (s *Stream) openWriter() (err error) {
	if s.producer == nil {
		if s.producer, err = s.sys.Producer(); err != nil {
			return err
		}
	}
	if s.outbox == nil {
		s.outbox, err = s.producer.Outbox("coordinator stream")
	}
	return err
}

// Close ends the stream's writer; the system stays open. It may be called twice.
func (s *Stream) Close() error {
	var errs []error
	if s.outbox != nil {
		errs = append(errs, s.outbox.Close())
		s.outbox = nil
	}
	if s.producer != nil {
		errs = append(errs, s.producer.Close())
		s.producer = nil
	}
	if err := errors.Join(errs...); err != nil {
		return s.wrap("close", err)
	}
	return nil
}

func (s *Stream) wrap(op string, err error) error {
	return fmt.Errorf("%s the coordinator stream %s of system %q: %w", op, s.topic, s.sys.Name(), err)
}

// Self is this machine's address, the one that others reach it by as far as can
// be known, and the user of the operating system.
func Self() Identity {
	by := Identity{Host: "127.0.0.1"}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
				by.Host = n.IP.String()
				break
			}
		}
	}
	if u, err := user.Current(); err == nil {
		by.User = u.Username
	} else {
		by.User = os.Getenv("USER")
	}
	return by
}
