package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/system"
	"heddle/task"
)

// Read fetches by itself, without the client's consumer: a fetch's answer tells
// where reading goes on after control records and gaps, which the consumer does
// not. While each works on one answer the next is fetched.
func (s *System) Read(ctx context.Context, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error) {
	l, err := s.ask(ctx)
	if err != nil {
		return 0, err
	}
	pos, err := s.read(ctx, l, stream, partition, from, to, each)
	if err != nil {
		return pos, fmt.Errorf("system %s: read stream %s, partition %d, at offset %d: %w", s.name, stream, partition, pos, err)
	}
	return pos, nil
}

func (s *System) read(ctx context.Context, l *link, stream string, partition int32, from, to int64, each func([]task.Message) error) (int64, error) {
	return s.readAs(ctx, l, readCommitted, stream, partition, from, to, func(d *decoded) error {
		if len(d.messages) == 0 {
			return nil
		}
		return each(d.messages)
	})
}

// readAs reads in one of Kafka's isolation levels; End is what it takes for the
// end.
func (s *System) readAs(ctx context.Context, l *link, level int8, stream string, partition int32, from, to int64, each func(*decoded) error) (int64, error) {
	// Only what is not given is asked for: a restore reads many partitions.
	oldest := from == system.Oldest
	if oldest {
		var err error
		if from, err = s.list(ctx, l, level, stream, partition, atOldest); err != nil {
			return 0, err
		}
	}
	if to == system.End {
		var err error
		if to, err = s.list(ctx, l, level, stream, partition, atEnd); err != nil {
			return from, err
		}
	}
	if from >= to {
		return from, nil
	}
	src := &task.Source{System: s.name, Stream: stream, Partition: partition}
	// The fetch ahead must not outlive this call.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := newFetcher(s, l, level, src)
	next := f.ahead(ctx, from)
	for {
		a := <-next
		if a.err != nil {
			if !errors.Is(a.err, kerr.OffsetOutOfRange) {
				return from, streamError(a.err)
			}
			first, err := s.list(ctx, l, level, stream, partition, atOldest)
			if err != nil {
				return from, err
			}
			if oldest && from < first {
				// Retention was faster; nothing was promised about what it took.
				from = first
				if from >= to {
					return from, nil
				}
				next = f.ahead(ctx, from)
				continue
			}
			end, err := s.list(ctx, l, level, stream, partition, atEnd)
			if err != nil {
				return from, err
			}
			return from, fmt.Errorf("it is not between the oldest offset %d and the end %d: %w", first, end, streamError(a.err))
		}
		oldest = false
		if a.next < to {
			next = f.ahead(ctx, a.next)
		}
		if err := a.give(src, to, pieceMessages, each); err != nil {
			return from, err
		}
		if from = min(a.next, to); from >= to {
			return from, nil
		}
	}
}

// Kafka's names for the ends of a partition.
const (
	atOldest int64 = -2
	atEnd    int64 = -1
)

// Kafka's numbers of the isolation levels. Read reads what is committed:
// checkpoints, changelogs and the coordinator stream are facts, and what was
// aborted is none.
const (
	readUncommitted int8 = 0
	readCommitted   int8 = 1
)

// list asks for one end of one partition; the end of what is committed is the
// last stable offset.
func (s *System) list(ctx context.Context, l *link, level int8, stream string, partition int32, which int64) (offset int64, err error) {
	err = l.patiently(ctx, func() error {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		req.IsolationLevel = level
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = stream
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = partition, which
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(ctx, l.client)
		if err != nil {
			return err
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return kerr.UnknownTopicOrPartition
		}
		offset = resp.Topics[0].Partitions[0].Offset
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	})
	return offset, streamError(err)
}

// before is what of the messages lies before the offset.
func before(ms []task.Message, to int64) []task.Message {
	n := len(ms)
	for n > 0 && ms[n-1].Offset >= to {
		n--
	}
	return ms[:n:n]
}

// fetcher fetches from one partition's leader.
type fetcher struct {
	s      *System
	client *kgo.Client
	src    *task.Source
	level  int8
	reader batchReader

	id     [16]byte
	leader int32 // -1 before the first
	known  bool
	epoch  int32
}

func newFetcher(s *System, l *link, level int8, src *task.Source) *fetcher {
	set := s.sides[consumerSide].settings
	return &fetcher{s: s, client: l.client, src: src, level: level, leader: -1,
		reader: batchReader{committed: level == readCommitted, checkCRC: !set.noCRC, codec: kgo.DefaultDecompressor()}}
}

// answer is what one fetch brought.
type answer struct {
	decoded
	// from is where it begins; runs holds the records that are not messages yet.
	from int64
	runs []run
	err  error
}

// pieceMessages is how many messages of an answer are made at a time: a message
// takes five times what the smallest records do.
const pieceMessages = 4096

// give hands the messages before to over, so many at a time.
func (a *answer) give(src *task.Source, to int64, most int, each func(*decoded) error) error {
	for {
		if left := recordsOf(a.runs); left > 0 {
			a.messages = make([]task.Message, 0, min(left, most))
		}
		for len(a.runs) > 0 && len(a.messages) < most {
			u := &a.runs[0]
			if err := a.add(src, u, a.from, most-len(a.messages)); err != nil {
				return err
			}
			if u.count == 0 {
				a.runs = a.runs[1:]
			}
		}
		whole := len(a.messages)
		a.messages = before(a.messages, to)
		if err := each(&a.decoded); err != nil {
			return err
		}
		if len(a.runs) == 0 || len(a.messages) < whole {
			return nil
		}
		a.messages, a.bytes = nil, 0 // whoever has them may keep them
	}
}

// ahead starts a fetch and hands its answer over. Only one runs at a time.
func (f *fetcher) ahead(ctx context.Context, from int64) <-chan answer {
	ch := make(chan answer, 1)
	go func() { ch <- f.fetch(ctx, from) }()
	return ch
}

// fetch asks until something has come that moves the position, or something has
// failed that does not pass by itself.
func (f *fetcher) fetch(ctx context.Context, from int64) answer {
	since := time.Now()
	for try := 1; ; try++ {
		a := f.once(ctx, from, 500*time.Millisecond)
		switch {
		case a.err == nil && a.next > from:
			return a
		case a.err == nil: // nothing there yet
			try, since = 0, time.Now()
			if ctx.Err() != nil {
				return answer{err: context.Cause(ctx)}
			}
			continue
		case ctx.Err() != nil:
			return answer{err: context.Cause(ctx)}
		case !passing(a.err):
			return a
		case errors.Is(a.err, kerr.UnknownTopicOrPartition) && time.Since(since) > f.patience():
			return a
		}
		f.known = false
		if err := pause(ctx, min(time.Duration(try)*50*time.Millisecond, time.Second)); err != nil {
			return answer{err: context.Cause(ctx)}
		}
	}
}

// patience is for how long the topic may be unknown: a broker that starts may
// not know what it leads yet.
func (f *fetcher) patience() time.Duration {
	if f.leader < 0 {
		return 2 * time.Second
	}
	return stillUnknown
}

// readBytes is what Read asks for at once. Two or three answers are under way: one
// that comes, one that is used, and what of it is still in use elsewhere.
const readBytes = 2 << 20

// once makes one fetch. With nothing new there it takes up to wait.
func (f *fetcher) once(ctx context.Context, from int64, wait time.Duration) answer {
	if !f.known {
		if err := f.findLeader(ctx); err != nil {
			return answer{err: err}
		}
	}
	set := f.s.sides[consumerSide].settings
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = max(set.maxPartitionBytes, readBytes)
	req.IsolationLevel = f.level
	req.Rack = set.rackID
	req.SessionEpoch = -1 // no session
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = f.src.Stream, f.id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.CurrentLeaderEpoch = f.src.Partition, from, f.epoch
	p.PartitionMaxBytes = max(set.maxPartitionBytes, readBytes)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)

	kresp, err := f.client.Broker(int(f.leader)).Request(ctx, req)
	if err != nil {
		return answer{err: err}
	}
	resp, ok := kresp.(*kmsg.FetchResponse)
	if !ok {
		return answer{err: fmt.Errorf("%w: unexpected answer %T", errBadBatch, kresp)}
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return answer{err: err}
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		// A broker may leave out a partition of which there is nothing to say.
		return answer{decoded: decoded{next: from}}
	}
	rp := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
		return answer{err: err}
	}
	a := answer{from: from}
	if f.level == readCommitted {
		a.decoded, a.runs, a.err = f.reader.open(f.src, rp.RecordBatches, from, rp.AbortedTransactions, nil)
		return a
	}
	// Who decides by himself needs the heads beside all of their messages.
	if a.decoded, a.err = f.reader.read(f.src, rp.RecordBatches, from, rp.AbortedTransactions); a.err == nil {
		a.heads, a.err = headsOf(rp.RecordBatches)
	}
	return a
}

func (f *fetcher) findLeader(ctx context.Context) error {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(f.src.Stream)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, f.client)
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return kerr.UnknownTopicOrPartition
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return err
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.Partition != f.src.Partition {
			continue
		}
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil && p.Leader < 0 {
			return err
		}
		if p.Leader < 0 {
			return kerr.LeaderNotAvailable
		}
		f.id, f.leader, f.epoch, f.known = resp.Topics[0].TopicID, p.Leader, p.LeaderEpoch, true
		return nil
	}
	return kerr.UnknownTopicOrPartition
}
