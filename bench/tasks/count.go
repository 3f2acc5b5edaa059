package main

import (
	"heddle/bench/input"
	"heddle/task"
)

// count counts events by user in the store "counts".
type count struct {
	measured
	counts task.Store
	event  input.Event
}

// Init opens the store.
func (t *count) Init(ctx task.Context) error {
	var err error
	if t.counts, err = ctx.Store("counts"); err != nil {
		return err
	}
	return t.measured.Init(ctx)
}

// Process adds one to the user's count.
func (t *count) Process(_ task.Context, m *task.Message) error {
	t.measured.count.One()
	if err := m.Decode(&t.event); err != nil {
		return err
	}
	var n int64
	if _, err := t.counts.GetInto(t.event.User, &n); err != nil {
		return err
	}
	return t.counts.Put(t.event.User, n+1)
}
