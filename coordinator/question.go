package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Questions are how the state of a running task is read. A Question travels to
// the task's container as a command (CommandQuery), on the poll that the
// container holds open; the Answer comes back by POST. What is much is answered
// in pages: each page is a Question of its own, bounded in entries, bytes and
// time, and between two of them the container holds the place, not the server.

// Modes of a Question.
const (
	// ModeCommitted shows the state as of the task's last commit.
	ModeCommitted = "committed"
	// ModeLive shows what the task itself sees now.
	ModeLive = "live"
)

// Operations of a Question.
const (
	// OpGet asks for one key, OpRange for the entries of a range, OpCount for
	// their number.
	OpGet   = "get"
	OpRange = "range"
	OpCount = "count"
)

// Question is what a container is asked about a store of one of its tasks.
type Question struct {
	// ID names the question; the answer carries it.
	ID string `json:"id"`
	// Task and Store say what is asked, Mode and Op how.
	Task  string `json:"task"`
	Store string `json:"store"`
	Mode  string `json:"mode"`
	Op    string `json:"op"`
	// From is the encoded key of a get, or the first of a range; To is behind
	// the range's last, and empty for its end.
	From []byte `json:"from,omitzero"`
	To   []byte `json:"to,omitzero"`
	// Scan names the range that this is a page of, and Page its number. Page 0
	// opens the scan; all pages see the store at the moment of that.
	Scan string `json:"scan,omitzero"`
	Page int    `json:"page,omitzero"`
	// Limit bounds the entries of the answer, Bytes their size, and Within, in
	// ms, the time for it. A single entry may have more bytes.
	Limit  int   `json:"limit,omitzero"`
	Bytes  int   `json:"bytes,omitzero"`
	Within int64 `json:"withinMs,omitzero"`
}

// Failures of an Answer.
const (
	// FailNotRunning: the container or its task starts, restores or stops.
	FailNotRunning = "not-running"
	// FailUnknown: the task or the store is not there.
	FailUnknown = "unknown"
	// FailGone: the scan's place is not held any more, or another page was
	// expected: the range has to be asked for anew.
	FailGone = "gone"
	// FailBusy: the task did not come to it in time, or there are too many
	// questions.
	FailBusy = "busy"
	// FailRead: the store could not be read.
	FailRead = "read"
)

// Answer answers a Question.
type Answer struct {
	// Failure is one of the Fail constants, with Error for people; "": none.
	Failure string `json:"failure,omitzero"`
	Error   string `json:"error,omitzero"`
	// Entries are the page's, in the order of their encoded keys; without Task.
	Entries []StateEntry `json:"entries,omitzero"`
	// Count is the number of entries that were counted.
	Count int64 `json:"count,omitzero"`
	// More: the scan has a next page.
	More bool `json:"more,omitzero"`
	// CommittedAt is when the commit was done as of which the answer is, in ms;
	// 0 if the task has not committed since it started: it is the state that was
	// restored.
	CommittedAt int64 `json:"committedAt,omitzero"`
}

// StateEntry is an entry of a store as the serdes of the store read it, as JSON;
// {"base64":"..."} stands for what is bytes or cannot be read.
type StateEntry struct {
	Task  string         `json:"task,omitzero"`
	Key   jsontext.Value `json:"key"`
	Value jsontext.Value `json:"value"`
}

// Limits of an answer.
const (
	// maxPageEntries and pageBytes bound a page.
	maxPageEntries = 10_000
	pageBytes      = 1 << 20
	// MaxAnswer bounds the body of an answer: one entry may be larger than a
	// page.
	MaxAnswer = 64 << 20
	// pageWithin is the time that a container works on a page.
	pageWithin = 2 * time.Second
	// AnswerWithin is how long a task's goroutine has until it takes a question.
	AnswerWithin = 10 * time.Second
	// questionWithin is after how long the server takes it that no answer comes.
	questionWithin = AnswerWithin + pageWithin + 3*time.Second
	// maxOpen bounds the open questions to one container.
	maxOpen = 8
)

// argQuestion is the argument of CommandQuery that holds the Question.
const argQuestion = "question"

// QuestionOf reads the Question of a CommandQuery.
func QuestionOf(c Command) (Question, error) {
	var q Question
	if err := decode([]byte(c.Args[argQuestion]), &q); err != nil {
		return Question{}, fmt.Errorf("question %.80q: %w", c.Args[argQuestion], err)
	}
	if q.ID == "" {
		return Question{}, fmt.Errorf("question %.80q: it has no id", c.Args[argQuestion])
	}
	return q, nil
}

func encodeQuestion(q Question) (string, error) {
	b, err := json.Marshal(q)
	return string(b), err
}

// questions are those that wait for an answer. The zero value is ready.
type questions struct {
	mu   sync.Mutex
	open map[string]*openQuestion
	// slots bound the open questions of each container.
	slots map[string]chan struct{}
}

type openQuestion struct {
	container string
	answer    chan Answer
}

// enter waits for a slot of the container.
func (q *questions) enter(ctx context.Context, container string) (leave func(), err error) {
	q.mu.Lock()
	if q.slots == nil {
		q.slots = map[string]chan struct{}{}
	}
	s := q.slots[container]
	if s == nil {
		s = make(chan struct{}, maxOpen)
		q.slots[container] = s
	}
	q.mu.Unlock()
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// add opens a question; the channel gets one answer at most.
func (q *questions) add(id, container string) <-chan Answer {
	a := make(chan Answer, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = map[string]*openQuestion{}
	}
	q.open[id] = &openQuestion{container, a}
	return a
}

// drop closes a question.
func (q *questions) drop(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, id)
}

// waits says whether a container is to answer a question.
func (q *questions) waits(id, container string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.open[id]
	return o != nil && o.container == container
}

// answered hands an answer to who asked; false if nobody waits for it from this
// container.
func (q *questions) answered(id, container string, a Answer) bool {
	q.mu.Lock()
	o := q.open[id]
	if o == nil || o.container != container {
		q.mu.Unlock()
		return false
	}
	delete(q.open, id)
	q.mu.Unlock()
	o.answer <- a
	return true
}

// errNoAnswer: the container did not answer in time.
var errNoAnswer = errors.New("no answer")

// put asks a container's execution and waits for the answer.
func (s *Server) put(ctx context.Context, container, execution string, q Question) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.questionWithin, errNoAnswer)
	defer cancel()
	leave, err := s.asked.enter(ctx, container)
	if err != nil {
		return Answer{}, context.Cause(ctx)
	}
	defer leave()
	text, err := encodeQuestion(q)
	if err != nil {
		return Answer{}, fmt.Errorf("encode the question: %w", err)
	}
	answer := s.asked.add(q.ID, container)
	defer s.asked.drop(q.ID)
	seq := s.Send(container, execution, CommandQuery, map[string]string{argQuestion: text})
	defer s.boxes[container].withdraw(seq)
	look := time.NewTicker(endedEvery)
	defer look.Stop()
	for {
		select {
		case a := <-answer:
			return a, nil
		case <-s.closing:
			return Answer{}, errClosing
		case <-ctx.Done():
			return Answer{}, context.Cause(ctx)
		case <-look.C:
			if !s.opt.State.Alive(execution) {
				return Answer{}, errEnded
			}
		}
	}
}

// errEnded: the container was asked, and ended before it answered.
var errEnded = errors.New("it has ended")

// endedEvery is how often it is looked whether who was asked still counts.
const endedEvery = 250 * time.Millisecond

// errClosing: the server ends.
var errClosing = errors.New("the application master is ending")
