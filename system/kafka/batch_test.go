package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heddle/task"
)

// sealBatch encodes a batch with its length and checksum.
func sealBatch(b kmsg.RecordBatch) []byte {
	b.Length = int32(49 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// record encodes a record of a batch.
func record(offsetDelta int32, key, value []byte, headers ...kmsg.Header) []byte {
	r := kmsg.Record{TimestampDelta64: int64(offsetDelta) * 10, OffsetDelta: offsetDelta, Key: key, Value: value, Headers: headers}
	body := r.AppendTo(nil)
	_, n := binary.Varint(body)
	body = body[n:]
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// testBatch is a batch with the records of these offsets; compressed when codec
// says so.
func testBatch(t testing.TB, first, last int64, producer int64, attributes int16, codec kgo.CompressionCodec, offsets ...int64) []byte {
	t.Helper()
	var records []byte
	for _, o := range offsets {
		records = append(records, record(int32(o-first), fmt.Append(nil, "key ", o), fmt.Append(nil, "value ", o))...)
	}
	b := kmsg.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(last - first), PartitionLeaderEpoch: 3, Magic: 2, Attributes: attributes, FirstTimestamp: 1000, MaxTimestamp: 5000,
		ProducerID: producer, NumRecords: int32(len(offsets)), Records: records,
	}
	if c, err := kgo.DefaultCompressor(codec); err != nil {
		t.Fatal(err)
	} else if c != nil {
		var dst bytes.Buffer
		packed, used := c.Compress(&dst, records)
		b.Records, b.Attributes = packed, b.Attributes|int16(used)
	}
	return sealBatch(b)
}

// marker is a control batch that ends a transaction.
func marker(offset, producer int64, commit bool) []byte {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	return sealBatch(kmsg.RecordBatch{
		FirstOffset: offset, Magic: 2, Attributes: controlBit | transactionalBit, ProducerID: producer, NumRecords: 1, Records: record(0, key, []byte{0, 0, 0, 0, 0, 0}),
	})
}

var reader = batchReader{checkCRC: true, codec: kgo.DefaultDecompressor()}

func TestReadBatches(t *testing.T) {
	src := source("in", 0)
	none := kgo.NoCompression()
	batch := func(first, last int64, offsets ...int64) []byte {
		return testBatch(t, first, last, -1, 0, none, offsets...)
	}
	for _, tt := range []struct {
		name  string
		raw   []byte
		from  int64
		want  []int64
		next  int64
		epoch int32
	}{
		{"nothing", nil, 5, nil, 5, -1},
		{"one batch", batch(0, 2, 0, 1, 2), 0, []int64{0, 1, 2}, 3, 3},
		{"from its middle", batch(0, 2, 0, 1, 2), 1, []int64{1, 2}, 3, 3},
		{"gaps inside and at the end", batch(0, 9, 2, 5), 0, []int64{2, 5}, 10, 3},
		{"nothing left of it", batch(4, 9), 4, nil, 10, 3},
		{"only what lies before", batch(0, 9, 2, 5), 7, nil, 10, 3},
		{"a batch that lies before", slices.Concat(batch(0, 2, 0, 1, 2), batch(3, 3, 3)), 3, []int64{3}, 4, 3},
		{"nothing but what lies before", batch(0, 2, 0, 1, 2), 3, nil, 3, -1},
		{"a cut off second", slices.Concat(batch(0, 2, 0, 1, 2), batch(3, 3, 3)[:70]), 0, []int64{0, 1, 2}, 3, 3},
		{"a cut off header", slices.Concat(batch(0, 2, 0, 1, 2), batch(3, 3, 3)[:30]), 0, []int64{0, 1, 2}, 3, 3},
		{"control records", slices.Concat(batch(0, 0, 0), marker(1, 7, true), batch(2, 2, 2), marker(3, 7, false)), 0, []int64{0, 2}, 4, 0},
	} {
		d, err := reader.read(src, tt.raw, tt.from, nil)
		if err != nil || d.next != tt.next || d.epoch != tt.epoch {
			t.Errorf("%s: next %d, epoch %d, %v; want %d, %d", tt.name, d.next, d.epoch, err, tt.next, tt.epoch)
		}
		var got []int64
		size := 0
		for _, m := range d.messages {
			got = append(got, m.Offset)
			size += len(m.KeyBytes) + len(m.ValueBytes)
			if string(m.KeyBytes) != fmt.Sprint("key ", m.Offset) || string(m.ValueBytes) != fmt.Sprint("value ", m.Offset) || m.Source != src {
				t.Errorf("%s: %+v", tt.name, m)
			}
		}
		if !slices.Equal(got, tt.want) || d.bytes != size {
			t.Errorf("%s: offsets %v, %d bytes; want %v, %d", tt.name, got, d.bytes, tt.want, size)
		}
	}
}

func TestReadCompressedBatches(t *testing.T) {
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		var offsets []int64
		for o := range int64(1000) {
			offsets = append(offsets, o)
		}
		raw := testBatch(t, 0, 999, -1, 0, codec, offsets...)
		d, err := reader.read(source("in", 0), raw, 0, nil)
		if err != nil || len(d.messages) != 1000 || d.next != 1000 || string(d.messages[999].ValueBytes) != "value 999" {
			t.Errorf("%v: %d messages, %v", codec, len(d.messages), err)
		}
		raw[len(raw)-1] ^= 1
		if _, err := reader.read(source("in", 0), raw, 0, nil); !errors.Is(err, errBadBatch) {
			t.Errorf("%v, one bit changed: %v", codec, err)
		}
	}
}

func TestReadTimesAndHeaders(t *testing.T) {
	src := source("in", 0)
	headers := []kmsg.Header{{Key: "a", Value: []byte("1")}, {Key: "", Value: nil}}
	b := kmsg.RecordBatch{Magic: 2, LastOffsetDelta: 2, FirstTimestamp: 1000, MaxTimestamp: 5000, NumRecords: 3,
		Records: slices.Concat(record(0, nil, nil, headers...), record(1, []byte{}, []byte{}), record(2, nil, []byte("x")))}
	d, err := reader.read(src, sealBatch(b), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []task.Message{
		{Source: src, Offset: 0, Timestamp: 1000, Headers: []task.Header{{Key: "a", Value: []byte("1")}, {}}},
		{Source: src, Offset: 1, Timestamp: 1010, KeyBytes: []byte{}, ValueBytes: []byte{}},
		{Source: src, Offset: 2, Timestamp: 1020, ValueBytes: []byte("x")},
	}
	if fmt.Sprintf("%#v", d.messages) != fmt.Sprintf("%#v", want) {
		t.Errorf("%#v\nwant\n%#v", d.messages, want)
	}
	b.Attributes = logAppendTimeBit
	if d, err = reader.read(src, sealBatch(b), 0, nil); err != nil || d.messages[0].Timestamp != 5000 || d.messages[2].Timestamp != 5000 {
		t.Errorf("with the broker's time: %+v, %v", d.messages, err)
	}
}

func TestReadAborted(t *testing.T) {
	src := source("in", 0)
	tx := func(producer, offset int64) []byte {
		return testBatch(t, offset, offset, producer, transactionalBit, kgo.NoCompression(), offset)
	}
	plain := func(offset int64) []byte { return testBatch(t, offset, offset, 1, 0, kgo.NoCompression(), offset) }
	raw := slices.Concat(
		tx(1, 0), tx(2, 1), plain(2), tx(1, 3), marker(4, 1, false), // 1 aborts 0 and 3
		tx(1, 5), tx(2, 6), marker(7, 1, true), marker(8, 2, false), // 1 commits 5, 2 aborts 1 and 6
		tx(2, 9), marker(10, 2, true), tx(1, 11), marker(12, 1, false)) // 2 commits 9, 1 aborts 11
	aborted := func(pairs ...int64) (out []kmsg.FetchResponseTopicPartitionAbortedTransaction) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: pairs[i], FirstOffset: pairs[i+1]})
		}
		return out
	}
	committed := reader
	committed.committed = true
	for _, tt := range []struct {
		reader  batchReader
		aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
		want    []int64
	}{
		{committed, aborted(1, 0, 2, 1, 1, 11), []int64{2, 5, 9}},
		{committed, aborted(1, 11, 2, 1, 1, 0), []int64{2, 5, 9}}, // brokers need not sort
		{committed, nil, []int64{0, 1, 2, 3, 5, 6, 9, 11}},
		{reader, aborted(1, 0, 2, 1, 1, 11), []int64{0, 1, 2, 3, 5, 6, 9, 11}},
	} {
		d, err := tt.reader.read(src, raw, 0, tt.aborted)
		var got []int64
		for _, m := range d.messages {
			got = append(got, m.Offset)
		}
		if err != nil || d.next != 13 || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, next %d, %v; want %v", tt.aborted, got, d.next, err, tt.want)
		}
	}
}

func TestReadBadBatches(t *testing.T) {
	good := testBatch(t, 0, 2, -1, 0, kgo.NoCompression(), 0, 1, 2)
	reseal := func(change func([]byte)) []byte {
		b := slices.Clone(good)
		change(b)
		binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[crcFrom:], castagnoli))
		return b
	}
	for name, raw := range map[string][]byte{
		"checksum":         append(slices.Clone(good[:70]), append([]byte{good[70] ^ 1}, good[71:]...)...),
		"version":          reseal(func(b []byte) { b[magicAt] = 3 }),
		"length":           reseal(func(b []byte) { binary.BigEndian.PutUint32(b[lengthAt:], 3) }),
		"negative length":  reseal(func(b []byte) { binary.BigEndian.PutUint32(b[lengthAt:], 1<<31) }),
		"too many records": reseal(func(b []byte) { binary.BigEndian.PutUint32(b[countAt:], 1<<30) }),
		"negative count":   reseal(func(b []byte) { binary.BigEndian.PutUint32(b[countAt:], 1<<31) }),
		"one too many":     reseal(func(b []byte) { binary.BigEndian.PutUint32(b[countAt:], 4) }),
		"codec":            reseal(func(b []byte) { b[attributesAt+1] = 7 }),
		"record's length":  reseal(func(b []byte) { b[batchOverhead] = 0x7f }),
		"empty record":     reseal(func(b []byte) { b[batchOverhead] = 0 }),
	} {
		if d, err := reader.read(source("in", 0), raw, 0, nil); !errors.Is(err, errBadBatch) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	lax := reader
	lax.checkCRC = false
	if _, err := lax.read(source("in", 0), append(slices.Clone(good[:17]), append([]byte{1, 2, 3, 4}, good[21:]...)...), 0, nil); err != nil {
		t.Errorf("with check.crcs=false: %v", err)
	}
}

// TestReadOldFormat: message sets of Kafka before 0.11 are read too.
func TestReadOldFormat(t *testing.T) {
	m := kmsg.MessageV1{Offset: 7, Magic: 1, Timestamp: 1234, Key: []byte("k"), Value: []byte("v")}
	m.MessageSize = int32(len(m.AppendTo(nil)) - 12)
	raw := m.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[12:], crc32.ChecksumIEEE(raw[16:]))
	raw = slices.Concat(raw, make([]byte, batchOverhead)) // a cut off second
	d, err := reader.read(source("in", 0), raw, 7, nil)
	if err != nil || len(d.messages) != 1 || d.next != 8 || string(d.messages[0].ValueBytes) != "v" || d.messages[0].Timestamp != 1234 {
		t.Errorf("%+v, %v", d, err)
	}
}

// FuzzReadBatches: whatever the bytes, no panic and no more memory than they are
// worth; and what is read is what franz-go reads of them.
func FuzzReadBatches(f *testing.F) {
	f.Add(testBatch(f, 0, 2, -1, 0, kgo.NoCompression(), 0, 1, 2), int64(0), false)
	f.Add(testBatch(f, 0, 9, -1, 0, kgo.SnappyCompression(), 2, 5), int64(3), false)
	f.Add(slices.Concat(testBatch(f, 0, 0, 5, transactionalBit, kgo.NoCompression(), 0), marker(1, 5, false)), int64(0), true)
	f.Fuzz(func(t *testing.T, raw []byte, from int64, committed bool) {
		if from < 0 {
			return
		}
		aborted := []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 5}}
		r := batchReader{committed: committed, codec: kgo.DefaultDecompressor()}
		d, err := r.read(source("in", 0), raw, from, aborted)
		if err != nil {
			return
		}
		if d.next < from || len(d.messages) > 0 && (d.messages[0].Offset < from) {
			t.Fatalf("from %d: next %d, first %+v", from, d.next, d.messages[0])
		}
		if heads, err := headsOf(raw); err == nil && !committed {
			// Everything is given, or waits for a marker: in its order, once.
			all := decider{mine: func(*task.Message) bool { return true }}
			given := len(all.next(heads, d.messages))
			dropped := 0
			for _, h := range heads {
				if h.kind == abortMarker {
					dropped = len(d.messages)
				}
			}
			if n := given + len(all.queue); n > len(d.messages) || n+dropped < len(d.messages) {
				t.Fatalf("of %d messages %d are decided, %d wait", len(d.messages), given, len(all.queue))
			}
		}
		level := kgo.ReadUncommitted()
		if committed {
			level = kgo.ReadCommitted()
		}
		fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, DisableCRCValidation: true, IsolationLevel: level},
			&kmsg.FetchResponseTopicPartition{RecordBatches: raw, AbortedTransactions: aborted}, kgo.DefaultDecompressor(), nil)
		if fp.Err != nil || next != d.next || len(fp.Records) != len(d.messages) {
			return // the two differ in what they make of nonsense
		}
		for i, m := range d.messages {
			theirs := fp.Records[i]
			if m.Offset != theirs.Offset || !bytes.Equal(m.KeyBytes, theirs.Key) || !bytes.Equal(m.ValueBytes, theirs.Value) || len(m.Headers) != len(theirs.Headers) ||
				theirs.Attrs.TimestampType() >= 0 && m.Timestamp != theirs.Timestamp.UnixMilli() && max(m.Timestamp, -m.Timestamp) < 1<<42 /* theirs are nanoseconds */ {
				t.Fatalf("message %d: %+v, franz-go has %+v", i, m, theirs)
			}
		}
	})
}

// TestReadBatchesLikeTheClient compares on batches that are none of nonsense.
func TestReadBatchesLikeTheClient(t *testing.T) {
	for seed := range int64(200) {
		var raw []byte
		offset := seed
		for i := range 1 + seed%5 {
			first := offset
			var offsets []int64
			for range (seed + i) % 7 {
				offset += 1 + (seed*i)%3
				offsets = append(offsets, offset)
			}
			offset += 1 + i%2
			codec := []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[(seed+i)%3]
			raw = append(raw, testBatch(t, first, offset, i, int16(i%2)*transactionalBit, codec, offsets...)...)
			offset++
			if i%3 == 2 {
				raw = append(raw, marker(offset, i-1, seed%2 == 0)...)
				offset++
			}
		}
		for _, committed := range []bool{false, true} {
			for _, from := range []int64{seed, seed + 3, seed + 11} {
				aborted := []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: seed}}
				r := batchReader{committed: committed, checkCRC: true, codec: kgo.DefaultDecompressor()}
				d, err := r.read(source("in", 0), raw, from, aborted)
				level := kgo.ReadUncommitted()
				if committed {
					level = kgo.ReadCommitted()
				}
				fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, IsolationLevel: level},
					&kmsg.FetchResponseTopicPartition{RecordBatches: raw, AbortedTransactions: aborted}, kgo.DefaultDecompressor(), nil)
				if err != nil || fp.Err != nil || next != d.next || len(fp.Records) != len(d.messages) {
					t.Fatalf("seed %d from %d committed %v: %d messages, next %d, %v; franz-go has %d, %d, %v", seed, from, committed, len(d.messages), d.next, err, len(fp.Records), next, fp.Err)
				}
				for i, m := range d.messages {
					if r := fp.Records[i]; m.Offset != r.Offset || !bytes.Equal(m.ValueBytes, r.Value) || m.Timestamp != r.Timestamp.UnixMilli() {
						t.Fatalf("seed %d: message %d is %+v, franz-go has %+v", seed, i, m, r)
					}
				}
			}
		}
	}
}

// TestPieces compares what is handed over in pieces with all of it at once.
func TestPieces(t *testing.T) {
	src := source("in", 0)
	raw := slices.Concat(testBatch(t, 0, 4, -1, 0, kgo.NoCompression(), 0, 1, 2, 4), testBatch(t, 5, 5, -1, 0, kgo.SnappyCompression(), 5),
		marker(6, 1, true), testBatch(t, 7, 19, -1, 0, kgo.ZstdCompression(), 7, 8, 9, 10, 12, 19))
	for from := range int64(20) {
		whole, err := reader.read(src, raw, from, nil)
		if err != nil {
			t.Fatal(err)
		}
		for to := from + 1; to <= 21; to++ {
			want := before(whole.messages, to)
			for most := 1; most < 13; most++ {
				a := answer{from: from}
				if a.decoded, a.runs, err = reader.open(src, raw, from, nil, nil); err != nil || a.next != 20 {
					t.Fatalf("next %d, %v", a.next, err)
				}
				var got []task.Message
				err := a.give(src, to, most, func(d *decoded) error {
					if len(d.messages) > most {
						t.Errorf("%d messages in a piece of %d", len(d.messages), most)
					}
					got = append(got, d.messages...)
					return nil
				})
				if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("from %d to %d in pieces of %d: %v, %v\nwant %v", from, to, most, got, err, want)
				}
			}
		}
	}
}

// TestPiecesEnd sees that an error, of who takes the messages or of a record, ends it.
func TestPiecesEnd(t *testing.T) {
	src := source("in", 0)
	raw := testBatch(t, 0, 4, -1, 0, kgo.NoCompression(), 0, 1, 2, 3, 4)
	open := func() answer {
		d, runs, err := reader.open(src, raw, 0, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer{decoded: d, runs: runs}
	}
	a, stop, n := open(), errors.New("stop"), 0
	if err := a.give(src, 5, 2, func(*decoded) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d pieces", err, n)
	}
	a, n = open(), 0
	a.runs[0].records = a.runs[0].records[:len(a.runs[0].records)-1]
	if err := a.give(src, 5, 2, func(d *decoded) error { n += len(d.messages); return nil }); !errors.Is(err, errBadBatch) || n != 4 {
		t.Errorf("%v after %d messages", err, n)
	}
}
