package container

import (
	"sort"
	"sync"
	"sync/atomic"

	"heddle/system"
	"heddle/task"
)

// parcel is one fetched batch on its way to one task.
type parcel struct {
	messages []task.Message
	// next and end are the batch's Next and HighWatermark.
	next, end int64
	// count and bytes are what the batch weighs in the feed's load, also where
	// the task sees only a part of its messages.
	count, bytes int
}

// lane is one input partition of one task.
type lane struct {
	source *task.Source
	feed   *feed
	inbox  *inbox

	// from is the first offset that this task wants, until the first that it
	// does not want any more (noEnd: all). They do not change.
	from, until int64
	// rank says when its turn is.
	rank rank

	// mail is guarded by inbox.mu.
	mail []parcel

	// What follows belongs to the task's goroutine.

	// parcels are taken from mail; messages is what remains of the first.
	parcels  []parcel
	messages []task.Message
	active   bool // in the task's ring
	// last is the offset of the last processed message, if any is known.
	last  int64
	known bool
	ended bool // until is reached
	// lagging: the stream has samza.bootstrap, and head, where it ended at the
	// start, is not reached.
	lagging bool
	head    int64
	// flow is the stream's count in the container.
	flow *flow

	// position and end are for reports: the next offset to process, and where
	// the partition ended at the last fetch.
	position, end atomic.Int64
}

const noEnd = int64(1<<63 - 1)

// inbox is where the fetcher leaves a task's batches: one lock per batch.
type inbox struct {
	mu sync.Mutex
	// filled are the lanes with mail.
	filled []*lane
	sig    *signals
}

// put leaves a batch in the lane's inbox.
func (l *lane) put(b system.Batch) {
	p := parcel{messages: b.Messages, next: b.Next, end: b.HighWatermark, count: len(b.Messages), bytes: b.Bytes}
	if n := len(p.messages); n > 0 && (p.messages[0].Offset < l.from || p.messages[n-1].Offset >= l.until) {
		p.messages = cut(p.messages, l.from, l.until)
	}
	in := l.inbox
	in.mu.Lock()
	if len(l.mail) == 0 {
		in.filled = append(in.filled, l)
	}
	l.mail = append(l.mail, p)
	in.mu.Unlock()
	in.sig.raise(signalMail)
}

// cut gives the messages with offsets in [from, until).
func cut(ms []task.Message, from, until int64) []task.Message {
	a := sort.Search(len(ms), func(i int) bool { return ms[i].Offset >= from })
	b := sort.Search(len(ms), func(i int) bool { return ms[i].Offset >= until })
	return ms[a:max(a, b)]
}

// collect moves all mail to the lanes' own parcels and gives the ring with the
// lanes that became active behind it.
func (in *inbox) collect(ring []*lane) []*lane {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, l := range in.filled {
		if len(l.parcels) == 0 {
			l.parcels, l.mail = l.mail, l.parcels[:0]
		} else {
			l.parcels = append(l.parcels, l.mail...)
			clear(l.mail)
			l.mail = l.mail[:0]
		}
		if !l.active {
			l.active = true
			ring = append(ring, l)
		}
		in.filled[i] = nil
	}
	in.filled = in.filled[:0]
	return ring
}
