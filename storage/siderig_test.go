package storage

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/storage/local"
	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

var users = system.StreamID{System: "kafka", Stream: "users"}

// sideRig is a store of one task that is filled from users, on a broker and a disk
// that outlive it.
type sideRig struct {
	t       testing.TB
	broker  *memory.Broker
	sys     *memory.System
	spec    Spec
	process task.SideInput
	base    string
	parts   []int32
	drop    bool
	now     time.Time
	log     *strings.Builder

	side     *Side
	set      *Set
	progress []Progress
}

func newSideRig(t testing.TB, partitions int32) *sideRig {
	b := memory.NewBroker()
	if err := b.Create(system.StreamSpec{Name: "users", Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return &sideRig{
		t: t, broker: b, sys: memory.New("kafka", b), parts: []int32{0}, now: now, log: &strings.Builder{},
		spec: Spec{Name: "users", Engine: engine.Memory, KeySerde: "string", ValueSerde: "string", SideInputs: []system.StreamID{users}},
	}
}

func (r *sideRig) disk() *sideRig {
	r.spec.Engine = diskEngine
	r.base = r.t.TempDir()
	theDisks.reset()
	r.t.Cleanup(theDisks.reset)
	return r
}

// put appends key=value, or a deletion for a key alone.
func (r *sideRig) put(partition int32, entries ...string) {
	r.t.Helper()
	for _, e := range entries {
		k, v, ok := strings.Cut(e, "=")
		value := []byte(v)
		if !ok {
			value = nil
		}
		if _, err := r.broker.Append("users", partition, []byte(k), value); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *sideRig) start() error {
	r.t.Helper()
	o := Options{TaskName: "Partition 0", Logger: slog.New(slog.NewTextHandler(r.log, nil)), Now: func() time.Time { return r.now }}
	if r.base != "" {
		o.Folders = &local.Job{Base: r.base, Name: "j", ID: "1", Logger: o.Logger}
	}
	var err error
	if r.side, err = OpenSide(r.spec, r.process, r.drop, o); err != nil {
		return err
	}
	var sources []*task.Source
	for _, p := range r.parts {
		sources = append(sources, &task.Source{System: "kafka", Stream: "users", Partition: p, KeySerde: serde.Text{}, ValueSerde: serde.Text{}})
	}
	r.progress = nil
	if err := r.side.Fill(r.t.Context(), sources, map[string]system.System{"kafka": r.sys}, func(p Progress) { r.progress = append(r.progress, p) }); err != nil {
		return errors.Join(err, r.side.Close())
	}
	if r.set, err = Open(nil, o); err != nil {
		return err
	}
	return r.set.Lend(r.side)
}

func (r *sideRig) mustStart() {
	r.t.Helper()
	if err := r.start(); err != nil {
		r.t.Fatalf("start: %v", err)
	}
}

// end ends the process; a crash loses what the disk did not keep.
func (r *sideRig) end(crash bool) {
	r.t.Helper()
	if err := r.set.Close(); err != nil {
		r.t.Fatal(err)
	}
	theDisks.mu.Lock()
	theDisks.losing = crash
	theDisks.mu.Unlock()
	if err := r.side.Close(); err != nil {
		r.t.Fatal(err)
	}
	theDisks.mu.Lock()
	theDisks.losing = false
	theDisks.mu.Unlock()
}

// catchUp takes all that the broker has, as the container's follower does.
func (r *sideRig) catchUp() error {
	consumer, err := r.sys.Consumer()
	if err != nil {
		return err
	}
	defer consumer.Close()
	behind := 0
	for _, p := range r.side.Places() {
		src := r.side.places[p.Partition].source
		if err := consumer.Assign(src, p.Next); err != nil {
			return err
		}
		records := r.broker.Records("users", p.Partition.Partition)
		if len(records) > 0 && records[len(records)-1].Offset >= p.Next {
			behind++
		}
	}
	for behind > 0 {
		batches, err := consumer.Poll(r.t.Context())
		if err != nil {
			return err
		}
		for _, b := range batches {
			if err := r.side.Take(b); err != nil {
				return err
			}
			if b.Next >= b.HighWatermark {
				behind--
			}
		}
	}
	return nil
}

func (r *sideRig) contents() map[string]string {
	r.t.Helper()
	s, err := r.set.Store("users")
	if err != nil {
		r.t.Fatal(err)
	}
	return contents(r.t.(failer), s)
}

func (r *sideRig) want(want map[string]string) {
	r.t.Helper()
	if got := r.contents(); !maps.Equal(got, want) {
		r.t.Errorf("the store holds %v, want %v", got, want)
	}
}

func (r *sideRig) last() Progress {
	r.t.Helper()
	if len(r.progress) == 0 {
		r.t.Fatal("no progress was told")
	}
	return r.progress[len(r.progress)-1]
}
