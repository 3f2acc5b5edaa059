package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/task"
)

// decoded is what a fetch's answer held of one partition.
type decoded struct {
	messages []task.Message
	// bytes is the sum of keys and values.
	bytes int
	// next is where reading goes on: behind the last batch, whatever of it was
	// left by compaction or was no message.
	next int64
	// epoch is the leader epoch of the last batch, -1 if there was none.
	epoch int32
}

// batchReader turns record batches into messages.
type batchReader struct {
	committed bool // leave out what was aborted
	checkCRC  bool
	codec     kgo.Decompressor
}

var errBadBatch = errors.New("a batch of records cannot be read")

// The layout of a record batch, version 2 (Kafka: DefaultRecordBatch).
const (
	batchOverhead = 61
	lengthAt      = 8
	epochAt       = 12
	magicAt       = 16
	crcAt         = 17
	crcFrom       = 21
	attributesAt  = 21
	lastDeltaAt   = 23
	firstTimeAt   = 27
	maxTimeAt     = 35
	producerAt    = 43
	countAt       = 57
	// smallestRecord is a record with neither key, value nor headers.
	smallestRecord = 7

	codecBits         = 0x07
	logAppendTimeBit  = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	largestBatchCount = 1 << 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// run is a batch whose records are wanted: its header, and its records,
// decompressed.
type run struct {
	header  []byte
	records []byte
	count   int
}

// read gives the messages at or behind from in an answer's bytes. What a broker
// cut off at the end is left for the next fetch. aborted are the answer's
// aborted transactions.
func (r *batchReader) read(src *task.Source, raw []byte, from int64, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) (decoded, error) {
	d := decoded{next: from, epoch: -1}
	var (
		few   [16]run
		runs  = few[:0]
		total int
		abort = aborter{r.committed, slices.Clone(aborted), nil}
	)
	slices.SortFunc(abort.waiting, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(max(-1, min(1, a.FirstOffset-b.FirstOffset)))
	})
	for len(raw) >= batchOverhead {
		size := int64(int32(binary.BigEndian.Uint32(raw[lengthAt:]))) + 12
		if raw[magicAt] < 2 {
			return r.readOld(src, raw, d, runs)
		}
		if raw[magicAt] > 2 {
			return d, fmt.Errorf("%w: version %d is unknown", errBadBatch, raw[magicAt])
		}
		if size < batchOverhead {
			return d, fmt.Errorf("%w: its length is %d", errBadBatch, size)
		}
		if size > int64(len(raw)) {
			break
		}
		batch := raw[:size]
		raw = raw[size:]
		first := int64(binary.BigEndian.Uint64(batch))
		last := first + int64(int32(binary.BigEndian.Uint32(batch[lastDeltaAt:])))
		if r.checkCRC && crc32.Checksum(batch[crcFrom:], castagnoli) != binary.BigEndian.Uint32(batch[crcAt:]) {
			return d, fmt.Errorf("%w: the checksum of the batch at offset %d is wrong", errBadBatch, first)
		}
		if last < from {
			continue
		}
		attributes := binary.BigEndian.Uint16(batch[attributesAt:])
		wanted, err := abort.wants(batch, attributes, last)
		if err != nil {
			return d, fmt.Errorf("%w at offset %d: %w", errBadBatch, first, err)
		}
		if count := int(int32(binary.BigEndian.Uint32(batch[countAt:]))); wanted && count != 0 {
			u := run{header: batch[:batchOverhead], records: batch[batchOverhead:], count: count}
			if codec := kgo.CompressionCodecType(attributes & codecBits); codec != 0 {
				if u.records, err = r.codec.Decompress(u.records, codec); err != nil {
					return d, fmt.Errorf("%w: decompress the batch at offset %d: %w", errBadBatch, first, err)
				}
			}
			// The count comes from outside: it is believed as far as there are
			// bytes for it.
			if count < 0 || count > len(u.records)/smallestRecord || count > largestBatchCount {
				return d, fmt.Errorf("%w: the batch at offset %d counts %d records in %d bytes", errBadBatch, first, count, len(u.records))
			}
			runs = append(runs, u)
			total += count
		}
		d.next = last + 1
		d.epoch = int32(binary.BigEndian.Uint32(batch[epochAt:]))
	}
	if total == 0 {
		return d, nil
	}
	d.messages = make([]task.Message, 0, total)
	for i := range runs {
		if err := d.add(src, &runs[i], from); err != nil {
			return d, err
		}
	}
	return d, nil
}

// readOld reads batches of Kafka before 0.11, which the client knows how to.
func (r *batchReader) readOld(src *task.Source, raw []byte, d decoded, before []run) (decoded, error) {
	for i := range before {
		if err := d.add(src, &before[i], d.next); err != nil {
			return d, err
		}
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: d.next, DisableCRCValidation: !r.checkCRC, Topic: src.Stream, Partition: src.Partition,
	}, &kmsg.FetchResponseTopicPartition{Partition: src.Partition, RecordBatches: raw}, r.codec, nil)
	if fp.Err != nil && len(fp.Records) == 0 {
		return d, fmt.Errorf("%w: %w", errBadBatch, fp.Err)
	}
	var bytes int
	d.messages, bytes = appendMessages(d.messages, src, fp.Records)
	d.bytes += bytes
	d.next = max(d.next, next)
	return d, nil
}

// appendMessages turns the client's records into messages and sums up the bytes
// of keys and values.
func appendMessages(ms []task.Message, src *task.Source, records []*kgo.Record) ([]task.Message, int) {
	bytes := 0
	for _, r := range records {
		bytes += len(r.Key) + len(r.Value)
		ms = append(ms, task.Message{Source: src, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), KeyBytes: r.Key, ValueBytes: r.Value})
	}
	return ms, bytes
}

// add appends the messages of a batch's records.
func (d *decoded) add(src *task.Source, u *run, from int64) error {
	first := int64(binary.BigEndian.Uint64(u.header))
	attributes := binary.BigEndian.Uint16(u.header[attributesAt:])
	firstTime := int64(binary.BigEndian.Uint64(u.header[firstTimeAt:]))
	maxTime := int64(binary.BigEndian.Uint64(u.header[maxTimeAt:]))
	rest := u.records
	for range u.count {
		length, n := varint(rest)
		if n <= 0 || length < 0 || int64(n)+length > int64(len(rest)) {
			return fmt.Errorf("%w: a record of the batch at offset %d is cut off", errBadBatch, first)
		}
		b := rest[n : int64(n)+length]
		rest = rest[int64(n)+length:]
		if len(b) == 0 {
			return fmt.Errorf("%w: a record of the batch at offset %d is empty", errBadBatch, first)
		}
		b = b[1:] // attributes, of which none is in use
		timeDelta, b, ok1 := takeVarint(b, true)
		offsetDelta, b, ok2 := takeVarint(b, ok1)
		key, b, ok3 := takeBytes(b, ok2)
		value, b, ok4 := takeBytes(b, ok3)
		headers, _, ok := takeHeaders(b, ok4)
		if !ok {
			return fmt.Errorf("%w: a record of the batch at offset %d is malformed", errBadBatch, first)
		}
		offset := first + offsetDelta
		if offset < from {
			continue
		}
		timestamp := maxTime
		if attributes&logAppendTimeBit == 0 {
			timestamp = firstTime + timeDelta
		}
		d.bytes += len(key) + len(value)
		d.messages = append(d.messages, task.Message{Source: src, Offset: offset, Timestamp: timestamp, KeyBytes: key, ValueBytes: value, Headers: headers})
	}
	return nil
}

// varint reads a zigzag varint; n is not above 0 if there is none.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return binary.Varint(b)
}

func takeVarint(b []byte, ok bool) (int64, []byte, bool) {
	if !ok {
		return 0, nil, false
	}
	v, n := varint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// takeBytes reads a length and so many bytes; a length of -1 is nil.
func takeBytes(b []byte, ok bool) ([]byte, []byte, bool) {
	length, b, ok := takeVarint(b, ok)
	switch {
	case !ok || length > int64(len(b)) || length < -1:
		return nil, nil, false
	case length < 0:
		return nil, b, true
	}
	return b[:length:length], b[length:], true
}

func takeHeaders(b []byte, ok bool) ([]task.Header, []byte, bool) {
	count, b, ok := takeVarint(b, ok)
	if !ok || count == 0 {
		return nil, b, ok
	}
	if count < 0 || count > int64(len(b)/2) {
		return nil, nil, false
	}
	headers := make([]task.Header, count)
	for i := range headers {
		var key, value []byte
		key, b, ok = takeBytes(b, ok)
		value, b, ok = takeBytes(b, ok)
		if !ok || key == nil {
			return nil, nil, false
		}
		headers[i] = task.Header{Key: string(key), Value: value}
	}
	return headers, b, true
}

// aborter tells the batches of aborted transactions (Kafka: CompletedFetch).
type aborter struct {
	on      bool
	waiting []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	open    map[int64]bool                                       // producers whose transaction here was aborted
}

// wants says if a batch's records are messages to be given.
func (a *aborter) wants(batch []byte, attributes uint16, last int64) (bool, error) {
	if !a.on {
		return attributes&controlBit == 0, nil
	}
	for len(a.waiting) > 0 && a.waiting[0].FirstOffset <= last {
		if a.open == nil {
			a.open = map[int64]bool{}
		}
		a.open[a.waiting[0].ProducerID] = true
		a.waiting = a.waiting[1:]
	}
	producer := int64(binary.BigEndian.Uint64(batch[producerAt:]))
	if attributes&controlBit == 0 {
		return attributes&transactionalBit == 0 || !a.open[producer], nil
	}
	if a.open[producer] {
		aborts, err := isAbort(batch[batchOverhead:])
		if err != nil {
			return false, err
		}
		if aborts {
			delete(a.open, producer)
		}
	}
	return false, nil
}

// isAbort says if a control batch's first record ends a transaction by aborting
// it: its key is a version and a type, of which 0 is ABORT.
func isAbort(records []byte) (bool, error) {
	_, b, ok := takeVarint(records, true) // length
	if !ok || len(b) == 0 {
		return false, nil // compaction took the marker
	}
	_, b, ok = takeVarint(b[1:], true)
	_, b, ok = takeVarint(b, ok)
	key, _, ok := takeBytes(b, ok)
	if !ok || len(key) < 4 {
		return false, errors.New("a control record without a type")
	}
	return key[2] == 0 && key[3] == 0, nil
}
