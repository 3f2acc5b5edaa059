package memory

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"heddle/system"
	"heddle/task"
)

// Broker holds streams. The zero value is not usable; see NewBroker. All
// methods may be called from any goroutine.
type Broker struct {
	// Now stamps records that bring no timestamp; time.Now by default. Set it
	// before the first use.
	Now func() time.Time
	// AutoPartitions is the number of partitions of a stream that is made by the
	// first record sent to it; 0 (the default) means that a missing stream is an
	// error, as on a Kafka without auto.create.topics.enable.
	AutoPartitions int32

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	streams map[string]*stream
	made    uint64 // streams, ever
	faults  Faults

	transactions map[string]*transaction
}

// Faults are what a test wants to go wrong. Each may be nil; each is called
// without a lock held, from the goroutine that it is about.
type Faults struct {
	// Send is asked before Outbox.Send buffers a record; its error is Send's and
	// stays so.
	Send func(outbox string, r system.Record) error
	// Ack is asked before a record is written; while it blocks, the
	// acknowledgements of this outbox wait. Its error is the record's failure:
	// the record is not written, and the outbox fails from then on. With a nil
	// Ack records are written and acknowledged within Send.
	Ack func(outbox string, r system.Record) error
	// Poll is asked at each Poll; its error is final for that consumer.
	Poll func() error
	// Ask is asked before each call of an Admin, with the method's name.
	Ask func(method string) error
	// Transaction is asked before a transactional id is checked or taken over,
	// and before its transaction is ended, with the method's name: Check,
	// TakeOver, Commit, Abort.
	Transaction func(method, id string) error
}

type stream struct {
	id    system.TopicID
	spec  system.StreamSpec
	parts []*partition
}

type partition struct {
	records []Record // in the order of their offsets
	oldest  int64
	next    int64
	stable  int64 // -1: none set, next counts
	// open are the transactions with records here, by the offset of the first.
	open map[*transaction]int64
}

// Record is one record as it is stored.
type Record struct {
	Offset    int64
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   []task.Header
	// Outbox names the writer; "" for Broker.Append.
	Outbox string

	txn *transaction // while it is open
}

// NewBroker makes a broker without streams.
func NewBroker() *Broker {
	return &Broker{Now: time.Now, changed: make(chan struct{}), streams: map[string]*stream{}}
}

// SetFaults replaces the faults.
func (b *Broker) SetFaults(f Faults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = f
	b.broadcast()
}

// Create makes a stream, with AutoPartitions (at least 1) if the number is left
// open; system.ErrExists if it is there.
func (b *Broker) Create(spec system.StreamSpec) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.streams[spec.Name]; ok {
		return fmt.Errorf("create stream %q: %w", spec.Name, system.ErrExists)
	}
	if spec.Partitions <= 0 {
		spec.Partitions = max(b.AutoPartitions, 1)
	}
	spec.Settings = maps.Clone(spec.Settings)
	b.made++
	s := &stream{spec: spec}
	binary.BigEndian.PutUint64(s.id[8:], b.made)
	for range spec.Partitions {
		s.parts = append(s.parts, &partition{stable: -1})
	}
	b.streams[spec.Name] = s
	b.broadcast()
	return nil
}

// Delete removes a stream; one that is made under its name has another id.
func (b *Broker) Delete(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.streams[name]; !ok {
		return fmt.Errorf("delete stream %q: %w", name, system.ErrNoStream)
	}
	delete(b.streams, name)
	b.broadcast()
	return nil
}

// Append writes a record and gives its offset; nil keys and values stay nil.
func (b *Broker) Append(stream string, partition int32, key, value []byte) (int64, error) {
	return b.append(stream, partition, Record{Key: key, Value: value}, nil)
}

// Skip leaves n offsets without a record at the partition's end, as compaction
// and the control records of transactions do.
func (b *Broker) Skip(stream string, partition int32, n int64) error {
	return b.with(stream, partition, func(p *partitionState) { p.next += n })
}

// Trim takes the records before the offset away, as retention does.
func (b *Broker) Trim(stream string, partition int32, oldest int64) error {
	return b.with(stream, partition, func(p *partitionState) {
		p.oldest = min(max(oldest, p.oldest), p.next)
		i := p.search(p.oldest)
		p.records = slices.Clone(p.records[i:])
	})
}

// Remove takes the record at the offset away and leaves a gap, as compaction
// does.
func (b *Broker) Remove(stream string, partition int32, offset int64) error {
	return b.with(stream, partition, func(p *partitionState) {
		p.records = slices.DeleteFunc(slices.Clone(p.records), func(r Record) bool { return r.Offset == offset })
	})
}

// SetStable holds the last stable offset, beyond which consumers and System.Read
// see nothing, as an open transaction does; -1 lets it go.
func (b *Broker) SetStable(stream string, partition int32, stable int64) error {
	return b.with(stream, partition, func(p *partitionState) { p.stable = stable })
}

// Records gives what is stored in a partition, without what a transaction has
// not committed; nil if there is no such partition.
func (b *Broker) Records(stream string, partition int32) []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.find(stream, partition)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.records), func(r Record) bool { return r.txn != nil })
}

type partitionState = partition

func (b *Broker) with(stream string, partition int32, f func(*partitionState)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.find(stream, partition)
	if err != nil {
		return err
	}
	f(p)
	b.broadcast()
	return nil
}

func (b *Broker) append(stream string, partition int32, r Record, allowed func() error) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if allowed != nil {
		if err := allowed(); err != nil {
			return 0, err
		}
	}
	p, err := b.find(stream, partition)
	if err != nil {
		return 0, err
	}
	r.Offset = p.next
	if r.Timestamp == 0 {
		r.Timestamp = b.Now().UnixMilli()
	}
	if r.txn != nil {
		if p.open == nil {
			p.open = map[*transaction]int64{}
		}
		if _, ok := p.open[r.txn]; !ok {
			p.open[r.txn] = r.Offset
			r.txn.open[p] = struct{}{}
		}
	}
	p.records = append(p.records, r)
	p.next++
	b.broadcast()
	return r.Offset, nil
}

// partitions gives a stream's number of partitions and makes it if the broker
// makes streams by itself.
func (b *Broker) partitions(name string) (int32, error) {
	b.mu.Lock()
	s, ok := b.streams[name]
	auto := b.AutoPartitions
	b.mu.Unlock()
	if ok {
		return s.spec.Partitions, nil
	}
	if auto <= 0 {
		return 0, fmt.Errorf("stream %q: %w", name, system.ErrNoStream)
	}
	// Another goroutine may have been first, which is as good.
	_ = b.Create(system.StreamSpec{Name: name, Partitions: auto, ReplicationFactor: 1})
	return auto, nil
}

// find needs b.mu.
func (b *Broker) find(stream string, partition int32) (*partition, error) {
	s, ok := b.streams[stream]
	if !ok {
		return nil, fmt.Errorf("stream %q: %w", stream, system.ErrNoStream)
	}
	if partition < 0 || int(partition) >= len(s.parts) {
		return nil, fmt.Errorf("stream %q has partitions 0 to %d, not %d: %w", stream, len(s.parts)-1, partition, system.ErrNoStream)
	}
	return s.parts[partition], nil
}

// broadcast needs b.mu.
func (b *Broker) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Broker) currentFaults() Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults
}

// end is what readers may see: the last stable offset.
func (p *partition) end() int64 {
	end := p.next
	if p.stable >= 0 {
		end = min(p.stable, end)
	}
	for _, first := range p.open {
		end = min(end, first)
	}
	return end
}

// search gives the index of the first record at or behind the offset.
func (p *partition) search(offset int64) int {
	i, _ := slices.BinarySearchFunc(p.records, offset, func(r Record, o int64) int {
		return int(min(1, max(-1, r.Offset-o)))
	})
	return i
}
