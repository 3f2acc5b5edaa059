package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// passingPatience is for how long one of Kafka's passing errors is waited out.
	passingPatience = 15 * time.Second
	// outagePatience is for how long a question is repeated that no broker answers:
	// a broker that is started anew takes ten seconds, and longer on a busy machine.
	outagePatience = time.Minute
)

// patiently repeats a question that fails with one of Kafka's passing errors, or
// because no broker answers, within bounds: Kafka was reached before, so that it
// will be back, as a rule, and a start need not fail because a broker is started
// anew just then. The client tries again by itself, but not on a connection that is
// closed at once, as a broker on its way down does; the log of outages tells of the
// wait. When that has lasted too long the error is a *ConnectError.
func (l *link) patiently(ctx context.Context, ask func() error) error {
	began := time.Now()
	for try := 1; ; try++ {
		err := ask()
		tried := time.Since(began)
		switch away := outage(err); {
		case err == nil:
			return nil
		case away && ctx.Err() != nil:
			return err
		case away && tried > outagePatience:
			return l.failure(err, tried, false)
		case !away && (!passes(err) || tried > passingPatience):
			return err
		}
		if err := pause(ctx, min(time.Duration(try)*50*time.Millisecond, time.Second)); err != nil {
			return err
		}
	}
}

// patient is patiently for a question with an answer.
func patient[T any](ctx context.Context, l *link, ask func() (T, error)) (answer T, err error) {
	err = l.patiently(ctx, func() (err error) {
		answer, err = ask()
		return err
	})
	return answer, err
}

// passes tells Kafka's passing errors; that a topic is not known is an answer.
func passes(err error) bool {
	var k *kerr.Error
	return errors.As(err, &k) && k.Retriable && !errors.Is(err, kerr.UnknownTopicOrPartition)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
