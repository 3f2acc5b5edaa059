package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"heddle/config"
	"heddle/system"
)

// ReadAll gives the newest checkpoint of every task of a job, by task name, and
// changes nothing: a topic or a folder that is not there holds none. What
// cannot be read is passed over with a warning.
func ReadAll(ctx context.Context, c config.Config, systems map[string]system.System, o Options) (map[string]Checkpoint, error) {
	l, err := New(c, systems, o)
	if err != nil {
		return nil, err
	}
	switch l := l.(type) {
	case *Kafka:
		l.o.Lenient = true
		read := l.read
		if l.waits = o.Settled; l.waits != nil {
			read = l.readSettled
		}
		if err := read(ctx); err != nil && !errors.Is(err, system.ErrNoStream) {
			return nil, l.failed("read", err)
		}
		return l.all(), nil
	case *Files:
		if err := l.read(); err != nil {
			return nil, err
		}
		return l.all(), nil
	}
	return nil, fmt.Errorf("task.checkpoint.factory=none: no checkpoints are kept")
}

func (k *Kafka) all() map[string]Checkpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.last)
}

func (f *Files) all() map[string]Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.last)
}
