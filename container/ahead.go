package container

// The bounds of what lies fetched and not yet processed, and what follows from
// them for the fetch. Everything here is a function of its arguments.
//
// The rule: while every buffer is full the consumer is not polled at all, which
// costs nothing. Only partitions that are far ahead are paused, and only while
// others have nothing to do. Whatever the single buffers hold, nothing is polled
// while all of them together hold too much.

// bounds are those of one partition's buffer. Zero means none.
type bounds struct {
	messages int
	bytes    int
}

// partitionBounds divides what systems.S.samza.fetch.threshold (messages) and
// systems.S.samza.fetch.threshold.bytes allow a container among its partitions
// of that system, as Samza does: the messages evenly; of the bytes half. Set
// bytes win over the count; without them safety, in bytes, holds beside it, so
// that large messages cannot fill the memory.
func partitionBounds(threshold, thresholdBytes, safety, partitions int) bounds {
	partitions = max(partitions, 1)
	if thresholdBytes > 0 {
		return bounds{bytes: max(thresholdBytes/2/partitions, 1)}
	}
	b := bounds{messages: max(threshold/partitions, 1)}
	if safety > 0 {
		b.bytes = max(safety/partitions, 1)
	}
	return b
}

// level is how full one partition's buffer is.
type level uint8

const (
	// levelIdle: below the bound, and as far as the last fetch told nothing more
	// is to be had.
	levelIdle level = iota
	// levelLow: below the bound while more is to be had.
	levelLow
	// levelFull: at the bound or above.
	levelFull
	// levelAhead: at aheadFactor times the bound or above, in at least
	// aheadBatches batches.
	levelAhead

	levels = 4
)

const (
	aheadFactor = 2
	// A single fetch may bring many times the bound; it is no reason to pause. Two
	// are: of each partition one more lies with the consumer, and another is under
	// way.
	aheadBatches = 2
)

// messageOverhead is about what a message takes in memory besides its key and value:
// itself, and what frames it in a fetch's answer.
const messageOverhead = 112

// weight is about what so many messages with so many bytes of keys and values take.
func weight(messages, bytes int) int { return bytes + messages*messageOverhead }

// load is what one partition's buffer holds; its bytes are by weight.
type load struct {
	messages, bytes, batches int
	// behind: the last fetch showed that the partition has more.
	behind bool
}

func (b bounds) levelOf(l load) level {
	switch {
	case b.reached(l, aheadFactor) && l.batches >= aheadBatches:
		return levelAhead
	case b.reached(l, 1):
		return levelFull
	case l.behind:
		return levelLow
	}
	return levelIdle
}

func (b bounds) reached(l load, times int) bool {
	return b.messages > 0 && l.messages >= times*b.messages || b.bytes > 0 && l.bytes >= times*b.bytes
}

// census counts a system's partitions by the level of their buffers.
type census [levels]int

// polling is what the fetcher does next.
type polling uint8

const (
	// pollNow: ask the consumer; it blocks until there is something.
	pollNow polling = iota
	// pollLater: ask when the poll interval has passed (task.poll.interval.ms),
	// or as soon as a buffer runs low.
	pollLater
	// pollHold: wait until a buffer runs low.
	pollHold
)

// overFactor times the bytes of the safety bound is what all buffers together
// may hold before the rest waits. Buffers below their own bounds hold less than
// one time that much, so there is always a full one whose emptying is waited for.
const overFactor = 2

// plan decides. A partition that had nothing at the last fetch is looked at
// again after the poll interval while others are full, so that a slow task
// does not keep an idle partition's next message waiting. over says that all
// buffers together hold too much.
func (c census) plan(over bool) polling {
	switch full := c[levelFull] + c[levelAhead]; {
	case over && full > 0:
		return pollHold
	case c[levelLow] > 0 || full == 0:
		return pollNow
	case c[levelIdle] > 0:
		return pollLater
	}
	return pollHold
}

// pauses says whether a partition of that level is to be paused now: it is far
// ahead and the consumer is going to be polled for the sake of others.
func (c census) pauses(l level) bool {
	return l == levelAhead && c.plan(false) != pollHold
}

// resumes says whether a paused partition is to be read again.
func resumes(l level) bool { return l == levelLow || l == levelIdle }
