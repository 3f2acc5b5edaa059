package storage

import (
	"fmt"

	"heddle/task"
)

// GetAll is task.Store's.
func (s *store) GetAll(keys []any) ([]any, error) {
	s.count.getAlls++
	values := make([]any, len(keys))
	for i, k := range keys {
		var err error
		if values[i], err = s.Get(k); err != nil {
			return nil, fmt.Errorf("entry %d of %d: %w", i+1, len(keys), err)
		}
	}
	return values, nil
}

// change is a write that was found to be right.
type change struct {
	key  string
	kept any
	raw  []byte
	drop bool
}

// PutAll is task.Store's.
func (s *store) PutAll(entries []task.Entry) error {
	if s.err != nil {
		return s.err
	}
	s.count.putAlls++
	changes := make([]change, len(entries))
	for i, e := range entries {
		if err := s.check(&changes[i], e); err != nil {
			return fmt.Errorf("entry %d of %d: %w", i+1, len(entries), err)
		}
	}
	for _, c := range changes {
		if c.drop {
			continue
		}
		if err := s.set(c.key, c.kept, c.raw); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) check(c *change, e task.Entry) error {
	key, err := s.encode(e.Key)
	if err != nil {
		return s.failed("put", err)
	}
	c.key = string([]byte(key)) // the buffer is the next entry's
	if e.Value == nil {
		s.count.deletes++
		return nil
	}
	s.count.puts++
	var raw []byte
	if c.kept, raw, c.drop, err = s.prepare(c.key, e.Value); raw != nil {
		c.raw = append([]byte{}, raw...)
	}
	return err
}
