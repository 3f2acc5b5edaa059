// Package events says what happens in containers of this process, for whoever
// shows it: internal/console on a terminal, a log otherwise. Events come per
// batch of work, per commit, per second; never per message.
package events

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Sink is told what happens. Event may be called from any goroutine, must not
// block for long, and must not keep anything waiting for it.
type Sink interface {
	Event(e Event)
}

// Event is one of the types of this package.
type Event interface{ event() }

// Discard is a Sink that forgets.
type Discard struct{}

// Event does nothing.
func (Discard) Event(Event) {}

// Input is one input partition and where it is read from.
type Input struct {
	Stream    string // system.stream
	Partition int32
	// Offset is the first message that is read; Ahead is how many offsets lie
	// between it and the partition's end.
	Offset, Ahead int64
	// From says why, in words: "the checkpoint".
	From string
	// Lost counts messages that the checkpoint had not passed and that the
	// partition no longer holds.
	Lost int64
}

// Service: something runs beside the job, in this process or another of this
// machine.
type Service struct {
	// Name is what it is, Address where it listens, Folder where its data lies.
	Name, Address, Folder string
}

// Assigned: a container knows its tasks and where each begins.
type Assigned struct {
	Container string
	Tasks     []AssignedTask
}

// AssignedTask is one task of Assigned.
type AssignedTask struct {
	Name   string
	Inputs []Input
}

// Restored: a task's logged stores are as the last commit left them.
type Restored struct {
	Container, Task string
	Stores          []string
	// Records were read from the changelogs.
	Records int64
	Took    time.Duration
}

// Filled: a store holds what its side inputs had at the start.
type Filled struct {
	// Task is "" for a store that all tasks of the container share.
	Container, Task, Store string
	// Streams are the side inputs, system.stream. Messages were read from them;
	// what lay on the disk already is not read again.
	Streams  []string
	Messages int64
	Took     time.Duration
}

// Running: all tasks of a container are initialised and are read for.
type Running struct{ Container string }

// Received is a sample of what a task is given.
type Received struct {
	Task, Stream string
	Key, Value   string
	HasKey       bool
}

// Windowed: a task's Window returned.
type Windowed struct {
	Task string
	// Sent is how many messages it sent.
	Sent int64
	Took time.Duration
}

// Sent is a sample of what a task sent.
type Sent struct {
	Task, Stream string
	Key, Value   string
	HasKey       bool
}

// Committed: a task's checkpoint is safe.
type Committed struct {
	Task string
	// Messages were processed and Sent were sent since the last commit.
	Messages, Sent int64
	Took           time.Duration
	// Final: it is the last one, of a graceful stop.
	Final bool
}

// Dropped: a message was passed over, as the configuration says. It comes at
// most once a second and task.
type Dropped struct {
	Task, What, Cause string
	// Total since the start.
	Total int64
}

// Stopping: a container ends in order.
type Stopping struct{ Container, Why string }

// Stopped: a container has ended; Err is nil after a graceful stop.
type Stopped struct {
	Container string
	Err       error
}

// Progress comes each second for each container.
type Progress struct {
	Container string
	At        time.Time
	// Streams counts since the start, by system.stream.
	In, Out map[string]Flow
	Windows int64
	Commits int64
	// Lag is how many offsets lie between what was processed and the inputs'
	// ends, as far as the fetches told; CaughtUp: it is none.
	Lag int64
}

// Flow is what went through a stream.
type Flow struct{ Messages, Bytes int64 }

func (Service) event()   {}
func (Assigned) event()  {}
func (Restored) event()  {}
func (Filled) event()    {}
func (Running) event()   {}
func (Received) event()  {}
func (Windowed) event()  {}
func (Sent) event()      {}
func (Committed) event() {}
func (Dropped) event()   {}
func (Stopping) event()  {}
func (Stopped) event()   {}
func (Progress) event()  {}

// previewLength bounds what is shown of a key or value, in bytes.
const previewLength = 400

// Preview is what a person sees of a message's bytes: the text, if it is one;
// else the value that they were made of; else their length. It is short.
func Preview(b []byte, v any) string {
	if text, ok := printable(b); ok {
		return text
	}
	switch v.(type) {
	case nil, []byte:
		return fmt.Sprintf("%d bytes", len(b))
	}
	if text, ok := printable(fmt.Append(nil, v)); ok {
		return text
	}
	return fmt.Sprintf("%d bytes", len(b))
}

func printable(b []byte) (string, bool) {
	short := b
	if len(short) > previewLength {
		short = short[:previewLength]
		for len(short) > 0 && !utf8.RuneStart(b[len(short)]) {
			short = short[:len(short)-1]
		}
	}
	if !utf8.Valid(short) {
		return "", false
	}
	for _, r := range string(short) {
		if r != '\t' && r != '\n' && r != '\r' && !unicode.IsPrint(r) {
			return "", false
		}
	}
	if len(short) < len(b) {
		return string(short) + "...", true
	}
	return string(short), true
}
