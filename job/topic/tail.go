package topic

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"heddle/system"
	"heddle/task"
)

// Tail says which messages are printed and how.
type Tail struct {
	// From is "oldest", "newest" or an offset; "" is newest, or oldest with
	// UntilEnd.
	From string
	// UntilEnd ends at the end that each partition had at the start.
	UntilEnd bool
	// Max ends after so many messages; 0 is no bound.
	Max int64
	// JSON prints one object a line.
	JSON bool
	// KeySerde and ValueSerde read the messages; nil leaves bytes.
	KeySerde, ValueSerde task.Serde
}

// start gives the offset to begin with.
func (t Tail) start() (int64, error) {
	switch from := t.From; {
	case from == "oldest", from == "" && t.UntilEnd:
		return system.Oldest, nil
	case from == "newest", from == "":
		return system.End, nil
	default:
		n, err := strconv.ParseInt(from, 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("--from=%s: expected oldest, newest or an offset of 0 or above", from)
		}
		return n, nil
	}
}

// Check says what is wrong with t before anything is opened.
func (t Tail) Check() error {
	_, err := t.start()
	return err
}

// errEnough ends a reading when Max is reached.
var errEnough = errors.New("enough")

// Run prints the messages of the stream to w until ctx ends (which is no
// error), the end or the maximum is reached; it returns how many there were.
func (t Tail) Run(ctx context.Context, sys system.System, stream string, w io.Writer) (int64, error) {
	from, err := t.start()
	if err != nil {
		return 0, err
	}
	admin, err := sys.Admin()
	if err != nil {
		return 0, err
	}
	ends, err := admin.Offsets(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("topic tail %s.%s: %w", sys.Name(), stream, err)
	}
	p := &printer{tail: t, stream: stream, w: bufio.NewWriterSize(w, 64<<10)}
	if t.UntilEnd {
		err = p.untilEnd(ctx, sys, from, ends)
	} else {
		err = p.follow(ctx, sys, from, len(ends))
	}
	if errors.Is(err, errEnough) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("topic tail %s.%s: %w", sys.Name(), stream, err)
	}
	return p.printed, errors.Join(err, p.w.Flush())
}

type printer struct {
	tail    Tail
	stream  string
	w       *bufio.Writer
	printed int64
	line    []byte
}

func (p *printer) untilEnd(ctx context.Context, sys system.System, from int64, ends []system.Ends) error {
	for partition, e := range ends {
		first := from
		switch {
		case from == system.End:
			continue
		case from >= e.Next:
			continue
		case from >= 0 && from < e.Oldest:
			first = e.Oldest
		}
		source := p.source(sys, int32(partition))
		_, err := sys.Read(ctx, p.stream, int32(partition), first, e.Stable, func(ms []task.Message) error {
			for i := range ms {
				ms[i].Source = source
				if err := p.print(&ms[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) source(sys system.System, partition int32) *task.Source {
	return &task.Source{System: sys.Name(), Stream: p.stream, Partition: partition, KeySerde: p.tail.KeySerde, ValueSerde: p.tail.ValueSerde}
}

func (p *printer) follow(ctx context.Context, sys system.System, from int64, partitions int) error {
	c, err := sys.Consumer()
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range partitions {
		if err := c.Assign(p.source(sys, int32(i)), from); err != nil {
			return err
		}
	}
	for {
		batches, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		for _, b := range batches {
			for i := range b.Messages {
				if err := p.print(&b.Messages[i]); err != nil {
					return err
				}
			}
		}
		if err := p.w.Flush(); err != nil {
			return err
		}
	}
}

// object is one line of `topic tail --json`; the contract names its fields.
type object struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Key       any    `json:"key"`
	Value     any    `json:"value"`
}

// undecoded stands for bytes that the serde could not read.
type undecoded struct {
	Base64 string `json:"base64"`
}

func (p *printer) print(m *task.Message) error {
	if p.tail.JSON {
		line, err := json.Marshal(object{p.stream, m.Source.Partition, m.Offset, m.Timestamp,
			shown(m.KeyBytes, m.Key), shown(m.ValueBytes, m.Value)}, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", m.Source.Partition, m.Offset, err)
		}
		p.line = append(append(p.line[:0], line...), '\n')
	} else {
		p.line = fmt.Appendf(p.line[:0], "%s  %d@%d  %s  %s\n", time.UnixMilli(m.Timestamp).Format("15:04:05.000"),
			m.Source.Partition, m.Offset, text(m.KeyBytes, m.Source.KeySerde, m.Key), text(m.ValueBytes, m.Source.ValueSerde, m.Value))
	}
	if _, err := p.w.Write(p.line); err != nil {
		return err
	}
	p.printed++
	if p.tail.Max > 0 && p.printed >= p.tail.Max {
		return errEnough
	}
	return nil
}

// shown is a decoded key or value for JSON.
func shown(raw []byte, decode func() (any, error)) any {
	if raw == nil {
		return nil
	}
	if v, err := decode(); err == nil {
		switch v := v.(type) {
		case []byte:
		case string:
			if utf8.ValidString(v) {
				return v
			}
		default:
			return v
		}
	}
	return undecoded{base64.StdEncoding.EncodeToString(raw)}
}

// text is a key or value for people: "-" for none, the text or JSON as it
// stands, other serdes' values decoded.
func text(raw []byte, s task.Serde, decode func() (any, error)) string {
	if raw == nil {
		return "-"
	}
	if s == nil {
		return printable(raw)
	}
	v, err := decode()
	if err != nil {
		return printable(raw)
	}
	switch v := v.(type) {
	case string:
		return v
	case int32, int64, float64:
		return fmt.Sprint(v)
	}
	return printable(raw)
}

// printable is text as it is, and anything else quoted.
func printable(raw []byte) string {
	for _, r := range string(raw) {
		if r == '\uFFFD' || r < ' ' && r != '\t' {
			return strconv.Quote(string(raw))
		}
	}
	return string(raw)
}
