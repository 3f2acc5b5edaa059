package storage

import (
	"strings"
	"time"

	"heddle/storage/engine"
)

// sweeper decides when entries that have ended are looked for, to take them out
// of the engine. One round goes over the whole store, a piece with each commit,
// and a round begins half a TTL after the one before began: what has ended is
// gone from the engine one TTL after its end at the latest, as long as the task
// commits. It has no clock.
type sweeper struct {
	pause time.Duration // between the beginnings of two rounds

	running     bool
	began, last time.Time
	cursor      string
	seen        int // entries, in this round
	entries     int // in the round before
}

// minPiece is how many entries are looked at with a commit at least.
const minPiece = 4096

func newSweeper(x *expiry) *sweeper {
	if x == nil {
		return nil
	}
	return &sweeper{pause: time.Duration(x.ttl) * time.Millisecond / 2}
}

// piece is how many entries are to be looked at now.
func (s *sweeper) piece(now time.Time) int {
	switch {
	case s.began.IsZero(): // nothing that is there ends sooner than a TTL after its start
		s.began = now
		return 0
	case !s.running && now.Sub(s.began) < s.pause:
		return 0
	case !s.running:
		s.running, s.began, s.last, s.cursor, s.seen = true, now, now, "", 0
		return minPiece
	}
	// Fast enough for a round to take half of the pause.
	share := float64(now.Sub(s.last)) / float64(max(s.pause/2, 1))
	s.last = now
	return max(minPiece, int(share*float64(max(s.entries, s.seen))))
}

// looked tells how far it came: the key to go on from, "" at the end.
func (s *sweeper) looked(seen int, next string) {
	s.seen += seen
	if s.cursor = next; next == "" {
		s.running, s.entries = false, s.seen
	}
}

// sweep removes a piece of what has ended from the engine. Nobody sees a
// difference, so nothing of it goes to the changelog, whose records end by
// themselves, and the mark stays. Nothing may be pending.
func (st *opened) sweep(now time.Time) error {
	if st.sweeper == nil {
		return nil
	}
	n := st.sweeper.piece(now)
	if n == 0 {
		return nil
	}
	it := st.engine.Range(st.sweeper.cursor, "")
	var ended []engine.Write
	next, seen := "", 0
	for it.Next() {
		if seen == n {
			next = strings.Clone(it.Key())
			break
		}
		seen++
		_, at, err := unstamp(it.Key(), it.Value())
		if err != nil {
			_ = it.Close() // the damage is the error
			return err
		}
		if st.expiry.ended(at, now.UnixMilli()) {
			ended = append(ended, engine.Write{Key: strings.Clone(it.Key())})
		}
	}
	if err := it.Close(); err != nil {
		return err
	}
	for len(ended) > 0 {
		n := min(len(ended), maxApply)
		if err := st.engine.Apply(ended[:n], nil); err != nil {
			return err
		}
		ended = ended[n:]
		st.swept += int64(n)
	}
	st.sweeper.looked(seen, next)
	return nil
}
