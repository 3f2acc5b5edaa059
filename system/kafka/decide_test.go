package kafka

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"heddle/task"
)

// history is a partition as a broker writes it, and, beside its bytes, what of
// it is whose and what became of it: the model that decider is held to.
type history struct {
	batches []written
	next    int64
}

// written is a batch or a marker of the history.
type written struct {
	first, last, producer int64
	epoch                 int16
	kind                  batchKind
	offsets               []int64 // of its records, those compaction took left out
	fate                  batchKind
}

// records writes a batch of n records.
func (h *history) records(producer int64, epoch int16, kind batchKind, n int64) {
	w := written{first: h.next, last: h.next + n - 1, producer: producer, epoch: epoch, kind: kind, fate: kind}
	for range n {
		w.offsets = append(w.offsets, h.next)
		h.next++
	}
	h.batches = append(h.batches, w)
}

// end writes a marker and decides what is open of its producer.
func (h *history) end(producer int64, epoch int16, kind batchKind) {
	for i := range h.batches {
		if b := &h.batches[i]; b.kind == inTransaction && b.fate == inTransaction && b.producer == producer {
			b.fate = kind
		}
	}
	h.batches = append(h.batches, written{first: h.next, last: h.next, producer: producer, epoch: epoch, kind: kind, fate: kind})
	h.next++
}

// bytes are the batch as it is stored and sent.
func (w written) bytes(codec kgo.CompressionCodec) []byte {
	b := kmsg.RecordBatch{
		FirstOffset: w.first, LastOffsetDelta: int32(w.last - w.first), Magic: 2, FirstTimestamp: 1000, MaxTimestamp: 5000,
		ProducerID: w.producer, ProducerEpoch: w.epoch,
	}
	switch w.kind {
	case noTransaction, inTransaction:
		if w.kind == inTransaction {
			b.Attributes = transactionalBit
		}
		var records []byte
		for _, o := range w.offsets {
			records = append(records, record(int32(o-w.first), fmt.Append(nil, "key ", o), fmt.Append(nil, "value ", o))...)
		}
		b.NumRecords, b.Records = int32(len(w.offsets)), records
		if c, err := kgo.DefaultCompressor(codec); err == nil && c != nil {
			var dst bytes.Buffer
			packed, used := c.Compress(&dst, records)
			b.Records, b.Attributes = packed, b.Attributes|int16(used)
		}
	case commitMarker, abortMarker, otherControl:
		b.Attributes = controlBit | transactionalBit
		key := []byte{0, 0, 0, map[batchKind]byte{abortMarker: 0, commitMarker: 1, otherControl: 9}[w.kind]}
		b.NumRecords, b.Records = 1, record(0, key, []byte{0, 0, 0, 0, 0, 0})
	}
	return sealBatch(b)
}

// decide hands the history from an offset on to a decider in answers that end
// behind these batches, and gives the offsets of what it gave.
func (h *history) decide(t interface{ Fatal(...any) }, from int64, codec kgo.CompressionCodec, mine func(offset int64) bool, ends []int) (got []int64, open int64) {
	d := decider{mine: func(m *task.Message) bool { return mine(m.Offset) }}
	var raw []byte
	flush := func() {
		a, err := reader.read(source("in", 0), raw, from, nil)
		if err != nil {
			t.Fatal(err)
		}
		heads, err := headsOf(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range d.next(heads, a.messages) {
			got = append(got, m.Offset)
		}
		raw, from = nil, a.next
	}
	for i, w := range h.batches {
		if w.last < from {
			continue
		}
		raw = append(raw, w.bytes(codec)...)
		if slices.Contains(ends, i) {
			// What a broker cuts off at the end is sent again.
			if i+1 < len(h.batches) {
				next := h.batches[i+1].bytes(codec)
				raw = append(raw, next[:len(next)*2/3]...)
			}
			flush()
		}
	}
	flush()
	rest, open := d.rest()
	for _, m := range rest {
		got = append(got, m.Offset)
	}
	return got, open
}

// wants is what a decider has to give: the picked committed records, and the first
// picked one that is open.
func (h *history) wants(from int64, mine func(int64) bool) (want []int64, open int64) {
	open = -1
	for _, w := range h.batches {
		for _, o := range w.offsets {
			switch {
			case o < from || !mine(o) || w.fate == abortMarker:
			case w.fate != inTransaction:
				want = append(want, o)
			case open < 0:
				open = o
			}
		}
	}
	return want, open
}

// stable is the last stable offset.
func (h *history) stable() int64 {
	for _, w := range h.batches {
		if w.fate == inTransaction {
			return w.first
		}
	}
	return h.next
}

// What is decided of random histories is what their model says: transactions of
// several writers one within the other, fenced ones whose marker has a newer
// epoch, writers without transactions, markers of nothing, compaction, answers
// that end anywhere, and a start at any last stable offset that there was.
func TestDecideLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := history{}
		epochs := make([]int16, 4)
		starts := []int64{0}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			producer := rapid.Int64Range(0, 3).Draw(t, "producer")
			switch rapid.SampledFrom([]string{"in transaction", "in transaction", "plain", "idempotent", "commit", "abort", "fenced", "other"}).Draw(t, "what") {
			case "in transaction":
				h.records(producer, epochs[producer], inTransaction, rapid.Int64Range(1, 4).Draw(t, "records"))
			case "plain":
				h.records(-1, -1, noTransaction, rapid.Int64Range(1, 4).Draw(t, "records"))
			case "idempotent":
				h.records(producer, epochs[producer], noTransaction, 1)
			case "commit":
				h.end(producer, epochs[producer], commitMarker)
			case "abort":
				h.end(producer, epochs[producer], abortMarker)
			case "fenced":
				epochs[producer]++
				h.end(producer, epochs[producer], rapid.SampledFrom([]batchKind{abortMarker, commitMarker}).Draw(t, "end"))
			case "other":
				h.batches = append(h.batches, written{first: h.next, last: h.next, producer: producer, epoch: epochs[producer], kind: otherControl})
				h.next++
			}
			starts = append(starts, h.stable())
		}
		from := rapid.SampledFrom(starts).Draw(t, "from")
		for i := range h.batches { // compaction, which does not pass the last stable offset
			if b := &h.batches[i]; b.fate != inTransaction && rapid.IntRange(0, 3).Draw(t, "compact") == 0 {
				b.offsets = slices.DeleteFunc(b.offsets, func(int64) bool { return rapid.Bool().Draw(t, "taken") })
			}
		}
		some := rapid.Uint64().Draw(t, "mine")
		mine := func(o int64) bool { return some>>(uint64(o)%64)&1 == 1 }
		ends := rapid.SliceOf(rapid.IntRange(0, len(h.batches)-1)).Draw(t, "ends")
		codec := rapid.SampledFrom([]kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression()}).Draw(t, "codec")

		want, wantOpen := h.wants(from, mine)
		got, isOpen := h.decide(t, from, codec, mine, ends)
		if !slices.Equal(got, want) || isOpen != wantOpen {
			t.Fatalf("from %d: decided %v, open at %d; want %v, %d\n%+v", from, got, isOpen, want, wantOpen, h.batches)
		}
		// A reader of committed records, who is told what was aborted, reads the
		// same as far as it may: to the last stable offset.
		var raw []byte
		var aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
		open := map[int64]int64{}
		for _, w := range h.batches {
			if w.first >= h.stable() {
				break
			}
			raw = append(raw, w.bytes(codec)...)
		}
		for _, w := range h.batches {
			switch w.kind {
			case inTransaction:
				if _, ok := open[w.producer]; !ok {
					open[w.producer] = w.first
				}
			case abortMarker:
				if first, ok := open[w.producer]; ok {
					aborted = append(aborted, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: w.producer, FirstOffset: first})
				}
				delete(open, w.producer)
			case commitMarker:
				delete(open, w.producer)
			case noTransaction, otherControl:
			}
		}
		committed := reader
		committed.committed = true
		d, err := committed.read(source("in", 0), raw, 0, aborted)
		if err != nil {
			t.Fatal(err)
		}
		var theirs []int64
		for _, m := range d.messages {
			if mine(m.Offset) && m.Offset >= from {
				theirs = append(theirs, m.Offset)
			}
		}
		if ours := slices.DeleteFunc(got, func(o int64) bool { return o >= h.stable() }); !slices.Equal(ours, theirs) {
			t.Fatalf("decided %v, a reader of committed records gets %v", ours, theirs)
		}
	})
}

// The cases that the model's random histories may meet too seldom.
func TestDecide(t *testing.T) {
	all := func(int64) bool { return true }
	only := func(offsets ...int64) func(int64) bool {
		return func(o int64) bool { return slices.Contains(offsets, o) }
	}
	for _, tt := range []struct {
		name  string
		story func(*history)
		mine  func(int64) bool
		want  []int64
		open  int64 // at that offset; -1: nothing
	}{
		{"nothing", func(*history) {}, all, nil, -1},
		{"behind another's open transaction", func(h *history) {
			h.records(1, 0, inTransaction, 1)
			h.records(2, 0, inTransaction, 2)
			h.end(2, 0, commitMarker)
		}, only(1, 2), []int64{1, 2}, -1},
		{"one's own is open", func(h *history) {
			h.records(1, 0, inTransaction, 1)
			h.records(2, 0, inTransaction, 1)
			h.end(2, 0, commitMarker)
		}, all, []int64{1}, 0},
		{"what is committed last is not given before what was written first", func(h *history) {
			h.records(1, 0, inTransaction, 1)
			h.records(2, 0, inTransaction, 1)
			h.records(-1, -1, noTransaction, 1)
			h.end(2, 0, commitMarker)
			h.end(1, 0, commitMarker)
		}, all, []int64{0, 1, 2}, -1},
		{"aborted by who took over, then committed by him", func(h *history) {
			h.records(1, 4, inTransaction, 2)
			h.end(1, 5, abortMarker)
			h.records(1, 6, inTransaction, 1)
			h.end(1, 6, commitMarker)
		}, all, []int64{3}, -1},
		{"two transactions, the second aborted", func(h *history) {
			h.records(1, 0, inTransaction, 1)
			h.end(1, 0, commitMarker)
			h.records(1, 0, inTransaction, 1)
			h.end(1, 0, abortMarker)
		}, all, []int64{0}, -1},
		{"at-least-once, then exactly-once", func(h *history) {
			h.records(-1, -1, noTransaction, 2)
			h.records(1, 0, inTransaction, 1)
			h.end(1, 1, abortMarker)
		}, all, []int64{0, 1}, -1},
	} {
		h := &history{}
		tt.story(h)
		if got, open := h.decide(t, 0, kgo.NoCompression(), tt.mine, nil); !slices.Equal(got, tt.want) || open != tt.open {
			t.Errorf("%s: %v, open at %d; want %v, %d", tt.name, got, open, tt.want, tt.open)
		}
	}
	// A marker older than the transaction ends nothing: the broker refuses such a
	// one.
	h := &history{}
	h.records(1, 5, inTransaction, 1)
	h.batches = append(h.batches, written{first: 1, last: 1, producer: 1, epoch: 4, kind: commitMarker})
	if got, open := h.decide(t, 0, kgo.NoCompression(), all, nil); len(got) != 0 || open != 0 {
		t.Errorf("by an older marker: %v, open at %d", got, open)
	}
}
