package coordinator

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Locality keeps where each container runs, and writes it to the coordinator
// stream, for the job's next starts (Samza: LocalityManager, by which each
// container writes its own; the same messages). It is for jobs with
// job.host-affinity.enabled only: without it nothing is written.
type Locality struct {
	stream *Stream
	log    *slog.Logger

	mu      sync.Mutex
	hosts   map[string]string
	pending map[string]bool // containers whose host is not written yet
	wake    chan struct{}

	stop context.CancelFunc
	done chan struct{}
}

// Times of writing: between two tries, and for what is left at the end.
const (
	localityRetry = 2 * time.Second
	localityLast  = 2 * time.Second
)

// NewLocality begins with the hosts that the stream holds. The stream is its own
// until Close.
func NewLocality(s *Stream, hosts map[string]string, log *slog.Logger) *Locality {
	l := &Locality{
		stream: s, log: log, hosts: maps.Clone(hosts), pending: map[string]bool{},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if l.hosts == nil {
		l.hosts = map[string]string{}
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go l.run(ctx)
	return l
}

// Set says that a container runs on a host. It does not block: what cannot be
// written now is tried again, the newest host of each container.
func (l *Locality) Set(containerID, host string) {
	l.mu.Lock()
	l.hosts[containerID] = host
	l.pending[containerID] = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Hosts gives where each container runs, or ran last.
func (l *Locality) Hosts() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.hosts)
}

func (l *Locality) run(ctx context.Context) {
	defer close(l.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for l.write(ctx) != nil {
			t := time.NewTimer(localityRetry)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
		}
	}
}

// write writes what is pending. What fails is pending again.
func (l *Locality) write(ctx context.Context) error {
	l.mu.Lock()
	ids := slices.Sorted(maps.Keys(l.pending))
	messages := make([]Message, 0, len(ids))
	for _, id := range ids {
		messages = append(messages, SetHost(id, l.hosts[id]))
	}
	clear(l.pending)
	l.mu.Unlock()
	err := l.stream.Write(ctx, messages...)
	if err != nil {
		l.mu.Lock()
		for _, id := range ids {
			l.pending[id] = true
		}
		l.mu.Unlock()
		if ctx.Err() == nil {
			l.log.Warn("the hosts of the containers could not be written; trying again", "cause", err)
		}
	}
	return err
}

// Close writes what is pending still, for two seconds at most, and gives the
// stream back.
func (l *Locality) Close(ctx context.Context) {
	l.stop()
	<-l.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localityLast)
	defer cancel()
	if err := l.write(ctx); err != nil {
		l.log.Warn("the hosts of the containers could not be written: the next start may ask for other ones", "cause", err)
	}
}
