package topic

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"heddle/system"
)

// Info is one line of `topic list`.
type Info struct {
	Topic      string `json:"topic"`
	Partitions int32  `json:"partitions"`
	// Messages is how many offsets lie between the ends of all partitions: the
	// messages there are, and what compaction and transactions have left gaps
	// for.
	Messages int64 `json:"messages"`
}

// List gives the streams of a system by name; internal ones, whose names begin
// with "__", only if all is set.
func List(ctx context.Context, sys system.System, all bool) ([]Info, error) {
	admin, err := sys.Admin()
	if err != nil {
		return nil, err
	}
	streams, err := admin.Describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("topic list of %s: %w", sys.Name(), err)
	}
	var out []Info
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		if !all && len(name) > 1 && name[:2] == "__" {
			continue
		}
		ends, err := admin.Offsets(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("topic list of %s: %s: %w", sys.Name(), name, err)
		}
		i := Info{Topic: name, Partitions: streams[name].Partitions}
		for _, e := range ends {
			i.Messages += e.Next - e.Oldest
		}
		out = append(out, i)
	}
	return out, nil
}
