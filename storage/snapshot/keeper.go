package snapshot

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"heddle/storage"
	"heddle/storage/engine"
	"heddle/system/files"
)

const (
	// maxWaiting bounds the copies that wait for their upload. They hold files on
	// disk that the engine would have removed.
	maxWaiting = 256
	// downloads is how many files of all restores of a container come at a time.
	downloads = 8
	// closeAfter bounds the wait for an upload that does not end at once.
	closeAfter = 3 * time.Second
)

// Keeper keeps the snapshots of the stores of one container. It is a
// storage.Snapshots.
type Keeper struct {
	o      Options
	log    *slog.Logger
	meters meters
	writer string
	limit  *rate.Limiter
	slots  chan struct{} // of downloads

	life context.Context //nolint:containedctx // it is the keeper's life
	end  context.CancelFunc
	over chan struct{} // closed when the uploads have ended
	jobs chan job
	// seeks are the series of which the newest snapshot is to be found.
	seeks chan *series

	mu      sync.Mutex
	series  map[storage.Identity]*series
	scratch *scratch
	newest  time.Time // of all
	// failures are those of the file system in a row; nothing is asked of it
	// before again, for the error failure.
	failures int
	failure  error
	again    time.Time

	opening sync.Mutex
	fs      files.FileSystem
}

// job is a copy on its way.
type job struct {
	s     *series
	dir   string
	mark  storage.Mark
	taken time.Time
}

// New makes a keeper and starts its uploads. It touches no file system yet.
func New(o Options) *Keeper {
	k := newKeeper(o)
	go k.work()
	return k
}

// newKeeper makes one that uploads nothing by itself.
func newKeeper(o Options) *Keeper {
	o.Interval = cmp.Or(o.Interval, DefaultInterval)
	o.Retain = cmp.Or(o.Retain, DefaultRetain)
	if o.Now == nil {
		o.Now = time.Now
	}
	k := &Keeper{
		o: o, log: o.Logger, meters: newMeters(o.Metrics), limit: newLimit(o.BytesPerSecond),
		writer: strings.ToLower(rand.Text()[:13]), slots: make(chan struct{}, downloads),
		over: make(chan struct{}), jobs: make(chan job, maxWaiting), seeks: make(chan *series, maxWaiting), series: map[storage.Identity]*series{},
	}
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// Close ends what is under way; nothing waits to be uploaded afterwards. The
// next process goes on from what is complete.
func (k *Keeper) Close() error {
	k.end()
	late := time.NewTimer(closeAfter)
	defer late.Stop()
	select {
	case <-k.over:
	case <-late.C:
		return errors.New("snapshots: the upload does not end; it is left to itself")
	}
	k.mu.Lock()
	var err error
	if k.scratch != nil {
		err = k.scratch.close()
		k.scratch = nil
	}
	k.mu.Unlock()
	k.opening.Lock()
	defer k.opening.Unlock()
	if k.fs != nil {
		err = errors.Join(err, k.fs.Close())
		k.fs = nil
	}
	return err
}

// Take is storage.Snapshots'.
func (k *Keeper) Take(_ context.Context, id storage.Identity, e engine.OnDisk) error {
	now := k.o.Now()
	k.mu.Lock()
	s := k.of(id, now)
	idle := s.busy || now.Before(s.due) || now.Before(k.again) || len(k.jobs) == maxWaiting || k.life.Err() != nil
	k.mu.Unlock()
	if idle {
		return nil
	}
	mark, ok, err := markOf(e)
	if err != nil || !ok {
		return k.postpone(s, now, err)
	}
	k.mu.Lock()
	if !s.lastAt.IsZero() && unchanged(s.last, mark, now.Sub(s.lastAt)) {
		s.due = nextDue(now, phase(id, k.o.Interval), k.o.Interval)
		k.mu.Unlock()
		return nil
	}
	dir, err := k.copyFolder(now)
	k.mu.Unlock()
	if err != nil {
		return k.postpone(s, now, err)
	}
	if err := e.Copy(dir); err != nil {
		return errors.Join(k.postpone(s, now, fmt.Errorf("copy of the store: %w", err)), os.RemoveAll(dir))
	}
	k.mu.Lock()
	s.busy = true
	k.mu.Unlock()
	select {
	case k.jobs <- job{s: s, dir: dir, mark: mark, taken: now}:
		k.meters.waiting.Set(float64(len(k.jobs)))
		return nil
	default: // other tasks were faster; it stays due
		k.mu.Lock()
		s.busy = false
		k.mu.Unlock()
		return os.RemoveAll(dir)
	}
}

// markOf is what the engine says of its state; ok is false if it is none that a
// restore could use.
func markOf(e engine.OnDisk) (m storage.Mark, ok bool, err error) {
	b, err := e.Mark()
	if err != nil || len(b) == 0 {
		return m, false, err
	}
	if m, err = storage.ParseMark(b); err != nil {
		return m, false, err
	}
	return m, !m.Between && !m.Beside, nil
}

// copyFolder needs k.mu.
func (k *Keeper) copyFolder(now time.Time) (string, error) {
	if k.scratch == nil {
		s, err := openScratch(k.o.Scratch, now)
		if s == nil {
			return "", err
		}
		if err != nil {
			k.log.Warn("copies that a process left behind cannot be removed", "folder", k.o.Scratch, "error", err)
		}
		k.scratch = s
	}
	return k.scratch.next(), nil
}

// postpone makes a store wait after a failure on this machine; err may be nil.
func (k *Keeper) postpone(s *series, now time.Time, err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		s.due = nextDue(now, phase(s.id, k.o.Interval), k.o.Interval)
		return nil
	}
	s.failures++
	s.due = now.Add(backoff(s.failures))
	k.meters.failed.Add(1)
	return err
}

// Newest is storage.Snapshots'. What another process took before this one is
// looked for when it is first asked for.
func (k *Keeper) Newest(id storage.Identity) time.Time {
	now := k.o.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.of(id, now)
	if s.newest.IsZero() && !s.sought && !now.Before(k.again) {
		select {
		case k.seeks <- s:
			s.sought = true
		default: // the next question
		}
	}
	return s.newest
}

// know notes when a snapshot was taken. It needs k.mu.
func (k *Keeper) know(s *series, taken time.Time) {
	if taken.After(s.newest) {
		s.newest = taken
	}
	if taken.After(k.newest) {
		k.newest = taken
		k.meters.last.Set(float64(taken.UnixMilli()))
	}
}

func (k *Keeper) logger(id storage.Identity) *slog.Logger {
	return k.log.With("store", id.Store, "task", id.Task)
}
