package snapshot

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// tellEvery is how often the log hears how far a long download is.
const tellEvery = 5 * time.Second

// teller tells how far a download is.
type teller struct {
	k        *Keeper
	progress func(done, total int64)
	total    int64
	log      *slog.Logger
	began    time.Time
	next     atomic.Int64 // when the log hears again, in ns after began
}

func newTeller(k *Keeper, progress func(done, total int64), total int64, log *slog.Logger) *teller {
	t := &teller{k: k, progress: progress, total: total, log: log, began: k.o.Now()}
	t.next.Store(int64(tellEvery))
	return t
}

func (t *teller) at(done int64) {
	if t.progress != nil {
		t.progress(done, t.total)
	}
	took := t.k.o.Now().Sub(t.began)
	next := t.next.Load()
	if int64(took) < next || !t.next.CompareAndSwap(next, int64(took+tellEvery)) {
		return
	}
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(t.total-done) / max(rate, 1) * float64(time.Second))
	t.log.Info("downloading a snapshot", "bytes", done, "of", t.total, "per second", int64(rate), "left", left.Round(time.Second).String())
}
