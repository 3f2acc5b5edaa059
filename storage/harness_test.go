package storage

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// now is the tests' time.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rig is one task's stores on a broker that outlives them.
type rig struct {
	broker    *memory.Broker
	specs     []Spec
	partition int32

	// exactly makes what a commit writes one transaction.
	exactly bool

	sys     *memory.System
	out     system.Outbox
	set     *Set
	targets map[string]Target // what the checkpoint holds; nil: there is none
	gate    chan struct{}     // the broker waits for it, if there is one

	base     string         // of local state; "": there is none
	options  func(*Options) // changes what the stores are opened with; may be nil
	progress func(Progress)
}

const changelogPartition = 1

func newRig(specs ...Spec) *rig {
	b := memory.NewBroker()
	for _, s := range specs {
		if s.Logged() {
			if err := b.Create(system.StreamSpec{Name: s.Changelog.Stream, Partitions: 3}); err != nil {
				panic(err)
			}
		}
	}
	return &rig{broker: b, specs: specs, partition: changelogPartition}
}

// other is the changelog of another name.
func (r *rig) other(name string) system.StreamSpec {
	return system.StreamSpec{Name: name, Partitions: 3}
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// start opens the stores and restores them.
func (r *rig) start(t failer) {
	t.Helper()
	if err := r.tryStart(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("start: %v", err)
	}
}

func (r *rig) tryStart(log *slog.Logger) error {
	r.sys = memory.New("kafka", r.broker)
	if err := r.openOutbox(); err != nil {
		return err
	}
	o := Options{
		TaskName: "Partition 1", ChangelogPartition: r.partition, Logger: log,
		Outbox: func(string) (system.Outbox, error) { return r.out, nil },
		Now:    func() time.Time { return now },
	}
	if r.base != "" {
		o.Folders = &local.Job{Base: r.base, Name: "counts", ID: "1", Logger: log}
		o.Scratch = &local.Job{Base: r.base + "/scratch", Name: "counts", ID: "1", Logger: log}
	}
	if r.options != nil {
		r.options(&o)
	}
	set, err := Open(r.specs, o)
	if err != nil {
		return err
	}
	r.set = set
	return r.set.Restore(context.Background(), map[string]system.System{"kafka": r.sys}, r.targets, r.progress)
}

// openOutbox opens the task's; exactly-once it ends what the one before left
// open.
func (r *rig) openOutbox() (err error) {
	if r.exactly {
		r.out, err = r.sys.TakeOver(context.Background(), system.TransactionOptions{ID: "counts-1-Partition 1", Name: "Partition 1"})
		return err
	}
	producer, err := r.sys.Producer()
	if err != nil {
		return err
	}
	r.out, err = producer.Outbox("Partition 1")
	return err
}

// crash ends the process: what is not acknowledged is lost.
func (r *rig) crash(t failer) {
	t.Helper()
	if err := r.sys.Close(); err != nil {
		t.Fatalf("close the system: %v", err)
	}
	theDisks.mu.Lock()
	theDisks.losing = true
	theDisks.mu.Unlock()
	if err := r.set.Close(); err != nil {
		t.Fatalf("close the stores: %v", err)
	}
	theDisks.mu.Lock()
	theDisks.losing = false
	theDisks.mu.Unlock()
}

// end ends the process in order, without a commit.
func (r *rig) end(t failer) {
	t.Helper()
	if err := r.sys.Close(); err != nil {
		t.Fatalf("close the system: %v", err)
	}
	if err := r.set.Close(); err != nil {
		t.Fatalf("close the stores: %v", err)
	}
}

// diskRig is a rig whose stores lie on the disk of tests.
func diskRig(t *testing.T, specs ...Spec) *rig {
	t.Helper()
	for i := range specs {
		specs[i].Engine = diskEngine
	}
	r := newRig(specs...)
	r.base = t.TempDir()
	theDisks.reset()
	t.Cleanup(theDisks.reset)
	return r
}

// commit is the design's: flush the stores, flush the outbox, read the
// positions, write the checkpoint, with which a transaction ends. It stops before the step with that number.
func (r *rig) commit(t failer, steps int) error {
	t.Helper()
	if steps > 0 {
		if err := r.set.Flush(); err != nil {
			return err
		}
	}
	if steps > 1 {
		if err := r.out.Flush(context.Background()); err != nil {
			return err
		}
	}
	if steps > 2 {
		if tx, ok := r.out.(system.TransactionalOutbox); ok {
			if err := tx.Commit(context.Background()); err != nil {
				return err
			}
		}
		r.checkpoint()
	}
	if steps > 3 {
		return r.set.Committed(context.Background(), Commit{Checkpoint: "1-1", Began: now})
	}
	return nil
}

const allSteps = 4

func (r *rig) checkpoint() {
	r.targets = map[string]Target{}
	for name, p := range r.set.Positions() {
		r.targets[name] = Target{Topic: p.Topic, Offset: p.Offset, Committed: now}
	}
}

func (r *rig) store(t failer, name string) task.Store {
	t.Helper()
	s, err := r.set.Store(name)
	if err != nil {
		t.Fatalf("store: %v", err)
	}
	return s
}

// contents reads a store as text.
func contents(t failer, s task.Store) map[string]string {
	t.Helper()
	m := map[string]string{}
	last := ""
	for e := range s.All() {
		if e.Err != nil {
			t.Fatalf("all: %v", e.Err)
		}
		k := fmt.Sprint(e.Key)
		if k <= last && len(m) > 0 {
			t.Fatalf("keys out of order: %q after %q", k, last)
		}
		last = k
		m[k] = fmt.Sprint(e.Value)
	}
	return m
}

func loggedSpec(name string) Spec {
	return Spec{
		Name: name, Engine: engine.Memory, KeySerde: "string", ValueSerde: "long",
		Changelog:    system.StreamID{System: "kafka", Stream: name + "-changelog"},
		CacheEntries: Unlimited, WriteBatch: Unlimited,
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
