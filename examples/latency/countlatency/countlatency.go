// Package countlatency holds the task of the latency example: per user and
// window, how many clicks there were and how long they took.
package countlatency

import (
	"errors"
	"maps"
	"slices"

	"heddle/task"
)

// Output is the stream that the results go to.
const Output = "kafka.pageviews"

// New makes the task; it is registered as "latency.CountLatency", and as
// "samza.CountLatancy" for files that were written for an older program.
func New() task.Task { return &countLatency{users: map[string]totals{}} }

// click is one line of the input. Older writers call the user "name" and the
// latency "latancyMs".
type click struct {
	User         string `json:"user"`
	Name         string `json:"name"`
	LatencyMs    *int64 `json:"latencyMs"`
	OldLatencyMs *int64 `json:"latancyMs"`
}

type totals struct{ latencyMs, clicks int64 }

// userLatency is what is sent for each user.
type userLatency struct {
	User             string  `json:"user"`
	TotalLatencyMs   int64   `json:"totalLatencyMs"`
	Clicks           int64   `json:"clicks"`
	AverageLatencyMs float64 `json:"averageLatencyMs"`
}

// windowTotal is what is sent for the window as a whole.
type windowTotal struct {
	TotalMessages int64 `json:"totalMessages"`
}

type countLatency struct {
	users    map[string]totals // since the last window
	messages int64
}

// Process adds one click to its user's totals.
func (t *countLatency) Process(_ task.Context, m *task.Message) error {
	var c click
	if err := m.Decode(&c); err != nil {
		return err
	}
	user, latency := c.User, c.LatencyMs
	if user == "" {
		user = c.Name
	}
	if latency == nil {
		latency = c.OldLatencyMs
	}
	if user == "" || latency == nil {
		return &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value",
			Err: errors.New(`a click needs "user" (or "name") and "latencyMs" (or "latancyMs")`)}
	}
	u := t.users[user]
	u.latencyMs += *latency
	u.clicks++
	t.users[user] = u
	t.messages++
	return nil
}

// Window sends the totals and starts over. The commit that it asks for makes
// them safe together with the input they came from: with commits by time
// switched off, a killed container at most repeats a window.
func (t *countLatency) Window(ctx task.Context) error {
	if err := t.send(ctx); err != nil {
		return err
	}
	ctx.Commit(task.ThisTask)
	return nil
}

// Stop sends what is left as a last window.
func (t *countLatency) Stop(ctx task.Context) error { return t.send(ctx) }

func (t *countLatency) send(ctx task.Context) error {
	if t.messages == 0 {
		return nil
	}
	for _, user := range slices.Sorted(maps.Keys(t.users)) {
		u := t.users[user]
		err := ctx.Send(task.Output{Stream: Output, Key: user, Value: userLatency{
			User:             user,
			TotalLatencyMs:   u.latencyMs,
			Clicks:           u.clicks,
			AverageLatencyMs: float64(u.latencyMs) / float64(u.clicks),
		}})
		if err != nil {
			return err
		}
	}
	if err := ctx.Send(task.Output{Stream: Output, Value: windowTotal{t.messages}}); err != nil {
		return err
	}
	clear(t.users)
	t.messages = 0
	return nil
}
