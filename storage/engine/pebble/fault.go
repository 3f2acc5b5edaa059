package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// fault holds the first error of the work in the background. It is the logger
// and the listener of the database, which tells it of such errors there only.
type fault struct {
	dir string
	log *slog.Logger

	// fence is called before the error is known if it leaves open what is on
	// disk.
	fence func()
	// pause is called after each error but the first: the database repeats at once,
	// and some of what fails asks no file system.
	pause func()

	once sync.Once
	hit  chan struct{} // closed once err is set
	err  error
}

func newFault(dir string, log *slog.Logger) *fault {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &fault{dir: dir, log: log, hit: make(chan struct{})}
}

// set keeps the first error. Work in the background touches no files but the
// store's own: one that is missing was removed by somebody else.
func (f *fault) set(err error) {
	f.once.Do(func() {
		if errors.Is(err, fs.ErrNotExist) && kindOf(err) == nil {
			err = fmt.Errorf("%w: somebody has removed some: %w", engine.ErrCorrupt, err)
		}
		f.err = failed("background work", f.dir, err)
		close(f.hit)
		// Who uses the store is told, and says what follows from it.
		f.log.Info("a store on disk fails", "error", f.err)
	})
}

// get is the error; nil if there was none.
func (f *fault) get() error {
	select {
	case <-f.hit:
		return f.err
	default:
		return nil
	}
}

// listener makes the database tell f of what goes wrong, and wake of what was
// finished.
func (f *fault) listener(wake func()) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if f.get() != nil {
				f.pause()
			}
			f.fence()
			f.set(err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			f.set(fmt.Errorf("%w: %s: %w", engine.ErrCorrupt, info.Path, info.Details))
		},
		FlushEnd:      func(pebble.FlushInfo) { wake() },
		CompactionEnd: func(pebble.CompactionInfo) { wake() },
	}
}

// Infof is pebble.Logger's; what goes well is not told.
func (f *fault) Infof(string, ...any) {}

// Errorf is pebble.Logger's.
func (f *fault) Errorf(format string, args ...any) {
	f.log.Warn("a store on disk", "dir", f.dir, "message", fmt.Sprintf(format, args...))
}

// Fatalf is pebble.Logger's. The process is not ended: every call of Fatalf that
// the outside world can bring about is followed by the return of the error,
// and the file system refuses what would change the folder from here on.
func (f *fault) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		cause, ok := a.(error)
		switch {
		case ok && err.Error() == cause.Error():
			err = cause // the format said nothing more
		case ok:
			err = fmt.Errorf("%s: %w", format, cause)
		}
	}
	f.fence()
	f.set(err)
}
