package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/system"
)

// exactlyOnce is what a container needs beside a task's own transactions; nil
// stands for at-least-once.
type exactlyOnce struct {
	// home is the system with the checkpoints; all that a task writes goes to its
	// cluster.
	home system.Transactional
	log  checkpoint.Transactional

	mu       sync.Mutex
	clusters map[string]string // of systems, by name
}

// newExactlyOnce checks that exactly-once can be kept, as far as it is known
// before anything is connected. Errors are wrong configuration.
func newExactlyOnce(o Options) (*exactlyOnce, error) {
	log, ok := o.Checkpoints.(checkpoint.Transactional)
	if !ok {
		return nil, wrongGuarantee(o.Config, "checkpoints that are part of a transaction; set task.checkpoint.factory=kafka")
	}
	name, err := config.CheckpointSystem(o.Config)
	if err != nil {
		return nil, err
	}
	sys, err := o.System(name)
	if err != nil {
		return nil, err
	}
	home, ok := sys.(system.Transactional)
	if !ok {
		return nil, wrongGuarantee(o.Config, fmt.Sprintf("transactions, which the system %q has not", name))
	}
	return &exactlyOnce{home: home, log: log, clusters: map[string]string{}}, nil
}

func wrongGuarantee(c config.Config, needs string) error {
	return wrongly(c, "exactly-once needs "+needs)
}

func wrongly(c config.Config, problem string) error {
	key := config.HeddleGuarantee.Name()
	return &config.Error{Key: key, Origin: c.Origin(key), Problem: problem, Hint: "or set it to at-least-once"}
}

// takeOver makes each task the one writer under its transactional id: who wrote
// before it, in whatever container, can write no more, and what that one left
// open is ended. Only then it is known which checkpoint is the newest.
func (c *Container) takeOver() error {
	if c.exactly == nil {
		return c.inherit()
	}
	timeout, err := config.TransactionTimeout(c.opts.Config)
	if err != nil {
		return err
	}
	began := c.now()
	err = c.each(takeOverParallel, func(t *instance) error {
		box, err := c.exactly.home.TakeOver(c.begun, system.TransactionOptions{
			ID: config.TransactionalID(c.opts.Config, t.name), Name: fmt.Sprintf("task %q", t.name), Timeout: timeout,
		})
		if err != nil {
			if errors.Is(err, system.ErrNoTransactions) || errors.Is(err, system.ErrNotAllowed) {
				return wrongly(c.opts.Config, "exactly-once cannot be kept: "+err.Error())
			}
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		t.tx = box
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.exactly.log.Refresh(c.begun, c.opts.Model.TaskNames()); err != nil {
		return err
	}
	c.log.Info("transactions taken over", "tasks", len(c.tasks), "time-out", timeout, "took", c.now().Sub(began).Round(time.Millisecond))
	return nil
}

// inherit ends what a run of the job that was exactly-once left open: a container
// of it was killed within a commit, or was frozen and may go on. Otherwise its
// changelogs and checkpoints would be hidden, with what this run writes behind
// them, until Kafka aborts what is open, after a minute; or the old run would
// commit beside this one.
func (c *Container) inherit() error {
	log, ok := c.opts.Checkpoints.(checkpoint.Transactional)
	if !ok {
		return nil
	}
	took, err := log.Inherit(c.begun, c.opts.Model.TaskNames(), c.openChangelogs())
	if err != nil || !took {
		return err
	}
	return c.findChangelogs() // their ends are others now
}

// openChangelogs tells if a transaction is open on a changelog's partition of one of
// the tasks. What cannot be asked for here is an error of the restore.
func (c *Container) openChangelogs() bool {
	for _, s := range c.opts.Stores {
		if !s.Logged() {
			continue
		}
		ends, err := c.changelogEnds(c.begun, s.Changelog)
		if err != nil {
			continue
		}
		for _, t := range c.opts.Model.Tasks {
			if p := int(t.ChangelogPartition); p < len(ends) && ends[p].Stable < ends[p].Next {
				return true
			}
		}
	}
	return false
}

// takeOverParallel is how many tasks take over at a time: each waits for the
// coordinator's log.
const takeOverParallel = 32

// box gives a task's transactional outbox for a system on the same cluster.
func (e *exactlyOnce) box(ctx context.Context, t *instance, sys system.System) (system.Outbox, error) {
	same, err := e.sameCluster(ctx, sys)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, wrongGuarantee(t.settings.config, fmt.Sprintf("all that a task writes on one cluster: the system %q is on another than %q, which holds the checkpoints", sys.Name(), e.home.Name()))
	}
	return t.tx, nil
}

func (e *exactlyOnce) sameCluster(ctx context.Context, sys system.System) (bool, error) {
	if sys.Name() == e.home.Name() {
		return true, nil
	}
	other, ok := sys.(system.Transactional)
	if !ok {
		return false, nil
	}
	here, err := e.cluster(ctx, e.home)
	if err != nil {
		return false, err
	}
	there, err := e.cluster(ctx, other)
	return here == there, err
}

func (e *exactlyOnce) cluster(ctx context.Context, s system.Transactional) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id, ok := e.clusters[s.Name()]; ok {
		return id, nil
	}
	id, err := s.Cluster(ctx)
	if err == nil {
		e.clusters[s.Name()] = id
	}
	return id, err
}

func (t *instance) sealTransaction(ctx context.Context, c checkpoint.Checkpoint) error {
	log := t.checkpoints.(checkpoint.Transactional) //nolint:forcetypeassert // newExactlyOnce saw to it
	for _, r := range log.Records(t.name, c) {
		if err := t.tx.Send(r); err != nil {
			return fmt.Errorf("write the checkpoint: %w", err)
		}
	}
	if err := t.tx.Flush(ctx); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	if err := t.step(StepCheckpointSent); err != nil {
		return err
	}
	if err := t.tx.Commit(ctx); err != nil {
		return err
	}
	log.Committed(t.name, c)
	return nil
}

// lastWords bounds what a container does for its transactions that failed, or has
// used up its time to stop.
const lastWords = time.Second

// endTransactions is the end of the tasks' transactions. In order, it waits
// until the last commits can be seen downstream. After a failure it gives up
// what is open, so that readers need not wait for the next writer or for the
// time-out; whoever does not answer is left to those.
func (c *Container) endTransactions(failed bool) error {
	if c.exactly == nil {
		return nil
	}
	// The stop as a whole has one limit; some of it is always left.
	limit := lastWords
	c.mu.Lock()
	if left := time.Until(c.stopBy); !failed && left > limit {
		limit = left
	}
	c.mu.Unlock()
	// Not the container's context, which may have ended.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		slot = make(chan struct{}, takeOverParallel)
	)
	for _, t := range c.tasks {
		if t.tx == nil {
			continue
		}
		if t.busy.Load() {
			_ = t.tx.Close() // wakes who waits in it; it cannot fail
			continue
		}
		wg.Go(func() {
			slot <- struct{}{}
			defer func() { <-slot }()
			var err error
			if failed {
				err = t.tx.Abort(ctx)
			} else {
				err = t.tx.Settle(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err, t.tx.Close())
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		// Everything is committed, or nothing of the rest will be.
		c.log.Warn("while ending the tasks' transactions", "error", err)
	}
	return nil
}

// wakeTransactions wakes tasks that wait for room to send.
func (c *Container) wakeTransactions() {
	for _, t := range c.tasks {
		if t.tx != nil {
			_ = t.tx.Close() // it cannot fail
		}
	}
}
