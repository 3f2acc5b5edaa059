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
	// heads are the batches' heads, for who reads what is not committed, too, and
	// decides by himself.
	heads []batchHead
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

// run is a batch whose records are wanted: its header, and those of its records,
// decompressed, that are not messages yet.
type run struct {
	header  []byte
	records []byte
	count   int
}

// read gives the messages at or behind from in an answer's bytes. What a broker
// cut off at the end is left for the next fetch. aborted are the answer's
// aborted transactions.
func (r *batchReader) read(src *task.Source, raw []byte, from int64, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) (decoded, error) {
	var few [16]run
	d, runs, err := r.open(src, raw, from, aborted, few[:0])
	if err != nil || len(runs) == 0 {
		return d, err
	}
	total := recordsOf(runs)
	d.messages = make([]task.Message, 0, total)
	for i := range runs {
		if err := d.add(src, &runs[i], from, total); err != nil {
			return d, err
		}
	}
	return d, nil
}

func recordsOf(runs []run) (n int) {
	for i := range runs {
		n += runs[i].count
	}
	return n
}

// open is read but for the records, which it leaves in runs, appended to those given.
// Of an answer that holds batches of before Kafka 0.11 everything is read.
func (r *batchReader) open(src *task.Source, raw []byte, from int64, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, runs []run) (decoded, []run, error) {
	d := decoded{next: from, epoch: -1}
	abort := aborter{r.committed, slices.Clone(aborted), nil}
	slices.SortFunc(abort.waiting, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(max(-1, min(1, a.FirstOffset-b.FirstOffset)))
	})
	for len(raw) >= batchOverhead {
		size := int64(int32(binary.BigEndian.Uint32(raw[lengthAt:]))) + 12
		if raw[magicAt] < 2 {
			d, err := r.readOld(src, raw, d, runs)
			return d, nil, err
		}
		if raw[magicAt] > 2 {
			return d, nil, fmt.Errorf("%w: version %d is unknown", errBadBatch, raw[magicAt])
		}
		if size < batchOverhead {
			return d, nil, fmt.Errorf("%w: its length is %d", errBadBatch, size)
		}
		if size > int64(len(raw)) {
			break
		}
		batch := raw[:size]
		raw = raw[size:]
		first := int64(binary.BigEndian.Uint64(batch))
		last := first + int64(int32(binary.BigEndian.Uint32(batch[lastDeltaAt:])))
		if r.checkCRC && crc32.Checksum(batch[crcFrom:], castagnoli) != binary.BigEndian.Uint32(batch[crcAt:]) {
			return d, nil, fmt.Errorf("%w: the checksum of the batch at offset %d is wrong", errBadBatch, first)
		}
		if last < from {
			continue
		}
		attributes := binary.BigEndian.Uint16(batch[attributesAt:])
		wanted, err := abort.wants(batch, attributes, last)
		if err != nil {
			return d, nil, fmt.Errorf("%w at offset %d: %w", errBadBatch, first, err)
		}
		if count := int(int32(binary.BigEndian.Uint32(batch[countAt:]))); wanted && count != 0 {
			u := run{header: batch[:batchOverhead], records: batch[batchOverhead:], count: count}
			if codec := kgo.CompressionCodecType(attributes & codecBits); codec != 0 {
				if u.records, err = r.codec.Decompress(u.records, codec); err != nil {
					return d, nil, fmt.Errorf("%w: decompress the batch at offset %d: %w", errBadBatch, first, err)
				}
			}
			// The count comes from outside: it is believed as far as there are
			// bytes for it.
			if count < 0 || count > len(u.records)/smallestRecord || count > largestBatchCount {
				return d, nil, fmt.Errorf("%w: the batch at offset %d counts %d records in %d bytes", errBadBatch, first, count, len(u.records))
			}
			runs = append(runs, u)
		}
		d.next = last + 1
		d.epoch = int32(binary.BigEndian.Uint32(batch[epochAt:]))
	}
	return d, runs, nil
}

// readOld reads batches of Kafka before 0.11, which the client knows how to.
func (r *batchReader) readOld(src *task.Source, raw []byte, d decoded, before []run) (decoded, error) {
	for i := range before {
		if err := d.add(src, &before[i], d.next, before[i].count); err != nil {
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

// add appends the messages of a batch's next records, most of them at the most, and
// takes these out of it. It is the hottest code of reading: it goes over the bytes
// once, with an index.
func (d *decoded) add(src *task.Source, u *run, from int64, most int) error {
	first := int64(binary.BigEndian.Uint64(u.header))
	attributes := binary.BigEndian.Uint16(u.header[attributesAt:])
	firstTime := int64(binary.BigEndian.Uint64(u.header[firstTimeAt:]))
	maxTime := int64(binary.BigEndian.Uint64(u.header[maxTimeAt:]))
	b := u.records
	at := 0
	taken := min(u.count, most)
	for range taken {
		length, i := varint(b, at)
		if i < 0 || length < 1 || length > int64(len(b)-i) {
			return fmt.Errorf("%w: a record of the batch at offset %d is cut off", errBadBatch, first)
		}
		at = i + int(length) // the next record's
		rest := b[:at]
		var (
			key, value             []byte
			timeDelta, offsetDelta int64
			n                      int64
			headers                []task.Header
		)
		timeDelta, i = varint(rest, i+1) // before it, attributes, of which none is in use
		offsetDelta, i = varint(rest, i)
		if n, i = varint(rest, i); n >= 0 && i >= 0 && n <= int64(len(rest)-i) {
			key = rest[i : i+int(n) : i+int(n)]
			i += int(n)
		} else if n != -1 {
			i = -1
		}
		if n, i = varint(rest, i); n >= 0 && i >= 0 && n <= int64(len(rest)-i) {
			value = rest[i : i+int(n) : i+int(n)]
			i += int(n)
		} else if n != -1 {
			i = -1
		}
		if n, i = varint(rest, i); n != 0 {
			headers, i = headersAt(rest, i, n)
		}
		if i < 0 {
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
	u.records, u.count = b[at:], u.count-taken
	return nil
}

// varint reads a zigzag varint at an index and gives the index behind it; below
// 0 is none, for which an index below 0 is taken, too.
func varint(b []byte, i int) (v int64, next int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return int64(b[i]>>1) ^ -int64(b[i]&1), i + 1
	}
	return longVarint(b, i)
}

func longVarint(b []byte, i int) (v int64, next int) {
	if i < 0 || i >= len(b) {
		return 0, -1
	}
	if i+1 < len(b) && b[i+1] < 0x80 { // most lengths and offsets are of two bytes
		u := uint64(b[i]&0x7f) | uint64(b[i+1])<<7
		return int64(u>>1) ^ -int64(u&1), i + 2
	}
	v, n := binary.Varint(b[i:])
	if n <= 0 {
		return 0, -1
	}
	return v, i + n
}

// headersAt reads count headers; an index below 0 is handed on.
func headersAt(b []byte, i int, count int64) ([]task.Header, int) {
	if i < 0 || count < 0 || count > int64(len(b)-i)/2 {
		return nil, -1
	}
	headers := make([]task.Header, count)
	for h := range headers {
		var key, value []byte
		key, i = bytesAt(b, i)
		value, i = bytesAt(b, i)
		if i < 0 || key == nil {
			return nil, -1
		}
		headers[h] = task.Header{Key: string(key), Value: value}
	}
	return headers, i
}

// bytesAt reads a length and so many bytes; a length of -1 is nil.
func bytesAt(b []byte, i int) ([]byte, int) {
	n, i := varint(b, i)
	switch {
	case i < 0 || n > int64(len(b)-i) || n < -1:
		return nil, -1
	case n < 0:
		return nil, i
	}
	return b[i : i+int(n) : i+int(n)], i + int(n)
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
		kind, err := controlKind(batch[batchOverhead:])
		if err != nil {
			return false, err
		}
		if kind == abortMarker {
			delete(a.open, producer)
		}
	}
	return false, nil
}

// controlKind says what a control batch's first record does: its key is a
// version and a type, of which 0 is ABORT and 1 COMMIT.
func controlKind(records []byte) (batchKind, error) {
	if len(records) == 0 {
		return otherControl, nil // compaction took the marker
	}
	_, i := varint(records, 0) // length
	_, i = varint(records, i+1)
	_, i = varint(records, i)
	key, i := bytesAt(records, i)
	if i < 0 || len(key) < 4 {
		return otherControl, errors.New("a control record without a type")
	}
	switch binary.BigEndian.Uint16(key[2:]) {
	case 0:
		return abortMarker, nil
	case 1:
		return commitMarker, nil
	}
	return otherControl, nil
}
