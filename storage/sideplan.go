package storage

import (
	"fmt"
	"slices"
	"time"

	"heddle/system"
)

// sidePlan says where each partition is read from.
type sidePlan struct {
	// places are those of all partitions, as a state that is kept has them, or
	// the oldest messages.
	places []sidePlace
	// keep tells that the local state is what is added to; without it dropped
	// says why, if there was any, and unexpected that it should have been of use.
	keep       bool
	dropped    string
	unexpected bool
}

// planSide decides whether a local state (nil: there is none) is used. ends are
// those of the wanted partitions. What a side input forgot while nobody read it
// would stay in the store for good, so a state that is not known to have seen all
// deletions is read anew.
func planSide(local []sidePlace, ends map[system.Partition]system.Ends, retention time.Duration, now time.Time) sidePlan {
	if retention == 0 {
		retention = DefaultDeleteRetention
	}
	plan := sidePlan{}
	held := map[system.Partition]sidePlace{}
	for _, p := range local {
		held[p.partition] = p
		if _, wanted := ends[p.partition]; !wanted && plan.dropped == "" {
			plan.dropped = fmt.Sprintf("it holds partition %d of %s, which is not read any more", p.partition.Partition, p.partition.StreamID())
		}
	}
	for _, part := range sortedPartitions(ends) {
		e := ends[part]
		p, ok := held[part]
		switch {
		case !ok || plan.dropped != "":
		case p.topic.Other(e.Topic):
			plan.unexpected = true
			plan.dropped = fmt.Sprintf("%s was deleted and made anew since: it is of the topic with the id %s, and the topic's id is %s now",
				part.StreamID(), p.topic, e.Topic)
		case p.next < e.Oldest || p.next > e.Stable:
			plan.unexpected = true
			plan.dropped = fmt.Sprintf("it was read to offset %d of %s, partition %d, which has %d to %d (was the topic made anew, or were its messages dropped by age?)",
				p.next, part.StreamID(), part.Partition, e.Oldest, e.Stable)
		case p.next < e.Stable && now.Sub(p.at) > retention/10*9:
			plan.dropped = fmt.Sprintf("it is %s, and deletions since then may be gone from %s (stores.*.changelog.delete.retention.ms is %d)", ageOf(p.at, now), part.StreamID(), retention.Milliseconds())
		}
	}
	plan.keep = local != nil && plan.dropped == ""
	for _, part := range sortedPartitions(ends) {
		p := sidePlace{partition: part, next: ends[part].Oldest}
		if h, ok := held[part]; ok && plan.keep {
			p = h
		}
		p.topic = ends[part].Topic
		plan.places = append(plan.places, p)
	}
	return plan
}

func sortedPartitions[V any](m map[system.Partition]V) []system.Partition {
	out := make([]system.Partition, 0, len(m))
	for p := range m {
		out = append(out, p)
	}
	slices.SortFunc(out, cmpPartitions)
	return out
}
