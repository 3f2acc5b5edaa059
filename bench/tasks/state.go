package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"time"

	"heddle/bench/input"
	"heddle/task"
)

// One task of the process at a time tells the meter of its store.
var stateMu sync.Mutex

// state has a large store, and replaces an entry of it with each message. At its
// end it looks at all of it, if it is asked to.
type state struct {
	measured
	store task.Store
	look  bool
	keys  input.Keys
	size  int // of a value
	key   string
	value []byte
}

// Init notes that the store is restored.
func (t *state) Init(ctx task.Context) error {
	var err error
	if t.store, err = ctx.Store("state"); err != nil {
		return err
	}
	if err := t.measured.Init(ctx); err != nil {
		return err
	}
	scan, _ := ctx.Setting("bench.scan")
	t.look = scan == "true"
	t.keys.Users = input.MaxUsers
	for name, size := range map[string]*int{"bench.key.bytes": &t.keys.Size, "bench.value.bytes": &t.size} {
		n, _ := ctx.Setting(name)
		if *size, err = strconv.Atoi(n); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	stateMu.Lock()
	defer stateMu.Unlock()
	return meter.Ready()
}

// Stop reads the whole store with bench.scan=true. All others have begun by
// then.
func (t *state) Stop(task.Context) error {
	if !t.look {
		return nil
	}
	stateMu.Lock()
	defer stateMu.Unlock()
	return t.scan()
}

// scan reads the store and checks what it holds.
func (t *state) scan() error {
	began := time.Now()
	var n int64
	var last string
	var want []byte
	for e := range t.store.All() {
		if e.Err != nil {
			return e.Err
		}
		key, _ := e.Key.(string)
		value, _ := e.Value.([]byte)
		user, ok := t.keys.ParseUser([]byte(key))
		if !ok || key <= last {
			return fmt.Errorf("key %q behind %q", key, last)
		}
		if want = input.AppendState(want[:0], user, t.size); !bytes.Equal(value, want) {
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
