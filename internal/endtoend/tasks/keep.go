package main

import (
	"errors"
	"fmt"
	"strings"

	"heddle/task"
)

// keep counts its messages by value in the store "counts", notes each in "brief",
// whose entries end, and in "full", which has a quota, and sends what it did.
type keep struct{ counts, brief, full task.Store }

func newKeep() task.Task { return &keep{} }

// kept is what is sent for each message.
type kept struct {
	User string `json:"user"`
	// Count is how many messages of the user there were with this one.
	Count int64 `json:"count"`
	// Refused: the quota of "full" was used up.
	Refused bool `json:"refused"`
}

func (k *keep) Init(ctx task.Context) (err error) {
	for name, s := range map[string]*task.Store{"counts": &k.counts, "brief": &k.brief, "full": &k.full} {
		if *s, err = ctx.Store(name); err != nil {
			return err
		}
	}
	return nil
}

// padding makes the entries of "full" large enough to fill it soon.
var padding = strings.Repeat("x", 200)

func (k *keep) Process(ctx task.Context, m *task.Message) error {
	out := kept{User: string(m.ValueBytes)}
	n, err := k.counts.Get(out.User)
	if err != nil {
		return err
	}
	out.Count, _ = n.(int64) // none: 0
	out.Count++
	if err := k.counts.Put(out.User, out.Count); err != nil {
		return err
	}
	place := fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset)
	if err := k.brief.Put(place, out.Count); err != nil {
		return err
	}
	switch err := k.full.Put(place, padding); {
	case errors.Is(err, task.ErrOverQuota):
		out.Refused = true
	case err != nil:
		return err
	}
	return ctx.Send(task.Output{Stream: "kafka.Kept", Key: place, Value: out})
}
