// Package pageviews holds the two tasks of the groupby example, which together
// keep the answer to
//
//	SELECT user_id, COUNT(*) FROM PageViewEvent GROUP BY user_id
//
// up to date: Repartition brings all events of a user into one partition, Count
// counts them there.
package pageviews

import (
	"errors"

	"heddle/task"
)

// The streams between the two tasks and behind them.
const (
	ByUser = "kafka.PageViewByUser"
	Counts = "kafka.PageViewCount"
)

// event is one page view; the page itself does not matter here.
type event struct {
	UserID string `json:"user_id"`
}

func decode(m *task.Message) (string, error) {
	var e event
	if err := m.Decode(&e); err != nil {
		return "", err
	}
	if e.UserID == "" {
		return "", &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value",
			Err: errors.New(`a page view needs "user_id"`)}
	}
	return e.UserID, nil
}
