package storage

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"heddle/internal/heard"
	"heddle/system"
	"heddle/system/memory"
)

// At-least-once what a task committed may lie behind another's open transaction, on
// its changelog: a restore waits for the end of that, and takes nothing less for the
// state. What was not committed is undone there, too.
func TestRestoreBehindAnOpenTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(loggedSpec("counts"))
		put := func(key string, n int64) {
			t.Helper()
			check(t, r.store(t, "counts").Put(key, n))
		}
		r.start(t)
		put("a", 1)
		check(t, r.commit(t, allSteps))
		stranger := memory.New("kafka", r.broker)
		defer stranger.Close()
		open, err := stranger.TakeOver(t.Context(), system.TransactionOptions{ID: "another", Name: "another"})
		check(t, err)
		check(t, open.Send(system.Record{Stream: "counts-changelog", At: changelogPartition + 1, Key: []byte("a"), Value: []byte("never committed")}))
		check(t, open.Flush(t.Context()))
		put("a", 2)
		put("b", 3)
		check(t, r.commit(t, allSteps))
		put("a", 9)
		put("c", 9)
		check(t, r.commit(t, 2)) // sent, and not committed
		r.end(t)

		var log heard.Text
		done := make(chan error, 1)
		go func() { done <- r.tryStart(slog.New(slog.NewTextHandler(&log, nil))) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it did not wait for the open transaction: %v\n%s", err, &log)
		default:
		}
		if !strings.Contains(log.String(), "a transaction is open on the changelog") {
			t.Errorf("it does not say what it waits for:\n%s", &log)
		}
		check(t, open.Abort(context.Background()))
		check(t, <-done)
		want := map[string]string{"a": "2", "b": "3"}
		if got := contents(t, r.store(t, "counts")); !maps.Equal(got, want) {
			t.Errorf("the state is %v, want %v", got, want)
		}
		check(t, r.commit(t, allSteps))
		r.end(t)
		r.start(t)
		if got := contents(t, r.store(t, "counts")); !maps.Equal(got, want) {
			t.Errorf("the state after the next start is %v, want %v", got, want)
		}
		r.end(t)
	})
}
