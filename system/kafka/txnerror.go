package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"heddle/system"
)

// verdict is what a failure means for a transactional writer.
type verdict uint8

const (
	// tryAgain: it passes by itself.
	tryAgain verdict = iota
	// fenced: another writer has the id, or Kafka ended the transaction.
	fenced
	// final: nothing helps.
	final
)

// judge tells what a failure of a request means for its writer.
func judge(err error) verdict {
	var k *kerr.Error
	if !errors.As(err, &k) {
		switch {
		case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled), errors.Is(err, errTxnVersion):
			return final
		}
		return tryAgain // the network's
	}
	switch k {
	case kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState:
		return fenced
	case kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		return tryAgain
	case kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.DuplicateSequenceNumber:
		return final
	}
	if k.Retriable {
		return tryAgain
	}
	return final
}

// errTxnVersion: the brokers are older than transactions (Kafka 0.11).
var errTxnVersion = errors.New("the brokers are older than Kafka 0.11")

// txnError says what became of a transaction in words that name the way out.
// open is for how long the transaction was open.
func txnError(id string, err error, open, timeout time.Duration) error {
	switch {
	case judge(err) == fenced && open >= timeout:
		return fmt.Errorf("%w: the transaction of %q was open for %v and Kafka ended it after %v (three times task.commit.ms and task.commit.max.delay.ms, at least a minute): raise task.commit.ms, or let single calls of the task take less time: %w",
			system.ErrFenced, id, open.Round(time.Millisecond), timeout, err)
	case judge(err) == fenced:
		return fmt.Errorf("%w: another process has taken over the transactional id %q, and everything that was not committed; this one writes nothing more: %w",
			system.ErrFenced, id, err)
	case errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("%w: the user may not write under the transactional id %q: allow Write and Describe on TransactionalId with the prefix heddle- (Kafka's ACLs): %w", system.ErrNotAllowed, id, brokerError{err})
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("%w: the user may not begin transactions (Kafka's ACLs): %w", system.ErrNotAllowed, brokerError{err})
	case errors.Is(err, kerr.UnsupportedVersion), errors.Is(err, errTxnVersion), errors.Is(err, kerr.UnsupportedForMessageFormat):
		return fmt.Errorf("%w: Kafka has them since 0.11; update the brokers, or set heddle.processing.guarantee=at-least-once: %w", system.ErrNoTransactions, err)
	}
	return err
}
