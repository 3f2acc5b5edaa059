package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/bench/input"
)

// check counts exactly what a run wrote, and fails if it is not what the input
// demands. It returns how many records were written.
func (k *broker) check(ctx context.Context, w workload, topic string) (int64, error) {
	switch w.name {
	case passThrough:
		c := newCopies(w.keys, w.records)
		if err := k.readAll(ctx, topic, c.record); err != nil {
			return 0, err
		}
		return c.written, c.verdict()
	case count, countCache:
		t := newTotals(w.keys, w.records)
		if err := k.readAll(ctx, topic, t.record); err != nil {
			return 0, err
		}
		return t.written, t.verdict()
	}
	return 0, nil
}

// copies checks a pass-through's output: each record of the input once, and
// those of a key in their order.
type copies struct {
	keys    input.Keys
	records int64
	seen    []bool
	last    []int64 // the number of each key's last record, plus 1
	written int64
	twice   int64
	late    int64
	buf     []byte
}

func newCopies(keys input.Keys, records int64) *copies {
	return &copies{keys: keys, records: records, seen: make([]bool, records), last: make([]int64, keys.Users)}
}

func (c *copies) record(r *kgo.Record) error {
	c.written++
	i, ok := input.ParseValue(r.Value)
	if !ok || i >= c.records {
		return fmt.Errorf("value %.40q is none of the input's", r.Value)
	}
	if c.buf = c.keys.AppendKey(c.buf[:0], i); !bytes.Equal(c.buf, r.Key) {
		return fmt.Errorf("record %d has the key %.40q instead of %q", i, r.Key, c.buf)
	}
	if c.buf = input.AppendValue(c.buf[:0], i); !bytes.Equal(c.buf, r.Value) {
		return fmt.Errorf("record %d has the value %.120q instead of %q", i, r.Value, c.buf)
	}
	if c.seen[i] {
		c.twice++
		return nil
	}
	c.seen[i] = true
	if last := &c.last[c.keys.User(i)]; i+1 > *last {
		*last = i + 1
	} else {
		c.late++
	}
	return nil
}

func (c *copies) verdict() error {
	lost := c.records - (c.written - c.twice)
	if lost == 0 && c.twice == 0 && c.late == 0 {
		return nil
	}
	return fmt.Errorf("of %d records %d were lost, %d came twice, %d came behind a later one of their key", c.records, lost, c.twice, c.late)
}

// totals checks a count's changelog: the last value of each key is its total.
type totals struct {
	keys      input.Keys
	want, got []int64
	written   int64
}

func newTotals(keys input.Keys, records int64) *totals {
	t := &totals{keys: keys, want: make([]int64, keys.Users), got: make([]int64, keys.Users)}
	for i := range records {
		t.want[keys.User(i)]++
	}
	return t
}

func (t *totals) record(r *kgo.Record) error {
	t.written++
	user, ok := t.keys.ParseUser(r.Key)
	if !ok {
		return fmt.Errorf("key %.40q is no user", r.Key)
	}
	if len(r.Value) != 8 {
		return fmt.Errorf("the total of %s has %d bytes instead of 8", r.Key, len(r.Value))
	}
	t.got[user] = int64(binary.BigEndian.Uint64(r.Value))
	return nil
}

func (t *totals) verdict() error {
	wrong, off := 0, int64(0)
	for u := range t.want {
		if d := t.got[u] - t.want[u]; d != 0 {
			wrong++
			off += d
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("the totals of %d users are wrong, by %+d in sum", wrong, off)
}
