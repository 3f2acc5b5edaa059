package main

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"heddle/bench/input"
	"heddle/task"
)

// One task of the process at a time tells the meter of its store.
var stateMu sync.Mutex

// state has a large store: it looks at all of it at the start, if it is asked
// to, and then replaces an entry with each message.
type state struct {
	measured
	store task.Store
	key   string
	value []byte
}

// Init notes that the store is restored, and reads all of it with
// bench.scan=true.
func (t *state) Init(ctx task.Context) error {
	var err error
	if t.store, err = ctx.Store("state"); err != nil {
		return err
	}
	if err := t.measured.Init(ctx); err != nil {
		return err
	}
	stateMu.Lock()
	defer stateMu.Unlock()
	if err := meter.Ready(); err != nil {
		return err
	}
	if scan, _ := ctx.Setting("bench.scan"); scan == "true" {
		return t.scan()
	}
	return nil
}

// scan reads the store and checks what it holds.
func (t *state) scan() error {
	began := time.Now()
	var n int64
	var last string
	var want []byte
	all := input.Keys{Users: input.MaxUsers}
	for e := range t.store.All() {
		if e.Err != nil {
			return e.Err
		}
		key, _ := e.Key.(string)
		value, _ := e.Value.([]byte)
		user, ok := all.ParseUser([]byte(key))
		if !ok || key <= last {
			return fmt.Errorf("key %q behind %q", key, last)
		}
		if want = input.AppendState(want[:0], user); !bytes.Equal(value, want) {
			return fmt.Errorf("key %q has the value %q instead of %q", key, value, want)
		}
		n++
		last = key
	}
	meter.Scanned(n, time.Since(began))
	return nil
}

// Process replaces the user's entry by itself.
func (t *state) Process(_ task.Context, m *task.Message) error {
	t.measured.count.One()
	t.key = string(m.KeyBytes)
	ok, err := t.store.GetInto(t.key, &t.value)
	if err == nil && !ok {
		err = fmt.Errorf("key %q is not in the store", t.key)
	}
	if err != nil {
		return err
	}
	return t.store.Put(t.key, t.value)
}
