package pebble

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"heddle/storage/engine"
)

// opening is a database that is being opened. On a full disk pebble.Open repeats for
// ever what it cannot write, so nobody waits for it without listening to the fault.
type opening struct {
	db   *pebble.DB
	err  error
	done chan struct{}
}

// afterFault is how long pebble.Open has, after a fault, to return by itself.
const afterFault = time.Second

// open begins to open the database in dir.
func open(dir string, p *pebble.Options) *opening {
	o := &opening{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		// Damage is found by checksums; what gets past them must not end the process.
		defer func() {
			if r := recover(); r != nil {
				o.err = fmt.Errorf("%w: %v", engine.ErrCorrupt, r)
			}
		}()
		o.db, o.err = pebble.Open(dir, p)
	}()
	return o
}

// wait tells if it has come to an end.
func (o *opening) wait(f *fault) bool {
	select {
	case <-o.done:
		return true
	case <-f.hit:
	}
	limit := time.NewTimer(afterFault)
	defer limit.Stop()
	select {
	case <-o.done:
		return true
	case <-limit.C:
		return false
	}
}

// abandon calls release once it has come to an end after all.
func (o *opening) abandon(release func()) {
	go func() {
		<-o.done
		if o.db != nil {
			_ = o.db.Close() // nobody has written to it
		}
		release()
	}()
}
