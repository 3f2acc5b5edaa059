package container

import (
	"fmt"
	"strings"

	"heddle/task"
)

// look answers each message, a key, with what each of its stores says of it.
type look struct{}

var lookedAt = []string{"users", "visits", "rates", "limits"}

func (look) Process(ctx task.Context, m *task.Message) error {
	key := string(m.ValueBytes)
	answer := []string{key}
	for _, name := range lookedAt {
		s, err := ctx.Store(name)
		if err != nil {
			return err
		}
		v, err := s.Get(key)
		if err != nil {
			return err
		}
		answer = append(answer, fmt.Sprint(name, "=", v))
	}
	return ctx.Send(task.Output{Stream: "kafka.out", Key: fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset), RawValue: []byte(strings.Join(answer, " "))})
}

// countMessages counts the messages of a side input by key, so that one that is taken
// twice, or not at all, shows.
func countMessages(m *task.Message, s task.Store) error {
	var n int64
	if _, err := s.GetInto(string(m.KeyBytes), &n); err != nil {
		return err
	}
	return s.Put(string(m.KeyBytes), n+1)
}
