package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"heddle/config"
	"heddle/system"
)

// ReadAll gives the newest checkpoint of every task of a job, by task name. A
// topic or a folder that is not there is not made, and holds none. What cannot be
// read is passed over with a warning.
func ReadAll(ctx context.Context, c config.Config, systems map[string]system.System, o Options) (map[string]Checkpoint, error) {
	l, err := New(c, systems, o)
	if err != nil {
		return nil, err
	}
	switch l := l.(type) {
	case *Kafka:
		l.o.Lenient = true
		l.waits = o.Waits
		switch err := l.look(ctx); {
		case errors.Is(err, system.ErrNoStream):
			return l.all(), nil
		case err != nil:
			return nil, l.failed("read", err)
		}
		if o.Tasks != nil {
			if _, err := l.Inherit(ctx, o.Tasks, false); err != nil {
				return nil, err
			}
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
