package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/system"
)

// AppendV1 writes a checkpoint in version 1 (Samza: CheckpointV1Serde). An
// input without an offset is left out, as Samza does.
func AppendV1(dst []byte, c Checkpoint) []byte {
	dst = append(dst, '{')
	first := true
	put := func(p system.Partition, offset string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = quote(dst, p.String())
		dst = append(dst, `:{"system":`...)
		dst = quote(dst, p.System)
		dst = append(dst, `,"partition":"`...)
		dst = strconv.AppendInt(dst, int64(p.Partition), 10)
		dst = append(dst, `","offset":`...)
		dst = quote(dst, offset)
		dst = append(dst, `,"stream":`...)
		dst = quote(dst, p.Stream)
		dst = append(dst, '}')
	}
	for _, p := range inputs(c) {
		put(p, c.Inputs[p])
	}
	for _, store := range stores(c) {
		l := c.Changelogs[store]
		put(l.Partition, c.ID+":"+cmp.Or(l.Offset, "null"))
	}
	return append(dst, '}')
}

// AppendV2 writes a checkpoint in version 2 (Samza: CheckpointV2Serde).
func AppendV2(dst []byte, c Checkpoint) []byte {
	dst = append(dst, `{"checkpoint-id":`...)
	dst = quote(dst, c.ID)
	dst = append(dst, `,"input-offsets":{`...)
	for i, p := range inputs(c) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(dst, p.System+"."+p.Stream+"."+strconv.Itoa(int(p.Partition)))
		dst = append(dst, ':')
		dst = quote(dst, c.Inputs[p])
	}
	dst = append(dst, `},"state-checkpoint-markers":{`...)
	if len(c.Changelogs) > 0 {
		dst = quote(dst, KafkaBackend)
		dst = append(dst, `:{`...)
		var marker []byte
		for i, store := range stores(c) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = quote(dst, store)
			dst = append(dst, ':')
			marker = appendMarker(marker[:0], c.Changelogs[store])
			dst = quote(dst, string(marker))
		}
		dst = append(dst, '}')
	}
	return append(dst, `},"version":2}`...)
}

// appendMarker writes the position of one changelog (Samza:
// KafkaStateCheckpointMarker).
func appendMarker(dst []byte, l Changelog) []byte {
	dst = append(dst, `{"version":1,"changelog-ssp":{"system":`...)
	dst = quote(dst, l.Partition.System)
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(l.Partition.Partition), 10)
	dst = append(dst, `,"stream":`...)
	dst = quote(dst, l.Partition.Stream)
	dst = append(dst, `,"keyBucket":-1},"changelog-offset":`...)
	if l.Offset == "" {
		dst = append(dst, "null"...)
	} else {
		dst = quote(dst, l.Offset)
	}
	return append(dst, '}')
}

// Stores says which store a changelog belongs to; version 1 names only the
// changelog.
type Stores map[system.StreamID]string

// name is the store of a changelog; one that is not known is named by its
// stream.
func (s Stores) name(p system.Partition) string {
	if n, ok := s[p.StreamID()]; ok {
		return n
	}
	return p.StreamID().String()
}

// ParseV1 reads a checkpoint of version 1. Changelogs are told from inputs by
// the form of their offsets, or because stores knows them.
func ParseV1(b []byte, stores Stores) (Checkpoint, error) {
	c := Checkpoint{Inputs: map[system.Partition]string{}, Changelogs: map[string]Changelog{}}
	var entries map[string]struct {
		System    *string        `json:"system"`
		Stream    *string        `json:"stream"`
		Partition jsontext.Value `json:"partition"`
		Offset    *string        `json:"offset"`
	}
	if err := unmarshal(b, &entries); err != nil {
		return c, fmt.Errorf("checkpoint version 1: %w", err)
	}
	if entries == nil {
		return c, errors.New("checkpoint version 1: null")
	}
	for name, e := range entries {
		if e.System == nil || e.Stream == nil || e.Partition == nil {
			return c, fmt.Errorf("checkpoint version 1: %.200q has to have system, stream and partition", name)
		}
		number, err := parsePartition(strings.Trim(string(e.Partition), `"`))
		if err != nil {
			return c, fmt.Errorf("checkpoint version 1: %.200q: %w", name, err)
		}
		p := system.Partition{System: *e.System, Stream: *e.Stream, Partition: number}
		offset := ""
		if e.Offset != nil {
			offset = *e.Offset
		}
		id, changelogOffset, marked := strings.Cut(offset, ":")
		_, known := stores[p.StreamID()]
		switch {
		case marked:
			if changelogOffset == "null" {
				changelogOffset = ""
			}
			c.ID = max(c.ID, id)
			c.Changelogs[stores.name(p)] = Changelog{Partition: p, Offset: changelogOffset}
		case known:
			c.Changelogs[stores.name(p)] = Changelog{Partition: p, Offset: offset}
		default:
			c.Inputs[p] = offset
		}
	}
	return c, nil
}

// ParseV2 reads a checkpoint of version 2. A partition is split from the
// right, so that streams may have dots in their names, which Samza's own reader
// fails on. Positions of other backends than Kafka's are passed over.
func ParseV2(b []byte) (Checkpoint, error) {
	c := Checkpoint{Inputs: map[system.Partition]string{}, Changelogs: map[string]Changelog{}}
	var v struct {
		ID      *string                       `json:"checkpoint-id"`
		Inputs  map[string]*string            `json:"input-offsets"`
		Markers map[string]map[string]*string `json:"state-checkpoint-markers"`
	}
	if err := unmarshal(b, &v); err != nil {
		return c, fmt.Errorf("checkpoint version 2: %w", err)
	}
	if v.ID == nil {
		return c, errors.New("checkpoint version 2: it has no checkpoint-id")
	}
	c.ID = *v.ID
	for name, offset := range v.Inputs {
		p, err := parseInput(name)
		if err != nil {
			return c, fmt.Errorf("checkpoint version 2: input %.200q: %w", name, err)
		}
		c.Inputs[p] = ""
		if offset != nil {
			c.Inputs[p] = *offset
		}
	}
	for store, marker := range v.Markers[KafkaBackend] {
		if marker == nil {
			continue
		}
		l, err := parseMarker([]byte(*marker))
		if err != nil {
			return c, fmt.Errorf("checkpoint version 2: store %.200q: %w", store, err)
		}
		c.Changelogs[store] = l
	}
	return c, nil
}

func parseInput(name string) (system.Partition, error) {
	i, j := strings.IndexByte(name, '.'), strings.LastIndexByte(name, '.')
	if i < 0 || i == j {
		return system.Partition{}, errors.New("it is not of the form system.stream.partition")
	}
	n, err := parsePartition(name[j+1:])
	return system.Partition{System: name[:i], Stream: name[i+1 : j], Partition: n}, err
}

func parsePartition(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%.40q is no partition", text)
	}
	return int32(n), nil
}

func parseMarker(b []byte) (Changelog, error) {
	var m struct {
		SSP *struct {
			System    string `json:"system"`
			Stream    string `json:"stream"`
			Partition int32  `json:"partition"`
		} `json:"changelog-ssp"`
		Offset *string `json:"changelog-offset"`
	}
	if err := unmarshal(b, &m); err != nil {
		return Changelog{}, fmt.Errorf("changelog marker: %w", err)
	}
	if m.SSP == nil || m.SSP.Partition < 0 {
		return Changelog{}, fmt.Errorf("changelog marker %.200q: it has no usable changelog-ssp", b)
	}
	l := Changelog{Partition: system.Partition{System: m.SSP.System, Stream: m.SSP.Stream, Partition: m.SSP.Partition}}
	if m.Offset != nil {
		l.Offset = *m.Offset
	}
	return l, nil
}

// Record is one record of a checkpoint topic, for tools that show them.
type Record struct {
	Key
	// Deleted: the record removes the task's checkpoint.
	Deleted bool
	Checkpoint
}

// Decode reads a record of a checkpoint topic. A record of an unknown type has
// a key and nothing else. stores may be nil.
func Decode(key, value []byte, stores Stores) (Record, error) {
	k, err := ParseKey(key)
	r := Record{Key: k}
	if err != nil {
		return r, err
	}
	if r.Deleted = value == nil; r.Deleted {
		return r, nil
	}
	switch k.Version() {
	case 1:
		r.Checkpoint, err = ParseV1(value, stores)
	case 2:
		r.Checkpoint, err = ParseV2(value)
	}
	return r, err
}

// inputs are the partitions with an offset, in order.
func inputs(c Checkpoint) []system.Partition {
	ps := make([]system.Partition, 0, len(c.Inputs))
	for p, offset := range c.Inputs {
		if offset != "" {
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(a, b system.Partition) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Partition, b.Partition))
	})
	return ps
}

func stores(c Checkpoint) []string { return slices.Sorted(maps.Keys(c.Changelogs)) }

// quote writes a JSON string as Jackson does: only what has to be escaped is.
func quote(dst []byte, s string) []byte {
	q, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		// Only for bytes that are no UTF-8; they become U+FFFD, as in Java.
		q, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD")) // cannot fail now
	}
	return q
}

func unmarshal(b []byte, v any) error {
	return json.Unmarshal(b, v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
