package storage

import (
	"bytes"
	"context"
	"errors"

	"heddle/task"
)

// maxChanged bounds what changes keeps in mind, in bytes: that of a million short
// keys. Several stores may be restored at a time.
const (
	maxChanged      = 64 << 20
	changedOverhead = 48 // about what the map takes of a key besides its bytes
)

var errEnough = errors.New("enough was read")

// changed are the keys whose last record so far leaves another value.
type changed struct {
	keys  map[string]struct{}
	bytes int
}

// note notes whether the newest record of a key makes a difference; false: it is
// too much to keep in mind.
func (c *changed) note(key []byte, differs bool) bool {
	_, there := c.keys[textOf(key)]
	switch {
	case differs == there:
	case differs:
		c.keys[string(key)] = struct{}{}
		c.bytes += len(key) + changedOverhead
	default:
		delete(c.keys, textOf(key))
		c.bytes -= len(key) + changedOverhead
	}
	return c.bytes <= maxChanged
}

// changes tells if the records in [from, to), applied to the restored state,
// leave another one.
func (r *restorer) changes(ctx context.Context, from, to int64) (bool, error) {
	r.p.Undoing = true
	keyless := r.keyless
	defer func() { r.keyless = keyless }() // undo counts them
	c := changed{keys: map[string]struct{}{}}
	var value []byte
	err := r.read(ctx, from, to, func(m *task.Message) error {
		var ok bool
		var err error
		if value, ok, err = r.st.state.Get(value[:0], textOf(m.KeyBytes)); err != nil {
			return err
		}
		same := ok == (m.ValueBytes != nil) && bytes.Equal(value, m.ValueBytes)
		if !c.note(m.KeyBytes, !same) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	return len(c.keys) > 0, nil
}

func (r *restorer) undo(ctx context.Context, from, to int64) error {
	err := r.read(ctx, from, to, func(m *task.Message) error {
		key := string(m.KeyBytes)
		// The outbox holds on to the value, so each has memory of its own.
		value, ok, err := r.st.state.Get([]byte{}, key)
		if err != nil {
			return err
		}
		if !ok {
			value = nil
		}
		at := int64(0)
		if ok && r.st.living != nil {
			at = r.st.living.at // it ends when it would have ended
		}
		r.p.Undone++
		r.p.UndoneBytes += int64(len(m.KeyBytes) + len(m.ValueBytes))
		return r.st.log.write(key, value, at)
	})
	if err != nil {
		return err
	}
	return r.st.log.out.Flush(ctx)
}
