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
	"heddle/task"
)

// Options say where snapshots lie and when they are taken.
type Options struct {
	// Open opens the file system; it is called when it is first needed, and again
	// after it failed. The keeper closes it.
	Open func(ctx context.Context) (files.FileSystem, error)
	// Root is the folder in it below which all snapshots lie
	// (heddle.snapshot.uri).
	Root string
	// Scratch is a folder on the disk of the stores for copies that are not
	// uploaded yet, which other processes may use at the same time.
	Scratch string
	// Interval is the time between two snapshots of a store
	// (heddle.snapshot.interval.ms); 0 stands for 10 minutes.
	Interval time.Duration
	// Retain is how many complete snapshots are kept (heddle.snapshot.retain); 0
	// stands for 2.
	Retain int
	// BytesPerSecond bounds uploads, and the reading of local files for their
	// checksums before them (heddle.snapshot.bytes.per.second); 0: no bound.
	BytesPerSecond int64
	// Metrics is the container's registry.
	Metrics task.Metrics
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Defaults of Options.
const (
	DefaultInterval = 10 * time.Minute
	DefaultRetain   = 2
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

	mu      sync.Mutex
	series  map[storage.Identity]*series
	scratch *scratch
	// failures are those of the file system in a row; nothing is asked of it
	// before again, for the error failure.
	failures int
	failure  error
	again    time.Time

	opening sync.Mutex
	fs      files.FileSystem
}

// series is what is known of the snapshots of one store of one task.
type series struct {
	id storage.Identity

	// Under the keeper's lock.
	due      time.Time
	busy     bool // a copy waits or is uploaded
	failures int
	last     storage.Mark
	lastAt   time.Time // of the last upload; zero: none yet
	newest   time.Time // of the newest that is known; zero: none is

	// Of the goroutine that uploads, but for a restore that was before it.
	mu       sync.Mutex
	sums     map[string]summed // by name in the engine's folder
	bad      map[string]bool   // found damaged
	decoded  map[string][]File // by the manifest's name
	sequence int64             // of the newest manifest when we wrote, or left out, one; 0: never
}

// summed is a file whose content was read once.
type summed struct {
	info os.FileInfo
	sum  string
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
		over: make(chan struct{}), jobs: make(chan job, maxWaiting), series: map[storage.Identity]*series{},
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

// of needs k.mu.
func (k *Keeper) of(id storage.Identity, now time.Time) *series {
	s := k.series[id]
	if s == nil {
		s = &series{
			id: id, due: nextDue(now, phase(id, k.o.Interval), k.o.Interval),
			sums: map[string]summed{}, bad: map[string]bool{}, decoded: map[string][]File{},
		}
		k.series[id] = s
	}
	return s
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

// Newest is storage.Snapshots'.
func (k *Keeper) Newest(id storage.Identity) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.series[id]; s != nil {
		return s.newest
	}
	return time.Time{}
}

// fileSystem opens the file system, or gives the one that is open. It fails at
// once while the file system is given time: each task of a container would wait
// for it.
func (k *Keeper) fileSystem(ctx context.Context) (files.FileSystem, error) {
	k.opening.Lock()
	defer k.opening.Unlock()
	if err := cmp.Or(k.life.Err(), k.away()); err != nil {
		return nil, err
	}
	if k.fs != nil {
		return k.fs, nil
	}
	fs, err := k.o.Open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		k.failed(err)
		return nil, err
	}
	k.fs = fs
	return fs, nil
}

// away is why nothing is asked of the file system now; nil: nothing.
func (k *Keeper) away() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if left := k.again.Sub(k.o.Now()); k.failures > 0 && left > 0 {
		return &awayError{left, k.failure}
	}
	return nil
}

// awayError: the file system failed just now, and is not asked.
type awayError struct {
	left time.Duration
	last error
}

// Error is error's.
func (a *awayError) Error() string {
	return fmt.Sprintf("the file system is tried again in %s; it failed: %v", a.left.Round(time.Second), a.last)
}

// Unwrap is errors'.
func (a *awayError) Unwrap() error { return a.last }

// failed notes a failure of the file system.
func (k *Keeper) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.Now()
	if now.Before(k.again) {
		return // of the same time
	}
	k.failures++
	k.failure = err
	k.again = now.Add(backoff(k.failures))
}

// answered notes that the file system works; it tells if it did not before.
func (k *Keeper) answered() (again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	again = k.failures > 0
	k.failures, k.failure, k.again = 0, nil, time.Time{}
	return again
}

func (k *Keeper) logger(id storage.Identity) *slog.Logger {
	return k.log.With("store", id.Store, "task", id.Task)
}
