package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// live writes to the input at an even pace.
type live struct {
	cancel  context.CancelFunc
	done    chan struct{}
	err     error
	written int64 // records of the input in all
}

func (b *bench) live(ctx context.Context, w workload, in string) (*live, error) {
	client, err := b.kafka.writer(in)
	if err != nil {
		return nil, err
	}
	until, cancel := context.WithCancel(ctx)
	l := &live{cancel: cancel, done: make(chan struct{}), written: w.records}
	go func() {
		defer close(l.done)
		defer client.Close()
		const tick = 20 * time.Millisecond
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		failed := make(chan error, 1)
		for {
			select {
			case <-until.Done():
				l.err = client.Flush(ctx)
				select {
				case err := <-failed:
					l.err = err
				default:
				}
				return
			case <-ticker.C:
			}
			for range liveRate / int(time.Second/tick) {
				client.Produce(ctx, w.record(l.written), func(_ *kgo.Record, err error) {
					if err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				})
				l.written++
			}
		}
	}()
	return l, nil
}

// end stops and tells whether all was written.
func (l *live) end() error {
	l.cancel()
	<-l.done
	return l.err
}

const (
	// liveRate is how many records a second come in while processes are killed.
	liveRate = 5000
	// settle is how long a process runs before it is killed: some commits. Each next one
	// runs longer by a part of YARN's heartbeats, by which processes start: otherwise all
	// would be killed at about the same moment between two of them.
	settle, settleStep, settleRound = 3 * time.Second, 370 * time.Millisecond, time.Second
	// signLimit is how long a sign is waited for.
	signLimit = 5 * time.Minute
)
