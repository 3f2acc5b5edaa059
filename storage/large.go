package storage

import (
	"fmt"
	"log/slog"
	"math/bits"

	"heddle/system"
	"heddle/task"
)

// sizeRule is the rule about large records (Samza: LargeMessageSafeStore). It is
// asked before anything of a write is kept, so that a refused one leaves no
// trace; Samza drops after its cache, which then shows what the store never
// had.
type sizeRule struct {
	store string
	// value is the size above which a value is large, if drop or disallow is
	// set; 0: none is.
	value int64
	// drop passes large records over instead of refusing them.
	drop bool
	// record is what the changelog takes for key and value together, and why the
	// key that says so; 0: it is not known, or there is no changelog.
	record int64
	why    string

	dropped int64
	log     *slog.Logger
}

func newSizeRule(s Spec, log *slog.Logger) sizeRule {
	r := sizeRule{store: s.Name, log: log}
	if s.DropLarge || s.DisallowLarge {
		r.value = s.MaxMessageSize
		r.drop = s.DropLarge && !s.DisallowLarge // Samza's order
	}
	return r
}

// bound sets what the changelog takes.
func (r *sizeRule) bound(l system.RecordLimit) { r.record, r.why = l.Bytes, l.Why }

// unsure tells if a value that is kept as an object may be too large once it is
// encoded: only texts grow without bound, and JSON makes up to six bytes of
// one.
func (r *sizeRule) unsure(kept any, key string) bool {
	n := len(key) + 64
	if text, ok := kept.(string); ok {
		n += 6 * len(text)
	}
	return r.record > 0 && int64(n) > r.record || r.value > 0 && int64(n) > r.value
}

// judge says what is to be done with a write: nothing at all where drop is
// true.
func (r *sizeRule) judge(key string, value []byte) (drop bool, err error) {
	large := r.value > 0 && int64(len(value)) > r.value
	beyond := r.record > 0 && int64(len(key)+len(value)) > r.record
	switch {
	case !large && !beyond:
		return false, nil
	case r.drop:
		// Of many only some are told: each time that their number has doubled.
		if r.dropped++; bits.OnesCount64(uint64(r.dropped)) == 1 {
			r.log.Warn("large records were passed over", "records", r.dropped, "key bytes", len(key), "value bytes", len(value))
		}
		return true, nil
	case large:
		return false, fmt.Errorf("%w: its value has %d bytes, and stores.%s.changelog.max.message.size.bytes is %d with stores.%s.disallow.large.messages; split the value or raise the limit",
			task.ErrTooLarge, len(value), r.store, r.value, r.store)
	}
	return false, fmt.Errorf("%w: its key has %d bytes and its value %d, and the changelog takes %d together (%s); split the value, raise the limit, or set stores.%s.drop.large.messages",
		task.ErrTooLarge, len(key), len(value), r.record, r.why, r.store)
}
