package main

import (
	"errors"

	"heddle/task"
)

// passThrough sends each message on as it came.
type passThrough struct {
	measured
	out string
}

// Init reads where to send to (bench.output).
func (t *passThrough) Init(ctx task.Context) error {
	var ok bool
	if t.out, ok = ctx.Setting("bench.output"); !ok {
		return errors.New("bench.output is not set: it names the output as system.stream")
	}
	return t.measured.Init(ctx)
}

// Process sends the message on.
func (t *passThrough) Process(ctx task.Context, m *task.Message) error {
	t.count.One()
	return ctx.Send(task.Output{Stream: t.out, RawKey: m.KeyBytes, RawValue: m.ValueBytes})
}
