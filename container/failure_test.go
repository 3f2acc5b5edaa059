package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"heddle/system"
	"heddle/system/memory"
	"heddle/task"
)

// A failure to write shows in the commit, and no offset passes it.
func TestFailureToWriteFailsTheCommit(t *testing.T) {
	for name, stream := range map[string]string{"output": "out", "changelog": "log"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1).store()
			r.until = true
			r.newTask = counting(1000)
			r.fill(0, "a", "b")
			r.broker.SetFaults(memory.Faults{Ack: func(_ string, rec system.Record) error {
				if rec.Stream == stream {
					return errTest
				}
				return nil
			}})
			if err := r.run(); !errors.Is(err, errTest) || !strings.Contains(err.Error(), "Partition 0") {
				t.Fatalf("Run: %v", err)
			}
			if got := r.offset(0); got != "none" {
				t.Errorf("checkpointed at %s", got)
			}
			r.broker.SetFaults(memory.Faults{})
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
			r.exact(map[string]int64{"a": 1, "b": 1}, 2, 2)
		})
	}
}

// A task's Close that never returns is bounded from outside, however the container
// came to its end: with a failure, or by itself.
func TestEndingIsToldBeforeClose(t *testing.T) {
	for name, process := range map[string]func(task.Context, *task.Message) error{
		"after a failure": func(task.Context, *task.Message) error { return errTest },
		"in order":        func(task.Context, *task.Message) error { return nil },
	} {
		r := newRig(t, 1)
		r.until = true
		told, over := make(chan struct{}), make(chan struct{})
		r.ending = func() func() {
			close(told)
			return func() { close(over) }
		}
		r.newTask = calls{process: process, close: func() error { <-told; return nil }}.factory()
		r.fill(0, "a")
		if err := r.run(); (name == "in order") != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		<-over
	}
}

func TestFailureToWriteTheCheckpoint(t *testing.T) {
	r := newRig(t, 1)
	r.until = true
	r.newTask = calls{process: forward}.factory()
	r.fill(0, "a")
	r.checkpoints.fail = errTest
	if err := r.run(); !errors.Is(err, errTest) {
		t.Fatalf("Run: %v", err)
	}
	if got := r.offset(0); got != "none" {
		t.Errorf("checkpointed at %s", got)
	}
}

// With task.drop.producer.errors what cannot be sent is given up and counted;
// the changelog never is.
func TestDropProducerErrors(t *testing.T) {
	r := newRig(t, 1).set("task.drop.producer.errors", "true")
	r.until = true
	r.newTask = calls{process: forward}.factory()
	r.fill(0, "a", "bad", "c")
	r.broker.SetFaults(memory.Faults{Send: func(_ string, rec system.Record) error {
		if string(rec.Value) == "bad" {
			return errTest
		}
		return nil
	}})
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
	if got := r.out(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("out: %v", got)
	}
	if got := r.offset(0); got != "2" {
		t.Errorf("checkpointed at %s", got)
	}
}

func TestErrorsOfATask(t *testing.T) {
	bad := func(m *task.Message) bool { return string(m.ValueBytes) == "bad" }
	decode := func(_ task.Context, m *task.Message) error {
		if bad(m) {
			return fmt.Errorf("wrapped: %w", &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value", Err: errTest})
		}
		return nil
	}
	number := func(_ task.Context, m *task.Message) error {
		_, err := strconv.Atoi(string(m.ValueBytes))
		return err
	}
	panics := func(_ task.Context, m *task.Message) error {
		if bad(m) {
			panic("no way")
		}
		return nil
	}
	encode := func(ctx task.Context, m *task.Message) error {
		if bad(m) {
			return ctx.Send(task.Output{Stream: "mem.out", Value: 1})
		}
		return forward(ctx, m)
	}
	for name, tt := range map[string]struct {
		process  func(task.Context, *task.Message) error
		settings []string
		fails    []string // what the error says; nil: the message is passed over
	}{
		"decode error":               {decode, nil, []string{"topic in", "partition 0", "offset 1", "task.drop.deserialization.errors"}},
		"decode error, dropped":      {decode, []string{"task.drop.deserialization.errors", "true"}, nil},
		"error":                      {number, nil, []string{`task "Partition 0"`, "topic in", "partition 0", "offset 1", "invalid syntax"}},
		"error of an ignored type":   {number, []string{"task.ignored.exceptions", "x.Y,*strconv.NumError"}, nil},
		"error, all are ignored":     {number, []string{"task.ignored.exceptions", "*"}, nil},
		"error of another type":      {number, []string{"task.ignored.exceptions", "java.lang.Exception"}, []string{"invalid syntax"}},
		"panic":                      {panics, nil, []string{"panic", "topic in", "partition 0", "offset 1", "no way"}},
		"panic, all errors ignored":  {panics, []string{"task.ignored.exceptions", "*"}, []string{"panic", "no way"}},
		"cannot be encoded":          {encode, nil, []string{"mem.out", "int", "serde"}},
		"cannot be encoded, dropped": {encode, []string{"task.drop.serialization.errors", "true"}, nil},
		"decode drop is not for all": {number, []string{"task.drop.deserialization.errors", "true"}, []string{"invalid syntax"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1).set(tt.settings...)
			r.until = true
			closed := 0
			r.newTask = calls{process: tt.process, close: func() error { closed++; return nil }}.factory()
			r.fill(0, "1", "bad", "3")
			err := r.run()
			if closed != 1 {
				t.Errorf("Close was called %d times", closed)
			}
			if tt.fails == nil {
				if err != nil || r.offset(0) != "2" {
					t.Errorf("Run: %v, checkpointed at %s", err, r.offset(0))
				}
				return
			}
			if err == nil || exitCode(err) != 1 {
				t.Fatalf("Run: %v, exit code %d", err, exitCode(err))
			}
			for _, s := range tt.fails {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error does not say %q: %v", s, err)
				}
			}
			if r.offset(0) != "none" {
				t.Errorf("an offset was passed: %s", r.offset(0))
			}
			if strings.HasPrefix(name, "panic") && !strings.Contains(r.log.String(), "failure_test.go") {
				t.Error("the stack of the panic is not in the log")
			}
		})
	}
}

// A failure of one task ends the others without a commit; a stop that fails
// does not.
func TestFailureEndsTheOthersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		stops := 0
		r.newTask = calls{
			process: func(_ task.Context, m *task.Message) error {
				if m.Source.Partition == 1 {
					return errTest
				}
				return nil
			},
			stop: func(task.Context) error { stops++; return nil },
		}.factory()
		_, end := r.begin(t.Context())
		r.fill(0, "fine")
		synctest.Wait()
		r.fill(1, "bad")
		if err := end(); !errors.Is(err, errTest) {
			t.Errorf("Run: %v", err)
		}
		if stops != 0 || r.offset(0) != "none" {
			t.Errorf("%d tasks were stopped in order, checkpointed at %s", stops, r.offset(0))
		}
	})
}

func TestErrorsOfTheStart(t *testing.T) {
	fails := func(task.Context) error { return errTest }
	for name, tt := range map[string]struct {
		change func(*rig)
		says   string
	}{
		"init":            {func(r *rig) { r.newTask = calls{init: fails}.factory() }, "init"},
		"factory":         {func(r *rig) { r.newTask = func() task.Task { return nil } }, "task.class"},
		"partitions gone": {func(r *rig) { r.partitions = 3 }, "fewer than when the job was planned"},
		"offsets":         {func(r *rig) { r.broker.SetFaults(memory.Faults{Ask: func(string) error { return errTest }}) }, "mem.in"},
		"poll":            {func(r *rig) { r.broker.SetFaults(memory.Faults{Poll: func() error { return errTest }}) }, "fetch"},
	} {
		r := newRig(t, 2)
		r.newTask = calls{}.factory()
		tt.change(r)
		if err := r.run(); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// A task that does not return keeps the container no longer than
// task.shutdown.ms.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).set("task.shutdown.ms", "2000")
		release := make(chan struct{})
		r.newTask = calls{process: func(task.Context, *task.Message) error { <-release; return nil }}.factory()
		r.fill(0, "a")
		c, end := r.begin(t.Context())
		synctest.Wait()
		c.Stop("now")
		if err := end(); err == nil || !strings.Contains(err.Error(), "task.shutdown.ms") {
			t.Errorf("Run: %v", err)
		}
		close(release)
	})
}

// A task that watches its Context ends at once.
func TestContextEndsLongCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.newTask = calls{process: func(ctx task.Context, _ *task.Message) error {
			<-ctx.Context().Done()
			return ctx.Context().Err()
		}}.factory()
		r.fill(0, "a")
		ctx, cancel := context.WithCancel(t.Context())
		_, end := r.begin(ctx)
		synctest.Wait()
		cancel()
		if err := end(); err == nil {
			t.Error("no error")
		}
	})
}
