package coordinator

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// choice is an option of a form.
type choice struct{ Value, Text string }

// statePageData is what the page of the stores shows.
type statePageData struct {
	JobName, JobID string
	Now            int64
	// Problem is why something is not shown.
	Problem string
	Stores  []StoreStatus
	// Queries tells that the content of the stores may be shown.
	Queries   bool
	TaskNames []string
	Ops       []choice
	Modes     []choice
	// Store, Op, Q, Task and Mode are what was asked.
	Store, Op, Q, Task, Mode string
	// Page is the answer, Next the link to the next one.
	Page *StatePage
	Next string
}

// The page's ways to choose keys.
const (
	pageKey    = "key"
	pagePrefix = "prefix"
	pageFrom   = "from"
)

// pageLimit is the number of entries on a page.
const pageLimit = 50

// statePage serves the page of the stores: their sizes, how far they are
// restored, and a form to look entries up. It works without scripts.
func (s *Server) statePage(w http.ResponseWriter, r *http.Request) {
	j := s.opt.State.Job()
	q, wrong := query(r)
	d := statePageData{
		JobName: j.Name, JobID: j.ID, Now: s.now().UnixMilli(), Queries: s.states.on,
		Ops:   []choice{{pageKey, "equal to"}, {pagePrefix, "beginning with"}, {pageFrom, "all, from"}},
		Modes: []choice{{ModeCommitted, "as of the last commit"}, {ModeLive, "live"}},
		Store: q.Get("store"), Op: q.Get("op"), Q: q.Get("q"), Task: q.Get("task"), Mode: q.Get("mode"),
	}
	var err error
	if d.Stores, err = s.Stores(); err == nil {
		err = wrong
	}
	if err != nil {
		d.Problem = s.clean(err.Error())
	}
	for _, t := range s.states.tasks {
		d.TaskNames = append(d.TaskNames, t.name)
	}
	if d.Op == "" {
		d.Op = pageFrom
	}
	if d.Store != "" {
		s.lookUp(r, q, &d)
	}
	s.renderWith(w, r, "state.html", d)
}

// lookUp answers what the form asks.
func (s *Server) lookUp(r *http.Request, q url.Values, d *statePageData) {
	v := url.Values{"limit": {fmt.Sprint(pageLimit)}}
	for _, name := range []string{"task", "mode", "cursor"} {
		if text := q.Get(name); text != "" {
			v.Set(name, text)
		}
	}
	switch d.Op {
	case pageKey, pagePrefix:
		v.Set(d.Op, d.Q)
	default:
		if d.Q != "" {
			v.Set("from", d.Q)
		}
	}
	page, err := s.State(r.Context(), d.Store, v)
	var no *stateError
	switch {
	case errors.As(err, &no):
		d.Problem = s.clean(no.message)
		return
	case err != nil:
		d.Problem = s.clean(err.Error())
		return
	}
	d.Page = &page
	if page.Cursor != "" {
		next := url.Values{"store": {d.Store}, "op": {d.Op}, "q": {d.Q}, "task": {d.Task}, "mode": {d.Mode}, "cursor": {page.Cursor}}
		d.Next = "state?" + throughProxy(next).Encode()
	}
}

// jsonText shows a key or value: as much of it as a page can bear.
func jsonText(v jsontext.Value) string {
	const limit = 4 << 10
	if len(v) > limit {
		return fmt.Sprintf("%s... (%s bytes)", v[:limit], count(len(v)))
	}
	return string(v)
}

// leftText says how long something takes; "" if that is not known.
func leftText(ms int64) string {
	if ms <= 0 {
		return ""
	}
	return ago(max(ms, time.Second.Milliseconds())+1, 1)
}
