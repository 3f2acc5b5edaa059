package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/system"
)

// txnBatch is a record batch that grows (Kafka: DefaultRecordBatch). Records
// are written in their final form at once, so that nothing of the caller's is
// held and a record costs no allocation.
type txnBatch struct {
	buf              *chunk
	count            int32
	firstTime, maxAt int64 // ms
	// sealed is when it was handed to the sender; the delivery time-out counts
	// from there.
	sealed time.Time
	// sequence is set when it is sent first; -1 before.
	sequence int32
	// wire is what is sent; it is buf's, or what compression made of it.
	wire []byte
}

// chunk is memory of a batch, of one of few sizes, used again and again.
type chunk struct {
	b     []byte
	class int
}

// chunkSizes are the sizes of chunks: a task that writes little holds little.
// A batch is sent when it has filled the largest; a larger record gets memory
// of its own.
var chunkSizes = [...]int{2 << 10, 16 << 10, 64 << 10, 256 << 10}

var chunks [len(chunkSizes)]sync.Pool

// newChunk gives a chunk that holds at least so many bytes.
func newChunk(size int) *chunk {
	for class, limit := range chunkSizes {
		if size <= limit {
			if c, ok := chunks[class].Get().(*chunk); ok {
				return c
			}
			return &chunk{b: make([]byte, 0, limit), class: class}
		}
	}
	return &chunk{b: make([]byte, 0, size), class: -1}
}

func (c *chunk) free() {
	if c.class >= 0 {
		c.b = c.b[:0]
		chunks[c.class].Put(c)
	}
}

// recordSize bounds what a record takes in a batch.
func recordSize(r *system.Record) int {
	n := 5*binary.MaxVarintLen32 + binary.MaxVarintLen64 + 1 + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 2*binary.MaxVarintLen32 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// newTxnBatch begins a batch with room for one record of that size.
func newTxnBatch(size int) *txnBatch {
	b := &txnBatch{buf: newChunk(batchOverhead + size), sequence: -1}
	b.buf.b = b.buf.b[:batchOverhead]
	return b
}

// room says if so many bytes more fit in, having taken a larger chunk if that
// is allowed.
func (b *txnBatch) room(size int, grow bool) bool {
	if b.count == math.MaxInt16 {
		return false
	}
	need := len(b.buf.b) + size
	if need <= cap(b.buf.b) {
		return true
	}
	if !grow || need > chunkSizes[len(chunkSizes)-1] {
		return false
	}
	c := newChunk(need)
	c.b = append(c.b, b.buf.b...)
	b.buf.free()
	b.buf = c
	return true
}

// add writes a record for which there is room. at is its time in ms.
func (b *txnBatch) add(r *system.Record, at int64) {
	if b.count == 0 {
		b.firstTime, b.maxAt = at, at
	}
	b.maxAt = max(b.maxAt, at)
	// A record begins with its length, which is known only afterwards: it is
	// worked out first.
	delta, offset := at-b.firstTime, int64(b.count)
	size := 1 + varintSize(delta) + varintSize(offset) + bytesSize(r.Key) + bytesSize(r.Value) + varintSize(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		size += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	buf := binary.AppendVarint(b.buf.b, int64(size))
	buf = append(buf, 0) // attributes
	buf = binary.AppendVarint(buf, delta)
	buf = binary.AppendVarint(buf, offset)
	buf = appendBytes(buf, r.Key)
	buf = appendBytes(buf, r.Value)
	buf = binary.AppendVarint(buf, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		buf = binary.AppendVarint(buf, int64(len(h.Key)))
		buf = append(buf, h.Key...)
		buf = appendBytes(buf, h.Value)
	}
	b.buf.b = buf
	b.count++
}

// appendBytes writes a length and bytes; nil has the length -1.
func appendBytes(buf, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(buf, -1)
	}
	buf = binary.AppendVarint(buf, int64(len(v)))
	return append(buf, v...)
}

func bytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// finish makes the bytes that are sent: it compresses the records, if that
// makes them smaller, and writes the header.
func (b *txnBatch) finish(pid int64, epoch int16, sequence int32, codec kgo.Compressor) {
	b.sequence = sequence
	b.wire = b.buf.b
	attributes := uint16(transactionalBit)
	if codec != nil {
		var dst bytes.Buffer
		records := b.buf.b[batchOverhead:]
		if packed, kind := codec.Compress(&dst, records); kind > 0 && len(packed) < len(records) {
			b.wire = append(make([]byte, batchOverhead, batchOverhead+len(packed)), packed...)
			attributes |= uint16(kind)
		}
	}
	h := b.wire
	binary.BigEndian.PutUint64(h, 0)
	binary.BigEndian.PutUint32(h[lengthAt:], uint32(len(h)-lengthAt-4))
	binary.BigEndian.PutUint32(h[epochAt:], math.MaxUint32) // the leader's epoch: not known
	h[magicAt] = 2
	binary.BigEndian.PutUint16(h[attributesAt:], attributes)
	binary.BigEndian.PutUint32(h[lastDeltaAt:], uint32(b.count-1))
	binary.BigEndian.PutUint64(h[firstTimeAt:], uint64(b.firstTime))
	binary.BigEndian.PutUint64(h[maxTimeAt:], uint64(b.maxAt))
	binary.BigEndian.PutUint64(h[producerAt:], uint64(pid))
	binary.BigEndian.PutUint16(h[producerEpochAt:], uint16(epoch))
	binary.BigEndian.PutUint32(h[sequenceAt:], uint32(sequence))
	binary.BigEndian.PutUint32(h[countAt:], uint32(b.count))
	binary.BigEndian.PutUint32(h[crcAt:], crc32.Checksum(h[crcFrom:], castagnoli))
}

// Places in the header that only a writer needs.
const (
	producerEpochAt = 51
	sequenceAt      = 53
)

// nextSequence is the sequence number after a batch: it wraps around to 0.
func nextSequence(sequence, count int32) int32 {
	if n := int64(sequence) + int64(count); n > math.MaxInt32 {
		return int32(n - math.MaxInt32 - 1)
	}
	return sequence + count
}
