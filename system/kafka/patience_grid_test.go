//go:build grid

package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"heddle/internal/grid"
	"heddle/system"
)

// questions are those of a start: ask begins to ask them, while the broker is away,
// and answered waits until all are answered. The broker was reached before.
func questions(t *testing.T, g *grid.Grid) (ask, answered func()) {
	s := gridSystem(t, g, nil)
	topic, made := g.Topic(t, "questions", 2), grid.Name("made")
	t.Cleanup(func() { g.DeleteTopics(t, made) })
	a, err := s.Admin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	if _, err := a.Offsets(ctx, topic); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		what string
		err  error
		took time.Duration
	}
	answers := make(chan answer, 10)
	var began time.Time
	questions := map[string]func() error{
		"offsets":        func() error { _, err := a.Offsets(ctx, topic); return err },
		"streams":        func() error { _, err := a.Describe(ctx, topic); return err },
		"brokers":        func() error { _, err := a.Brokers(ctx); return err },
		"a new stream":   func() error { return a.Create(ctx, system.StreamSpec{Name: made, Partitions: 2, ReplicationFactor: 1}) },
		"the cluster":    func() error { _, err := s.Cluster(ctx); return err },
		"a record limit": func() error { _, err := maxMessageBytes(ctx, s, topic); return err },
		"a read": func() error {
			_, err := s.Read(ctx, topic, 0, system.Oldest, system.End, nil)
			return err
		},
		"transactions": func() error {
			return s.CheckTransactions(ctx, system.TransactionOptions{ID: topic, Name: "a task", Timeout: time.Minute})
		},
	}
	ask = func() {
		began = time.Now()
		for what, do := range questions {
			go func() { err := do(); answers <- answer{what, err, time.Since(began)} }()
		}
	}
	answered = func() {
		t.Helper()
		for range questions {
			got := <-answers
			// An answer that got lost on its way is no failure of the question.
			if got.err != nil && !errors.Is(got.err, system.ErrExists) {
				t.Errorf("%s: after %v: %v", got.what, got.took.Round(time.Millisecond), got.err)
			}
		}
		t.Logf("all questions answered after %v", time.Since(began).Round(time.Millisecond))
	}
	return ask, answered
}
