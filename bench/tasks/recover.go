package main

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"heddle/bench/input"
	"heddle/bench/steady"
	"heddle/task"
)

// The process leaves its signs once, whichever of its tasks is first.
var (
	firstOnce, caughtOnce sync.Once
	processed             atomic.Int64
)

// recovering counts events by user, and leaves a sign at the first record and
// when it has processed as many as the benchmark waits for.
type recovering struct {
	counts task.Store
	event  input.Event
	signs  string
	await  int64
	begun  bool
}

// Init reads bench.signs and bench.await.
func (t *recovering) Init(ctx task.Context) error {
	var err error
	if t.counts, err = ctx.Store("counts"); err != nil {
		return err
	}
	var ok bool
	if t.signs, ok = ctx.Setting("bench.signs"); !ok {
		return errors.New("bench.signs is not set: it names the file for signs")
	}
	await, _ := ctx.Setting("bench.await")
	t.await, err = strconv.ParseInt(await, 10, 64)
	return err
}

// Process adds one to the user's count.
func (t *recovering) Process(_ task.Context, m *task.Message) (err error) {
	if !t.begun {
		t.begun = true
		firstOnce.Do(func() { err = steady.Leave(t.signs, steady.First) })
		if err != nil {
			return err
		}
	}
	if err := m.Decode(&t.event); err != nil {
		return err
	}
	var n int64
	if _, err := t.counts.GetInto(t.event.User, &n); err != nil {
		return err
	}
	if err := t.counts.Put(t.event.User, n+1); err != nil {
		return err
	}
	if processed.Add(1) >= t.await {
		caughtOnce.Do(func() { err = steady.Leave(t.signs, steady.Caught) })
	}
	return err
}
