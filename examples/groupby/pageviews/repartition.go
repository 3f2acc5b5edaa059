package pageviews

import "heddle/task"

// NewRepartition makes the first task, registered as "groupby.Repartition".
func NewRepartition() task.Task { return task.Func(repartition) }

// repartition sends the event on as it came, with the user as its key.
func repartition(ctx task.Context, m *task.Message) error {
	user, err := decode(m)
	if err != nil {
		return err
	}
	return ctx.Send(task.Output{Stream: ByUser, Key: user, RawValue: m.ValueBytes})
}
