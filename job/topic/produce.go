package topic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"heddle/system"
)

// MaxLine is the longest line that Produce takes, in bytes.
const MaxLine = 16 << 20

// Lines says how lines become messages.
type Lines struct {
	// KeyField, if set, is the field of each line, a JSON object, whose value
	// becomes the message's key: a string as it is, anything else as JSON text.
	KeyField string
	// Name says where the lines come from, for errors.
	Name string
	// Progress, if set, is told now and then, and at the end, how many messages
	// and bytes were handed over.
	Progress func(messages, bytes int64)
}

// Produce appends the lines of r to the stream, bytes as they are without the
// line's end; empty lines are left out. It returns how many messages the system
// acknowledged: all that were sent, unless there is an error.
func Produce(ctx context.Context, sys system.System, stream string, r io.Reader, l Lines) (int64, error) {
	p, err := sys.Producer()
	if err != nil {
		return 0, err
	}
	out, err := p.Outbox("topic produce")
	if err != nil {
		return 0, err
	}
	defer out.Close()
	if _, err := out.Partitions(ctx, stream); err != nil {
		return 0, fmt.Errorf("topic produce to %s.%s: %w", sys.Name(), stream, err)
	}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), MaxLine)
	var line, sent, size int64
	for in.Scan() {
		line++
		text := bytes.TrimSuffix(in.Bytes(), []byte("\r"))
		if len(text) == 0 {
			continue
		}
		rec := system.Record{Stream: stream, Value: bytes.Clone(text)}
		if l.KeyField != "" {
			key, err := field(rec.Value, l.KeyField)
			if err != nil {
				return sent, errors.Join(fmt.Errorf("%s, line %d: %w", l.Name, line, err), out.Flush(ctx))
			}
			rec.Key, rec.PartitionKey = []byte(key), key
		}
		if err := out.Send(rec); err != nil {
			return sent, fmt.Errorf("topic produce to %s.%s: %s, line %d: %w", sys.Name(), stream, l.Name, line, err)
		}
		sent++
		size += int64(len(rec.Value))
		if l.Progress != nil && sent%10_000 == 0 {
			l.Progress(sent, size)
		}
		if sent%1000 == 0 && ctx.Err() != nil {
			return sent, ctx.Err()
		}
	}
	if err := in.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line is longer than %d bytes", MaxLine)
		}
		return sent, errors.Join(fmt.Errorf("%s, line %d: %w", l.Name, line+1, err), out.Flush(ctx))
	}
	if err := out.Flush(ctx); err != nil {
		return sent, fmt.Errorf("topic produce to %s.%s: %w", sys.Name(), stream, err)
	}
	if l.Progress != nil {
		l.Progress(sent, size)
	}
	return sent, nil
}

// field reads one field of a JSON object as a key.
func field(line []byte, name string) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return "", fmt.Errorf("the key is to be the field %q of a JSON object, but the line is none: %w", name, err)
	}
	raw, ok := object[name]
	if !ok {
		return "", fmt.Errorf("there is no field %q to be the key", name)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}
