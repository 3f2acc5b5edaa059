package system

import (
	"context"
	"errors"
	"fmt"

	"heddle/task"
)

// StreamID names a stream: the system's name in the configuration, and the
// topic's name in that system.
type StreamID struct {
	System, Stream string
}

// String is "system.stream", as in task.inputs.
func (s StreamID) String() string { return s.System + "." + s.Stream }

// Partition names one partition of a stream (Samza: SystemStreamPartition).
type Partition struct {
	System, Stream string
	Partition      int32
}

// String is Samza's text form, "SystemStreamPartition [kafka, clicks, 0]".
func (p Partition) String() string {
	return fmt.Sprintf("SystemStreamPartition [%s, %s, %d]", p.System, p.Stream, p.Partition)
}

// StreamID is the stream that p is a part of.
func (p Partition) StreamID() StreamID { return StreamID{p.System, p.Stream} }

// Errors that every implementation returns wrapped with the operation and the
// stream's name.
var (
	// ErrNoStream: the stream does not exist.
	ErrNoStream = errors.New("no such stream")
	// ErrRemade: the stream was deleted and made anew while it was read. It comes
	// with ErrNoStream: the stream that was read does not exist any more.
	ErrRemade = errors.New("the stream was deleted and made anew")
	// ErrExists: a stream of that name exists already.
	ErrExists = errors.New("the stream exists already")
	// ErrOutOfRange: the offset asked for is no longer, or not yet, there.
	ErrOutOfRange = errors.New("offset out of range")
	// ErrUnreachable: no server of the system answered.
	ErrUnreachable = errors.New("cannot be reached")
)

// System is one configured system ("systems.NAME.*"). Its parts connect when
// they are first used. All methods may be called from any goroutine.
type System interface {
	Name() string
	// Admin and Producer give handles on parts that all users of the system
	// share; each Consumer is one of its own. What is not closed by then, Close
	// ends.
	Admin() (Admin, error)
	Consumer() (Consumer, error)
	Producer() (Producer, error)
	// Read hands all messages of one partition with offsets in [from, to) to
	// each, in order, in batches that each may keep, and returns when the
	// position has reached to. A from of Oldest begins at the first message
	// there is; a to of End is the last stable offset at the moment of the call:
	// what a transaction has not committed is not read, whatever consumers are
	// told to do. The position counts control records and gaps that transactions
	// and compaction leave, so that it ends where no record lies at the end. The
	// result is the position reached, the offset after the last.
	Read(ctx context.Context, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error)
	// Close ends all parts.
	Close() error
}

// CommittedReader is a System whose consumers take what transactions have not
// committed, unless they are told otherwise.
type CommittedReader interface {
	// CommittedConsumer makes a Consumer that takes committed records only,
	// whatever the configuration says, as Read does.
	CommittedConsumer() (Consumer, error)
}

// Offsets with a meaning of their own, for System.Read and Consumer.Assign.
const (
	// Oldest is the first message that the partition still has.
	Oldest int64 = -2
	// End is the offset that the next message will get (Samza: upcoming).
	End int64 = -1
)

// Batch is what one fetch brought for one partition.
type Batch struct {
	Source *task.Source
	// Messages are in the order of their offsets, possibly none.
	Messages []task.Message
	// Next is the offset to read next: after the last message and what lies
	// behind it that is no message.
	Next int64
	// HighWatermark is the partition's end at the time of the fetch, for readers
	// of committed records the last stable offset; Next less than it means that
	// more is there.
	HighWatermark int64
	// Bytes is the size of keys and values, for the bounds of buffers.
	Bytes int
}

// Consumer reads the partitions that it is told to read; it belongs to no
// group and commits nothing.
type Consumer interface {
	// Assign adds a partition, to be read from the offset next (or Oldest, End).
	// One that is assigned already is moved. It may be called while Poll runs.
	Assign(src *task.Source, next int64) error
	// Poll waits until there is something, then gives all that was fetched; a
	// partition's batches come in the order of offsets, and one without messages
	// moves the position. One goroutine polls. The error of ctx
	// is returned when it ends; others are final (retries are done inside) and
	// name the partition.
	Poll(ctx context.Context) ([]Batch, error)
	// Pause stops fetching these partitions; what was fetched already may still
	// come. Resume continues. Both may be called while Poll runs.
	Pause(src ...*task.Source)
	Resume(src ...*task.Source)
	Close() error
}

// Record is one message to be written.
type Record struct {
	Stream string
	// PartitionKey decides the partition unless At is set: Java's hashCode for
	// strings, integers and booleans; nil and everything else leave the choice
	// to the system's default for the key bytes (Kafka: murmur2 of the key,
	// sticky without one).
	PartitionKey any
	// At is 1 + the partition; 0 leaves the choice to the keys.
	At int32
	// Key, Value and Headers belong to the outbox until the record is
	// acknowledged: they must not be changed.
	Key, Value []byte
	// Timestamp is in ms since the Unix epoch; 0 means now.
	Timestamp int64
	Headers   []task.Header
}

// Producer writes. It is shared by the tasks of a container; each has an
// Outbox of its own.
type Producer interface {
	// Outbox opens the way out of one writer (a task); name is for messages.
	Outbox(name string) (Outbox, error)
	Close() error
}

// Outbox keeps the order and the acknowledgements of one writer's records. One
// goroutine uses it.
type Outbox interface {
	// Partitions gives the number of partitions of a stream. A missing one is
	// made if the system makes streams by itself, otherwise it is ErrNoStream.
	Partitions(ctx context.Context, stream string) (int32, error)
	// Send buffers a record and returns; it blocks while too much is buffered.
	// After a failed record it returns that record's error, always.
	Send(r Record) error
	// Flush waits until everything sent is acknowledged; the first failure of
	// any record is its error, and stays so.
	Flush(ctx context.Context) error
	// Acked is the newest offset that the system acknowledged for this outbox's
	// records in that partition.
	Acked(stream string, partition int32) (offset int64, ok bool)
	Close() error
}

// Limited is an Outbox that knows how large a record may be before it is sent.
type Limited interface {
	// RecordLimit is the limit of one stream. Any goroutine may ask; the system
	// is asked once for each stream.
	RecordLimit(ctx context.Context, stream string) (RecordLimit, error)
}

// RecordLimit is what a system takes for the key and the value of one record.
type RecordLimit struct {
	// Bytes of both together; 0: it is not known.
	Bytes int64
	// Why names the setting that says so, and its value.
	Why string
}

// Admin asks about streams and makes them.
type Admin interface {
	// Describe gives the streams that exist among those named; all but the
	// system's internal ones, if none is named.
	Describe(ctx context.Context, streams ...string) (map[string]StreamInfo, error)
	// Offsets gives each partition's ends.
	Offsets(ctx context.Context, stream string) ([]Ends, error)
	// Create makes a stream that can be used when it returns; ErrExists if it is
	// there.
	Create(ctx context.Context, s StreamSpec) error
	// Brokers is the number of servers, for replication factors nobody set.
	Brokers(ctx context.Context) (int, error)
	// AutoCreates says if the system makes missing streams by itself.
	AutoCreates(ctx context.Context) (bool, error)
	Close() error
}

// Rehearser is an Admin that can tell beforehand what Create would say.
type Rehearser interface {
	// Rehearse gives the error of Create, and makes nothing.
	Rehearse(ctx context.Context, s StreamSpec) error
}

// StreamInfo is what is known of an existing stream.
type StreamInfo struct {
	Name       string
	Partitions int32
	// Settings are the stream's own settings ("cleanup.policy": "compact").
	Settings map[string]string
	// Defaults are what holds for some settings that the stream has not, as far as it
	// is known; those about what is kept for how long.
	Defaults map[string]string
}

// Ends are the offsets between which a partition's messages lie.
type Ends struct {
	// Oldest is the first offset there is; Next the one that the next message
	// gets; Stable the last stable one, at most Next, below which no
	// transaction is open.
	Oldest, Next, Stable int64
	// Topic is the stream's id; the same for all of its partitions.
	Topic TopicID
}

// StreamSpec says how to make a stream.
type StreamSpec struct {
	Name string
	// Partitions of 0 leave the number to the system, as does a ReplicationFactor
	// of 0.
	Partitions        int32
	ReplicationFactor int
	Settings          map[string]string
}
