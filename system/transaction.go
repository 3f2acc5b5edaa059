package system

import (
	"context"
	"errors"
	"time"

	"heddle/task"
)

// Errors of transactional writers, wrapped with the writer's name.
var (
	// ErrFenced: another writer has taken over the transactional id, or the
	// system ended the transaction because it took too long. Nothing of this
	// writer becomes visible any more.
	ErrFenced = errors.New("fenced")
	// ErrNoTransactions: the system, or its servers, have no transactions.
	ErrNoTransactions = errors.New("no transactions")
	// ErrNotAllowed: the user has no right to write under the transactional id.
	ErrNotAllowed = errors.New("not allowed")
)

// Transactional is a System whose writers can make all that they wrote visible
// at once. A System without this interface has no transactions.
type Transactional interface {
	System
	// TakeOver makes the caller the one writer under the transactional id o.ID:
	// an earlier one, in whatever process, can write no more (its calls fail
	// with ErrFenced), and what it had open is ended, committed if that was
	// decided already, aborted otherwise. Only then TakeOver returns; what was
	// committed can be read from then on. It costs a few hundred bytes until the
	// first Send.
	//
	// The errors are ErrNoTransactions, ErrNotAllowed, ErrUnreachable, or wrong
	// configuration (a time-out that the system's servers do not allow).
	TakeOver(ctx context.Context, o TransactionOptions) (TransactionalOutbox, error)
	// CheckTransactions says what a TakeOver with these options would fail with,
	// as far as that can be known without taking over anything. It changes
	// nothing.
	CheckTransactions(ctx context.Context, o TransactionOptions) error
	// Cluster names the servers behind the system, so that two systems can be
	// told to be the same one.
	Cluster(ctx context.Context) (string, error)
	// ReadDecided hands to each, in order and in batches that it may keep, the
	// committed ones among the messages that mine picks, from the offset from (or
	// Oldest) to the end that the partition has at the moment of the call,
	// committed or not. Where Read ends at the oldest open transaction, whoever's
	// it is, this goes on behind it, and waits for nobody: picked messages of open
	// transactions are passed over, and open is the offset of the first of them, -1
	// if there was none. There is none for who has taken over the ids of all writers
	// of what mine picks.
	ReadDecided(ctx context.Context, stream string, partition int32, from int64, mine func(*task.Message) bool, each func([]task.Message) error) (open int64, err error)
}

// TransactionOptions say who takes over what.
type TransactionOptions struct {
	// ID is the transactional id.
	ID string
	// Name is the writer's, for messages.
	Name string
	// Timeout is for how long a transaction may be open before the system aborts
	// it.
	Timeout time.Duration
}

// TransactionalOutbox is an Outbox whose records become visible, to readers of
// committed records, only with Commit; a transaction begins with the first
// Send after the last. Flush and Acked are as ever: acknowledged is not yet
// committed.
type TransactionalOutbox interface {
	Outbox
	// Commit waits until everything sent is acknowledged, and ends the
	// transaction: it is decided that all of it becomes visible, within
	// milliseconds as a rule. After an error it is not known if it will; who
	// takes over finds out.
	Commit(ctx context.Context) error
	// Settle waits until what was committed is visible. It is for the end of a
	// writer, who may send nothing after it.
	Settle(ctx context.Context) error
	// Abort gives up what was sent since the last Commit, as far as it can be
	// done within ctx, and closes the outbox.
	Abort(ctx context.Context) error
}
