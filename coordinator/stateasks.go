package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// stateOfKey asks first the tasks that are likely to have the key, then, if they
// have not, all others.
func (s *Server) stateOfKey(ctx context.Context, r stateRequest) (StatePage, error) {
	p := StatePage{Store: r.store, Mode: r.mode, Entries: []StateEntry{}, Tasks: []StateTask{}}
	rest := r.tasks
	if !r.named {
		first := s.states.likely(r.store, r.from)
		err := s.askAll(ctx, r, first, &p)
		if len(p.Entries) > 0 || err != nil && len(first) == len(r.tasks) {
			return p, err
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(i int) bool { return slices.Contains(first, i) })
		if err != nil {
			// Another task may have it; if none has, this is why it is not known.
			if also := s.askAll(ctx, r, rest, &p); len(p.Entries) > 0 {
				return p, also
			}
			return StatePage{}, err
		}
	}
	if err := s.askAll(ctx, r, rest, &p); err != nil && len(p.Entries) == 0 {
		return StatePage{}, err
	}
	return p, nil
}

// askAll asks several tasks for a key, and adds what they have to the page.
func (s *Server) askAll(ctx context.Context, r stateRequest, places []int, p *StatePage) error {
	answers := make([]Answer, len(places))
	errs := make([]error, len(places))
	var wg sync.WaitGroup
	slots := make(chan struct{}, asksAtOnce)
	for n, i := range places {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answers[n], _, errs[n] = s.askTask(ctx, i, "", Question{Store: r.store, Mode: r.mode, Op: OpGet, From: r.from})
		})
	}
	wg.Wait()
	var first error
	for n, i := range places {
		if errs[n] != nil {
			if first == nil {
				first = errs[n]
			}
			continue
		}
		p.add(s.states.tasks[i], answers[n])
	}
	return first
}

// add takes a task's answer into the page.
func (p *StatePage) add(t taskPlace, a Answer) (size int) {
	st := StateTask{Task: t.name, Container: t.container, CommittedAt: a.CommittedAt}
	if p.Count != nil {
		st.Count = &a.Count
		*p.Count += a.Count
	}
	p.Tasks = append(p.Tasks, st)
	for _, e := range a.Entries {
		e.Task = t.name
		size += len(e.Key) + len(e.Value)
		p.Entries = append(p.Entries, e)
	}
	return size
}

// stateOfRange fills a page from one task after the other.
func (s *Server) stateOfRange(ctx context.Context, r stateRequest) (StatePage, error) {
	p := StatePage{Store: r.store, Mode: r.mode, Entries: []StateEntry{}, Tasks: []StateTask{}}
	if r.op == OpCount {
		p.Count = new(int64)
	}
	at := r.cursor
	n := 0
	if at.Task != "" {
		if n = slices.IndexFunc(r.tasks, func(i int) bool { return s.states.tasks[i].name == at.Task }); n < 0 {
			return p, refuse(http.StatusBadRequest, "the cursor is that of another task")
		}
	}
	began := s.now()
	room := pageBytes
	for ; n < len(r.tasks); n++ {
		place := s.states.tasks[r.tasks[n]]
		if n > 0 && at.Task != place.name {
			if len(p.Entries) >= r.limit || room <= 0 || s.now().Sub(began) >= stateBudget {
				p.Cursor = cursor{Task: place.name}.text()
				return p, nil
			}
		}
		q := Question{
			Store: r.store, Mode: r.mode, Op: r.op, From: r.from, To: r.to,
			Limit: r.limit - len(p.Entries), Bytes: room, Within: pageWithin.Milliseconds(),
			Scan: at.Scan, Page: at.Page,
		}
		if at.Task != place.name || at.Scan == "" {
			at = cursor{Task: place.name, Scan: s.newID()}
			q.Scan, q.Page = at.Scan, 0
		}
		a, execution, err := s.askTask(ctx, r.tasks[n], at.Execution, q)
		if err != nil {
			if len(p.Tasks) > 0 {
				// What was read is not lost by a task that comes later.
				p.Cursor = cursor{Task: place.name}.text()
				return p, nil
			}
			return p, err
		}
		room -= p.add(place, a)
		if a.More {
			at.Page++
			at.Execution = execution
			p.Cursor = at.text()
			return p, nil
		}
	}
	return p, nil
}

// askTask asks one task. A scan is held by one execution of the container, if
// one is given.
func (s *Server) askTask(ctx context.Context, place int, execution string, q Question) (Answer, string, error) {
	t := s.states.tasks[place]
	now, err := s.running(t)
	if err != nil {
		return Answer{}, "", err
	}
	if execution != "" && execution != now {
		return Answer{}, "", refuse(http.StatusGone, "the container of task %q was started anew since the first page; ask for the range again from its beginning", t.name)
	}
	q.ID, q.Task = s.newID(), t.name
	a, err := s.put(ctx, t.container, now, q)
	switch {
	case errors.Is(err, errNoAnswer):
		return a, now, refuse(http.StatusGatewayTimeout, "container %s, which runs task %q, did not answer within %v; it may be frozen, or cut off from the application master", t.container, t.name, s.questionWithin)
	case errors.Is(err, errEnded):
		return a, now, refuse(http.StatusServiceUnavailable, "container %s, which runs task %q, ended while it was asked; try again when it runs", t.container, t.name)
	case errors.Is(err, errClosing):
		return a, now, refuse(http.StatusServiceUnavailable, "%v", err)
	case err != nil:
		return a, now, fmt.Errorf("ask task %q: %w", t.name, err)
	}
	switch a.Failure {
	case "":
		return a, now, nil
	case FailUnknown:
		return a, now, refuse(http.StatusNotFound, "%s", a.Error)
	case FailGone:
		return a, now, refuse(http.StatusGone, "%s", a.Error)
	case FailNotRunning:
		return a, now, refuse(http.StatusServiceUnavailable, "%s%s", a.Error, s.restoring(t))
	case FailBusy:
		return a, now, refuse(http.StatusServiceUnavailable, "%s", a.Error)
	}
	return a, now, refuse(http.StatusInternalServerError, "%s", a.Error)
}

// running gives the execution of the task's container, which has reported.
func (s *Server) running(t taskPlace) (execution string, err error) {
	state := ContainerWaiting
	for _, c := range s.opt.State.Containers() {
		if c.ID == t.container {
			state, execution = c.State, c.ExecutionID
			break
		}
	}
	s.mu.Lock()
	row := s.board.rows[t.container]
	heard := row != nil && row.report.ExecutionID == execution
	s.mu.Unlock()
	switch state {
	case ContainerStarting, ContainerRestoring, ContainerRunning, ContainerPaused:
		if heard {
			return execution, nil
		}
		state = ContainerStarting
	}
	return "", refuse(http.StatusServiceUnavailable, "container %s, which runs task %q, is %s; try again when it runs", t.container, t.name, state)
}

// answer takes the answer of a container to a question.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, id string) {
	if !s.container(w, r, id) {
		return
	}
	question := r.URL.Query().Get("question")
	if !s.asked.waits(question, id) {
		// Whoever asked has given up. That is no fault of the container.
		s.json(w, r, http.StatusOK, struct{}{})
		return
	}
	body, ok := s.body(w, r, MaxAnswer)
	if !ok {
		return
	}
	var a Answer
	if err := decode(body, &a); err != nil {
		s.fail(w, r, http.StatusBadRequest, "the answer is no JSON object as expected")
		return
	}
	s.Answered(id, question, a)
	s.json(w, r, http.StatusOK, struct{}{})
}

// Answered takes the answer of a container to a question, as POST .../answer
// does; the runner of a job in one process calls it directly.
func (s *Server) Answered(containerID, question string, a Answer) {
	s.asked.answered(question, containerID, a)
}
