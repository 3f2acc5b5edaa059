package job

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"heddle/container"
	"heddle/system"
	"heddle/task"
)

// gap is what a task has still to process of a partition: the offsets of
// [from, to), at which messages need not lie.
type gap struct {
	at       system.Partition
	from, to int64
	lag      int64
}

// gapAfter is the gap behind the last processed message. It ends where consumers
// end: without uncommitted, at the oldest open transaction.
func gapAfter(last int64, at system.Partition, e system.Ends, uncommitted bool) *gap {
	g := &gap{at: at, from: max(last+1, e.Oldest), to: e.Stable}
	if uncommitted {
		g.to = e.Next
	}
	g.lag = max(g.to-g.from, 0)
	return g
}

// lookInto is the largest lag at which it is looked if a message lies in a gap.
// A larger gap without one is left only by an aborted transaction as large, and
// looking takes longer the more there is.
const lookInto = 10_000

// look sets the lag to 0 where no message is left that a consumer of the system
// is given.
func look(ctx context.Context, systems container.Systems, gaps []*gap) error {
	of := map[string]map[system.Partition][]*gap{}
	for _, g := range gaps {
		if g.lag < 1 || g.lag > lookInto {
			continue
		}
		if of[g.at.System] == nil {
			of[g.at.System] = map[system.Partition][]*gap{}
		}
		of[g.at.System][g.at] = append(of[g.at.System][g.at], g) // of several tasks
	}
	for name, partitions := range of {
		sys, err := systems.Get(name)
		if err == nil {
			err = lookAt(ctx, sys, partitions)
		}
		if err != nil {
			return fmt.Errorf("look what is left to be read: %w", err)
		}
	}
	return nil
}

func lookAt(ctx context.Context, sys system.System, partitions map[system.Partition][]*gap) (err error) {
	c, err := sys.Consumer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	open := map[*task.Source][]*gap{}
	for at, gaps := range partitions {
		src := &task.Source{System: at.System, Stream: at.Stream, Partition: at.Partition}
		open[src] = gaps
		from := gaps[0].from
		for _, g := range gaps {
			from = min(from, g.from)
		}
		if err := c.Assign(src, from); err != nil {
			return err
		}
	}
	for len(open) > 0 {
		batches, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		for _, b := range batches {
			rest := settle(open[b.Source], b)
			if open[b.Source] = rest; len(rest) == 0 {
				c.Pause(b.Source)
				delete(open, b.Source)
			}
		}
	}
	return nil
}

// settle gives the gaps of which a batch does not tell yet if a message lies in
// them; of an empty one it sets the lag.
func settle(gaps []*gap, b system.Batch) (rest []*gap) {
	for _, g := range gaps {
		lies := func(m task.Message) bool { return m.Offset >= g.from && m.Offset < g.to }
		switch {
		case slices.ContainsFunc(b.Messages, lies):
		case b.Next >= g.to:
			g.lag = 0
		default:
			rest = append(rest, g)
		}
	}
	return rest
}
