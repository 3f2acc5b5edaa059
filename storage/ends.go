package storage

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"heddle/system"
)

// EndsFunc gives the ends of all partitions of a changelog.
type EndsFunc func(ctx context.Context, changelog system.StreamID) ([]system.Ends, error)

// SharedEnds asks the systems for the ends of each changelog only once, for
// all tasks of a container that are restored together. What the tasks write
// while others are still restored does not matter: each has its own partition.
func SharedEnds(systems map[string]system.System) EndsFunc {
	var mu sync.Mutex
	known := map[system.StreamID]func() ([]system.Ends, error){}
	return func(ctx context.Context, id system.StreamID) ([]system.Ends, error) {
		mu.Lock()
		ask, ok := known[id]
		if !ok {
			ask = sync.OnceValues(func() ([]system.Ends, error) { return askEnds(ctx, systems, id) })
			known[id] = ask
		}
		mu.Unlock()
		return ask()
	}
}

func askEnds(ctx context.Context, systems map[string]system.System, id system.StreamID) ([]system.Ends, error) {
	sys, ok := systems[id.System]
	if !ok {
		return nil, fmt.Errorf("changelog %s: system %q is not configured; set systems.%s.samza.factory", id, id.System, id.System)
	}
	admin, err := sys.Admin()
	if err != nil {
		return nil, err
	}
	return admin.Offsets(ctx, id.Stream)
}

// settled lets a restore at-least-once read to the changelog's end also where a
// transaction is open on it, which it waits for. What this task wrote without a
// transaction may lie behind that one: to stop in front of it would lose a part of
// the committed state, and leave in place what has to be undone. Exactly-once all
// is in the task's transactions, and those have been ended.
func settled(ends system.Ends, p Policy, log *slog.Logger) system.Ends {
	if p.ExactlyOnce || ends.Stable >= ends.Next {
		return ends
	}
	log.Warn("a transaction is open on the changelog, of another program or of a run that cannot be ended; waiting until it is over: its writer commits, or Kafka aborts it (about a minute after it began)",
		"read to", ends.Stable, "end", ends.Next)
	ends.Stable = ends.Next
	return ends
}
