package storage

import (
	"fmt"
	"time"

	"heddle/task"
)

// quota bounds what the store of one task takes (heddle.stores.NAME.quota.bytes):
// on disk, or in memory where its engine lies there, with what is pending. It is
// about right, not to the byte: an engine on disk holds a replaced value until
// it compacts, and files are looked at only now and then.
type quota struct {
	limit int64 // 0: none
	// size is what was measured last, added what was put since then, as if nothing
	// were replaced.
	size, added int64
	warned      bool
}

const (
	// warnAt and calmAt are percentages of the quota between which a warning is
	// not repeated.
	warnAt, calmAt = 80, 70
	// measureEvery is how often the size of a store is looked at.
	measureEvery = 10 * time.Second
)

// admits tells if n more bytes fit. It measures only when what is known of the
// size does not answer.
func (q *quota) admits(n int64, measure func() (int64, error)) (bool, error) {
	if q.size+q.added+n <= q.limit {
		q.added += n
		return true, nil
	}
	size, err := measure()
	if err != nil {
		return false, err
	}
	q.size, q.added = size, 0
	if size+n > q.limit {
		return false, nil
	}
	q.added = n
	return true, nil
}

// measured tells if a warning is due for a size.
func (q *quota) measured(size int64) (warn bool) {
	q.size, q.added = size, 0
	switch {
	case q.limit == 0 || size < q.limit/100*calmAt:
		q.warned = false
	case size >= q.limit/100*warnAt && !q.warned:
		q.warned = true
		return true
	}
	return false
}

// admit refuses a put of n bytes that the quota has no room for.
func (s *store) admit(key string, n int) error {
	if s.quota.limit == 0 {
		return nil
	}
	ok, err := s.quota.admits(int64(n), s.measure)
	if err != nil {
		return s.broken("measure", err)
	}
	if !ok {
		return s.failed("put", fmt.Errorf("key %s: %w: it takes %d bytes and may take %d (heddle.stores.%s.quota.bytes); delete entries, or raise the quota",
			s.shown(key), task.ErrOverQuota, s.quota.size, s.quota.limit, s.name))
	}
	return nil
}

// measure is what the store takes now, with what the cache has not handed down.
func (s *store) measure() (int64, error) {
	if s.cache != nil {
		if err := s.write(); err != nil {
			return 0, err
		}
	}
	return s.size(), nil
}

// keptBytes is about what a value takes that was not encoded.
func keptBytes(v any) int {
	if text, ok := v.(string); ok {
		return len(text)
	}
	return 8
}
