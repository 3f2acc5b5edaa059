package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// StatePage is the answer of GET /ui/api/v1/state/STORE.
type StatePage struct {
	Store string `json:"store"`
	Mode  string `json:"mode"`
	// Entries are in the order of the tasks' names, and of the encoded keys in
	// each.
	Entries []StateEntry `json:"entries"`
	// Count is the number of entries that were counted for this page; nil if it was
	// not asked for.
	Count *int64 `json:"count,omitzero"`
	// Cursor asks for the next page, with otherwise the same parameters; "":
	// there is none. The place is held for a minute.
	Cursor string `json:"cursor,omitzero"`
	// Tasks are those that were asked for this page.
	Tasks []StateTask `json:"tasks"`
}

// StateTask is a task that was asked.
type StateTask struct {
	Task      string `json:"task"`
	Container string `json:"container"`
	// CommittedAt is when the commit was done that the answer is as of, in ms; 0
	// for the state that was restored. In live mode it is the last one.
	CommittedAt int64 `json:"committedAt,omitzero"`
	// Count is the number of entries that were counted in this task for this page;
	// nil if it was not asked for.
	Count *int64 `json:"count,omitzero"`
}

// Limits of what is asked of the server.
const (
	defaultLimit = 100
	// maxStateRequests are answered at the same time.
	maxStateRequests = 32
	// stateBudget is after how long a page is closed although there is room in
	// it; stateWithin bounds the whole request.
	stateBudget = 4 * time.Second
	stateWithin = 40 * time.Second
	// asksAtOnce bounds how many tasks are asked for a key at a time.
	asksAtOnce = 16
)

// stateError is why a request about the state is not answered.
type stateError struct {
	code    int // of HTTP
	message string
}

func (e *stateError) Error() string { return e.message }

func refuse(code int, format string, args ...any) *stateError {
	return &stateError{code, fmt.Sprintf(format, args...)}
}

// state answers GET /ui/api/v1/state/STORE.
func (s *Server) state(w http.ResponseWriter, r *http.Request, store string) {
	q, err := query(r)
	var page StatePage
	if err == nil {
		page, err = s.State(r.Context(), store, q)
	}
	var no *stateError
	switch {
	case r.Context().Err() != nil:
	case errors.As(err, &no):
		s.fail(w, r, no.code, s.clean(no.message))
	case err != nil:
		s.fail(w, r, http.StatusInternalServerError, s.clean(err.Error()))
	default:
		s.json(w, r, http.StatusOK, page)
	}
}

// State reads the state of the job's tasks: a page of it.
func (s *Server) State(ctx context.Context, store string, q url.Values) (StatePage, error) {
	r, err := s.states.parse(store, q)
	if err != nil {
		return StatePage{}, err
	}
	select {
	case s.states.busy <- struct{}{}:
		defer func() { <-s.states.busy }()
	default:
		return StatePage{}, refuse(http.StatusServiceUnavailable, "%d questions about the state are being answered already; try again soon", maxStateRequests)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stateWithin, errNoAnswer)
	defer cancel()
	if s.states.shared[store] && !r.named {
		r.tasks, r.named = s.oneOf(r), true
	}
	if r.op == OpGet {
		return s.stateOfKey(ctx, r)
	}
	return s.stateOfRange(ctx, r)
}

// oneOf chooses the task that is asked for a shared store, of which all have the
// same: the one that the cursor names, else the first that can be asked.
func (s *Server) oneOf(r stateRequest) []int {
	for n, i := range r.tasks {
		if r.cursor.Task == s.states.tasks[i].name {
			return r.tasks[n : n+1]
		}
	}
	for n, i := range r.tasks {
		if _, err := s.running(s.states.tasks[i]); err == nil {
			return r.tasks[n : n+1]
		}
	}
	return r.tasks[:min(1, len(r.tasks))]
}
