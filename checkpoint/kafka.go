package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"heddle/system"
)

// KafkaOptions are what NewKafka needs.
type KafkaOptions struct {
	// System holds the topic.
	System system.System
	// Topic is its name; see the function Topic.
	Topic string
	// Settings and Replicas are for a topic that has to be made; Replicas is
	// asked with the number of brokers, nil stands for one replica.
	Settings map[string]string
	Replicas func(brokers int) (int, error)
	// Grouper is Samza's class name of the job's grouper of partitions.
	Grouper string
	// Lenient makes warnings of a topic with several partitions, of another
	// grouper's checkpoints and of unreadable ones (Samza:
	// job.checkpoint.validation.enabled=false).
	Lenient bool
	// WriteVersions are written in this order (task.checkpoint.write.versions),
	// nil stands for 1 and 2. ReadVersions are read, the preferred one first
	// (task.checkpoint.read.versions); nil stands for 1.
	WriteVersions, ReadVersions []int
	// MaxAge: a checkpoint of a version that is less preferred counts if it is
	// newer by more than this (task.live.checkpoint.max.age).
	MaxAge time.Duration
	// Stores knows the stores' changelogs.
	Stores Stores
	// Transactional: tasks write their checkpoints in transactions; the records
	// say so.
	Transactional bool
	// TransactionalID gives a task's transactional id, for Inherit; nil: the task's
	// name.
	TransactionalID func(taskName string) string
	// Logger is told what is unusual; nil: silence.
	Logger *slog.Logger
}

// Kafka is a Log in a topic with one partition (Samza:
// KafkaCheckpointManager). Tasks that write at the same time share one batch
// and one wait for the broker. It implements Transactional.
type Kafka struct {
	o        KafkaOptions
	producer system.Producer
	out      system.Outbox // the writer's
	waits    func()        // called when a transaction is open that may have to be waited for; may be nil

	// reading guards what was read so far: the records that count, and the
	// offset after the last one.
	reading sync.Mutex
	found   map[string]found
	warned  map[string]bool
	next    int64

	mu     sync.Mutex
	last   map[string]Checkpoint
	queue  []*pending
	closed bool

	wake   chan struct{} // holds one token while queue may have something
	stop   context.CancelFunc
	ended  chan struct{}
	closes sync.Once
}

// NewKafka makes the log; nothing is connected before Start.
func NewKafka(o KafkaOptions) *Kafka {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.WriteVersions) == 0 {
		o.WriteVersions = []int{1, 2}
	}
	if len(o.ReadVersions) == 0 {
		o.ReadVersions = []int{1}
	}
	return &Kafka{o: o, found: map[string]found{}, warned: map[string]bool{}, next: system.Oldest, last: map[string]Checkpoint{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (k *Kafka) failed(op string, err error) error {
	return fmt.Errorf("%s checkpoint topic %s.%s: %w", op, k.o.System.Name(), k.o.Topic, err)
}

// Start makes the topic if it is missing, checks it, and reads what is committed
// in front of the oldest open transaction. What lies behind that is read by who
// owns the tasks: Refresh, or Inherit.
func (k *Kafka) Start(ctx context.Context) error {
	if err := k.prepare(ctx); err != nil {
		return k.failed("prepare", err)
	}
	if err := k.read(ctx); err != nil {
		return k.failed("read", err)
	}
	var err error
	if k.producer, err = k.o.System.Producer(); err == nil {
		k.out, err = k.producer.Outbox("checkpoints")
	}
	if err != nil {
		return k.failed("write to", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	k.stop = stop
	go k.write(run)
	return nil
}

func (k *Kafka) prepare(ctx context.Context) error {
	admin, err := k.o.System.Admin()
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		infos, err := admin.Describe(ctx, k.o.Topic)
		if err != nil {
			return err
		}
		if info, ok := infos[k.o.Topic]; ok {
			return k.check(info)
		}
		spec := system.StreamSpec{Name: k.o.Topic, Partitions: 1, ReplicationFactor: 1, Settings: k.o.Settings}
		if k.o.Replicas != nil {
			brokers, err := admin.Brokers(ctx)
			if err != nil {
				return err
			}
			if spec.ReplicationFactor, err = k.o.Replicas(brokers); err != nil {
				return err
			}
		}
		err = admin.Create(ctx, spec)
		if !first || err == nil || !errors.Is(err, system.ErrExists) {
			return err
		}
		// Another container was faster.
	}
}

func (k *Kafka) check(info system.StreamInfo) error {
	if info.Partitions == 1 {
		return nil
	}
	err := fmt.Errorf("it has %d partitions, but must have 1: delete it and let it be made anew (the job then starts without checkpoints), or give the job another job.id", info.Partitions)
	if !k.o.Lenient {
		return err
	}
	k.o.Logger.Warn("checkpoint topic: only partition 0 is used", "topic", k.o.Topic, "error", err)
	return nil
}

// Committed takes note of a checkpoint that the task wrote itself.
func (k *Kafka) Committed(taskName string, c Checkpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last[taskName] = c
}

// Last gives the task's newest checkpoint.
func (k *Kafka) Last(taskName string) (Checkpoint, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.last[taskName]
	return c, ok
}

// closeWait bounds the wait for the writer's end.
const closeWait = time.Second

// Close ends the writer; a Write that waits gets an error.
func (k *Kafka) Close() error {
	k.mu.Lock()
	k.closed = true
	started := k.stop != nil
	k.mu.Unlock()
	if !started {
		return nil
	}
	k.stop()
	var err error
	select {
	case <-k.ended:
		k.closes.Do(func() { err = errors.Join(k.out.Close(), k.producer.Close()) })
	case <-time.After(closeWait):
		// It waits to hear of the topic, for its first record. With the producer it
		// ends.
		k.o.Logger.Warn("Kafka does not answer the writer of checkpoints; it is left behind", "topic", k.o.Topic)
		k.closes.Do(func() { err = k.producer.Close() })
	}
	return err
}
