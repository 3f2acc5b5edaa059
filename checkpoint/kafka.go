package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"heddle/system"
	"heddle/task"
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
	// Transactional: tasks write their checkpoints in transactions, and call
	// Refresh once they have taken those over; Start does not wait for open ones.
	Transactional bool
	// Logger is told what is unusual; nil: silence.
	Logger *slog.Logger
}

// Kafka is a Log in a topic with one partition (Samza:
// KafkaCheckpointManager). Tasks that write at the same time share one batch
// and one wait for the broker. It implements Transactional.
type Kafka struct {
	o     KafkaOptions
	out   system.Outbox // the writer's
	waits func()        // called before open transactions are waited for; may be nil

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

// pending is one Write on its way.
type pending struct {
	task    string
	c       Checkpoint
	records []system.Record
	done    chan error // holds one answer
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

// Start makes the topic if it is missing, checks it, and reads it.
func (k *Kafka) Start(ctx context.Context) error {
	if err := k.prepare(ctx); err != nil {
		return k.failed("prepare", err)
	}
	if err := k.readAtStart(ctx); err != nil {
		return k.failed("read", err)
	}
	producer, err := k.o.System.Producer()
	if err == nil {
		k.out, err = producer.Outbox("checkpoints")
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

// found is the checkpoint that counts so far for one task.
type found struct {
	version int
	time    int64 // ms
	offset  int64
	value   []byte
	topics  []byte // of the header; nil: there is none
}

// read takes in what was committed since it was called last, and the
// checkpoints of all tasks.
func (k *Kafka) read(ctx context.Context) error { return k.readTo(ctx, system.End) }

// readAtStart leaves nothing out that an open transaction hides, unless Refresh
// does that: a job that went back to at-least-once may have left one open, and
// nobody takes it over.
func (k *Kafka) readAtStart(ctx context.Context) error {
	if k.o.Transactional {
		return k.read(ctx)
	}
	return k.readSettled(ctx)
}

// readSettled reads to the topic's end, for which it waits until the
// transactions are over that are open now.
func (k *Kafka) readSettled(ctx context.Context) error {
	end, err := k.end(ctx)
	if err != nil {
		return err
	}
	return k.readTo(ctx, end)
}

// end is the offset after the last record, committed or not.
func (k *Kafka) end(ctx context.Context) (int64, error) {
	admin, err := k.o.System.Admin()
	if err != nil {
		return 0, err
	}
	ends, err := admin.Offsets(ctx, k.o.Topic)
	if err != nil {
		return 0, err
	}
	if ends[0].Stable < ends[0].Next {
		k.o.Logger.Warn("a transaction is open on the checkpoint topic; waiting until it is over: its writer commits, is replaced, or Kafka aborts it (about a minute after it began)",
			"topic", k.o.Topic, "read to", ends[0].Stable, "end", ends[0].Next)
		if k.waits != nil {
			k.waits()
		}
	}
	return ends[0].Next, nil
}

// readTo reads on to an offset and takes over what was found for all tasks.
func (k *Kafka) readTo(ctx context.Context, to int64) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	next, err := k.o.System.Read(ctx, k.o.Topic, 0, k.next, to, k.takeAll)
	if err != nil {
		return err
	}
	k.next = next
	return k.adopt(nil)
}

// takeAll needs k.reading.
func (k *Kafka) takeAll(batch []task.Message) error {
	for i := range batch {
		if err := k.take(k.found, &batch[i], k.warned); err != nil {
			return fmt.Errorf("offset %d: %w", batch[i].Offset, err)
		}
	}
	return nil
}

// adopt lets Last give what was found for these tasks; nil: all. What other
// tasks wrote by themselves is newer than what was found of them. It needs
// k.reading.
func (k *Kafka) adopt(only map[string]bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, f := range k.found {
		if f.value == nil || only != nil && !only[name] {
			continue
		}
		var c Checkpoint
		var err error
		if f.version == 2 {
			c, err = ParseV2(f.value)
		} else {
			c, err = ParseV1(f.value, k.o.Stores)
		}
		if err != nil {
			err = fmt.Errorf("offset %d: task %q: %w", f.offset, name, err)
			if !k.o.Lenient {
				return fmt.Errorf("%w; job.checkpoint.validation.enabled=false passes over it", err)
			}
			k.o.Logger.Warn("checkpoint passed over", "topic", k.o.Topic, "error", err)
			continue
		}
		c.Topics = parseTopics(f.topics)
		k.last[name] = c
	}
	return nil
}

// Refresh reads on from where Start ended, to the end that the topic has now,
// and not only to its last stable offset: while a transaction of another task
// is open (its container was killed between its checkpoint and the end of its
// commit), committed checkpoints of these tasks may lie behind it. Taking an
// older one for the newest would process its inputs twice.
//
// It waits for nobody: whatever was written for these tasks under their
// transactional ids is decided once those are taken over, and what is open of
// other tasks tells nothing of these. Only a stranger who writes checkpoints of
// these tasks in a transaction of his own is waited for.
func (k *Kafka) Refresh(ctx context.Context, taskNames []string) error {
	only := make(map[string]bool, len(taskNames))
	for _, name := range taskNames {
		only[name] = true
	}
	mine := func(m *task.Message) bool {
		key, err := ParseKey(m.KeyBytes)
		return err == nil && only[key.TaskName]
	}
	sys, ok := k.o.System.(system.Transactional)
	if !ok {
		return k.failed("read", system.ErrNoTransactions)
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	// The position stays: what lies behind it of other tasks was not looked at.
	err := sys.ReadDecided(ctx, k.o.Topic, 0, k.next, mine, k.takeAll)
	if err == nil {
		err = k.adopt(only)
	}
	if err != nil {
		return k.failed("read", err)
	}
	return nil
}

// Committed takes note of a checkpoint that the task wrote itself.
func (k *Kafka) Committed(taskName string, c Checkpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last[taskName] = c
}

// take looks at one record. The rules are Samza's: a later record replaces an
// earlier one of the same or a less preferred version, or one that is older by
// MaxAge.
func (k *Kafka) take(tasks map[string]found, m *task.Message, warned map[string]bool) error {
	if m.KeyBytes == nil {
		return errors.New("a record without a key, which no checkpoint has: something else writes to this topic")
	}
	key, err := ParseKey(m.KeyBytes)
	if err != nil {
		if !k.o.Lenient {
			return fmt.Errorf("%w; job.checkpoint.validation.enabled=false passes over it", err)
		}
		k.o.Logger.Warn("checkpoint passed over", "topic", k.o.Topic, "offset", m.Offset, "error", err)
		return nil
	}
	if key.Grouper != k.o.Grouper {
		err := grouperError{key.TaskName, key.Grouper, k.o.Grouper}
		if !k.o.Lenient {
			return err
		}
		if !warned[key.Grouper] {
			warned[key.Grouper] = true
			k.o.Logger.Warn("checkpoints of another grouper", "topic", k.o.Topic, "offset", m.Offset, "error", err)
		}
	}
	version := key.Version()
	rank := slices.Index(k.o.ReadVersions, version)
	if rank < 0 {
		return nil
	}
	old, ok := tasks[key.TaskName]
	if ok && rank > slices.Index(k.o.ReadVersions, old.version) && m.Timestamp-old.time <= k.o.MaxAge.Milliseconds() {
		return nil
	}
	tasks[key.TaskName] = found{version, m.Timestamp, m.Offset, slices.Clone(m.ValueBytes), slices.Clone(topicsValue(m.Headers))}
	return nil
}

// Last gives the task's newest checkpoint.
func (k *Kafka) Last(taskName string) (Checkpoint, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.last[taskName]
	return c, ok
}

var errClosed = errors.New("closed")

// Write hands the checkpoint to the writer and waits for the broker's
// acknowledgement of all its versions.
func (k *Kafka) Write(ctx context.Context, taskName string, c Checkpoint) error {
	p := &pending{task: taskName, c: c, records: k.Records(taskName, c), done: make(chan error, 1)}
	k.mu.Lock()
	if k.closed || k.out == nil {
		k.mu.Unlock()
		return k.failed("write to", errClosed)
	}
	k.queue = append(k.queue, p)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // it is awake already
	}
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("checkpoint of task %q: %w", taskName, k.failed("write to", err))
		}
		return nil
	case <-ctx.Done():
		// It may or may not be written; both are right, for everything it speaks
		// of is.
		return fmt.Errorf("checkpoint of task %q: %w", taskName, k.failed("write to", context.Cause(ctx)))
	}
}

// Records are one for each version that is written.
func (k *Kafka) Records(taskName string, c Checkpoint) []system.Record {
	records := make([]system.Record, 0, len(k.o.WriteVersions))
	ids := headers(c)
	for _, v := range k.o.WriteVersions {
		r := system.Record{Stream: k.o.Topic, At: 1, Headers: ids}
		if v == 2 {
			r.Key, r.Value = AppendKey(nil, Key{k.o.Grouper, taskName, TypeV2}), AppendV2(nil, c)
		} else {
			r.Key, r.Value = AppendKey(nil, Key{k.o.Grouper, taskName, TypeV1}), AppendV1(nil, c)
		}
		records = append(records, r)
	}
	return records
}

// write is the one goroutine that uses the outbox. Whatever was handed in
// while it waited for the broker goes into the next batch.
func (k *Kafka) write(ctx context.Context) {
	defer close(k.ended)
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
		}
		last := ctx.Err() != nil // then nothing more can come in
		k.mu.Lock()
		batch := k.queue
		k.queue = nil
		k.mu.Unlock()
		err := k.send(ctx, batch)
		if err == nil {
			k.mu.Lock()
			for _, p := range batch {
				k.last[p.task] = p.c
			}
			k.mu.Unlock()
		}
		for _, p := range batch {
			p.done <- err
		}
		if last {
			return
		}
	}
}

func (k *Kafka) send(ctx context.Context, batch []*pending) error {
	if len(batch) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return errClosed
	}
	for _, p := range batch {
		for _, r := range p.records {
			if err := k.out.Send(r); err != nil {
				return err
			}
		}
	}
	return k.out.Flush(ctx)
}

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
	<-k.ended
	var err error
	k.closes.Do(func() { err = k.out.Close() })
	return err
}
