package container

import (
	"fmt"
	"strconv"

	"heddle/system"
)

// position is where a partition is read from, and why.
type position struct {
	// offset is the first message to read, always a number of the partition.
	offset int64
	origin origin
	// lost counts offsets between the checkpoint and what the partition still
	// has; they cannot be read any more.
	lost int64
}

// origin says what decided about a position.
type origin uint8

const (
	fromCheckpoint origin = iota
	fromOldest
	fromUpcoming
	fromPreload
	// fromReset: the checkpoint lies outside of the partition.
	fromReset
	// fromRemade: the checkpoint is of another topic of that name.
	fromRemade
)

func (o origin) String() string {
	return [...]string{"the checkpoint", "the oldest message", "the newest message", "the first preloaded message",
		"the checkpoint lies outside of the partition", "the topic was made anew since the checkpoint"}[o]
}

// startQuestion is all that a starting position depends on.
type startQuestion struct {
	partition system.Partition
	// checkpoint is the offset of the last processed message; "" if none.
	checkpoint string
	// remade: the checkpoint is of another topic of that name, which was deleted.
	remade bool
	// ignore is samza.reset.offset: the checkpoint does not count.
	ignore bool
	// preloaded is the offset of the first record that this start of run-job
	// appended to the partition; -1 if none.
	preloaded int64
	// oldest is samza.offset.default: true for oldest, false for upcoming.
	oldest bool
	// outOfRange is systems.S.consumer.auto.offset.reset if it is set: "oldest",
	// "upcoming" or "none"; "" if it is not.
	outOfRange string
	ends       system.Ends
	// end is where the partition ends for this reader: ends.Next, or
	// ends.Stable under read_committed.
	end int64
}

// startPosition decides where a partition is read from (Samza: OffsetManager):
// one behind the checkpoint; without one from the first preloaded record, else
// from the default.
//
// A checkpoint outside of the partition is where this differs from Samza,
// whose Kafka client then jumps to the newest message and loses what lies
// between. Here reading goes on at the oldest message that there is: where
// retention was faster than the job nothing readable is skipped, and a topic
// that was deleted and made anew is read from its beginning, whatever its
// offsets are by now, if the system gives topics ids. A set auto.offset.reset is
// obeyed.
func startPosition(q startQuestion) (position, error) {
	if q.checkpoint == "" || q.ignore {
		return defaultPosition(q), nil
	}
	last, err := strconv.ParseInt(q.checkpoint, 10, 64)
	if err != nil {
		return position{}, fmt.Errorf("starting position of %s: the checkpoint holds the offset %q, which is no number; correct it with `run-job checkpoint set`, or set samza.reset.offset=true for the stream to start from its samza.offset.default", q.partition, q.checkpoint)
	}
	offset := last + 1
	origin := fromReset
	switch {
	case q.remade:
		// Of the new topic nothing was read, and nothing of it is lost.
		origin, offset = fromRemade, q.ends.Oldest
	case offset >= q.ends.Oldest && offset <= q.ends.Next:
		return position{offset: offset, origin: fromCheckpoint}, nil
	}
	lost := max(q.ends.Oldest-offset, 0)
	switch {
	case q.outOfRange == "none" && q.remade:
		return position{}, fmt.Errorf("starting position of %s: the topic was deleted and made anew since the checkpoint, and auto.offset.reset=none forbids to choose another; choose one with `run-job checkpoint set`: %w",
			q.partition, system.ErrOutOfRange)
	case q.outOfRange == "none":
		return position{}, fmt.Errorf("starting position of %s: the checkpoint says %d, the partition holds %d to %d, and auto.offset.reset=none forbids to choose another; correct it with `run-job checkpoint set`: %w",
			q.partition, offset, q.ends.Oldest, q.ends.Next, system.ErrOutOfRange)
	case q.outOfRange == "upcoming":
		return position{offset: q.end, origin: origin, lost: max(q.end-offset, 0)}, nil
	}
	return position{offset: q.ends.Oldest, origin: origin, lost: lost}, nil
}

func defaultPosition(q startQuestion) position {
	switch {
	case q.preloaded >= 0:
		return position{offset: max(q.preloaded, q.ends.Oldest), origin: fromPreload}
	case q.oldest:
		return position{offset: q.ends.Oldest, origin: fromOldest}
	}
	return position{offset: q.end, origin: fromUpcoming}
}

// unsealed says whether a start from that position has to be written down before
// the first message: a container that is killed before its first commit would
// begin at another "newest" otherwise, or at what the next start of run-job
// preloads, and skip what came in between.
func (p position) unsealed() bool {
	return p.origin == fromUpcoming || p.origin == fromPreload || p.origin == fromReset || p.origin == fromRemade
}
