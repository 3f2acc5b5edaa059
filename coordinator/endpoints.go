package coordinator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// container checks that the request carries the credential of this container.
func (s *Server) container(w http.ResponseWriter, r *http.Request, id string) bool {
	credential, given := bearer(r)
	owner, ok := s.allowed.container(credential)
	switch {
	case !given || !ok:
		s.unauthorized(w, r)
		return false
	case owner != id:
		s.fail(w, r, http.StatusForbidden, "the credential is another container's")
		return false
	}
	return true
}

type localityJSON struct {
	ID           string `json:"id"`
	Host         string `json:"host"`
	JMXURL       string `json:"jmx-url"`
	JMXTunneling string `json:"jmx-tunneling-url"`
}

func (s *Server) locality(w http.ResponseWriter, r *http.Request) {
	hosts := s.opt.State.Hosts()
	if q := r.URL.Query(); len(q) == 1 && q.Has("processorId") {
		id := q.Get("processorId")
		s.json(w, r, http.StatusOK, localityJSON{ID: id, Host: hosts[id]})
		return
	}
	all := struct {
		Localities map[string]localityJSON `json:"processor-localities"`
	}{map[string]localityJSON{}}
	for id, host := range hosts {
		all.Localities[id] = localityJSON{ID: id, Host: host}
	}
	s.json(w, r, http.StatusOK, all)
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("executionContainerId")
	if id == "" {
		s.fail(w, r, http.StatusBadRequest, "the parameter executionContainerId is missing")
		return
	}
	s.json(w, r, http.StatusOK, struct {
		Alive bool `json:"alive"`
	}{s.opt.State.Alive(id)})
}

// nextJSON answers a poll.
type nextJSON struct {
	Commands []Command `json:"commands"`
}

func (s *Server) next(w http.ResponseWriter, r *http.Request, id string) {
	if !s.container(w, r, id) {
		return
	}
	q := r.URL.Query()
	execution := q.Get("executionContainerId")
	var after int64
	if v := q.Get("after"); v != "" {
		var err error
		if after, err = strconv.ParseInt(v, 10, 64); err != nil || after < 0 {
			s.fail(w, r, http.StatusBadRequest, "after is no number of a command")
			return
		}
	}
	if execution == "" {
		s.fail(w, r, http.StatusBadRequest, "the parameter executionContainerId is missing")
		return
	}
	commands, err := s.Next(r.Context(), id, execution, after)
	switch {
	case errors.Is(err, ErrNotAlive):
		s.notAlive(w, r)
		return
	case err != nil:
		s.opt.Events.ContainerLost(id, execution)
		return
	}
	select {
	case <-s.closing:
		w.Header().Set("Connection", "close")
	default:
	}
	s.json(w, r, http.StatusOK, nextJSON{commands})
}

// Next waits for the commands of an execution of a container after a number, as
// GET .../next does, and gives none after a while; the runner of a job in one
// process calls it directly. The error is ErrNotAlive or the context's.
func (s *Server) Next(ctx context.Context, id, execution string, after int64) ([]Command, error) {
	timer := time.NewTimer(s.opt.PollWait)
	defer timer.Stop()
	for {
		if !s.opt.State.Alive(execution) {
			return nil, ErrNotAlive
		}
		commands, wake := s.boxes[id].take(execution, after)
		if len(commands) > 0 {
			return commands, nil
		}
		select {
		case <-wake:
		case <-timer.C:
			return []Command{}, nil
		case <-s.closing:
			return []Command{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Server) report(w http.ResponseWriter, r *http.Request, id string) {
	if !s.container(w, r, id) {
		return
	}
	body, ok := s.body(w, r, maxReport)
	if !ok {
		return
	}
	rep, err := DecodeReport(body)
	if err != nil {
		s.fail(w, r, http.StatusBadRequest, err.Error())
		return
	}
	s.json(w, r, http.StatusOK, s.Report(id, rep))
}

func (s *Server) tasks(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("container")
	if id != "" && s.boxes[id] == nil {
		s.fail(w, r, http.StatusNotFound, "the job has no container of this id")
		return
	}
	s.json(w, r, http.StatusOK, struct {
		Tasks []TaskStatus `json:"tasks"`
	}{s.Tasks(id)})
}

// executionsJSON is the answer of GET /ui/api/v1/executions.
type executionsJSON struct {
	Executions []Execution `json:"executions"`
}

func (s *Server) executions(w http.ResponseWriter, r *http.Request) {
	out := executionsJSON{[]Execution{}}
	if s.opt.Executions != nil {
		out.Executions = s.opt.Executions()
	}
	for i := range out.Executions {
		out.Executions[i].Exit = s.clean(out.Executions[i].Exit)
	}
	s.json(w, r, http.StatusOK, out)
}

// secretHeader carries the job's secret; YARN's proxy drops it, so that the
// body may have it too.
const secretHeader = "X-Heddle-Secret"

type stopJSON struct {
	Secret string `json:"secret,omitzero"`
	Reason string `json:"reason,omitzero"`
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	body, ok := s.body(w, r, maxSmall)
	if !ok {
		return
	}
	var in stopJSON
	if len(bytes.TrimSpace(body)) > 0 {
		if err := decode(body, &in); err != nil {
			s.fail(w, r, http.StatusBadRequest, `the body is not JSON like {"secret":"..."}`)
			return
		}
	}
	given := cmp.Or(r.Header.Get(secretHeader), in.Secret)
	if s.secret == "" || !sameSecret(given, s.secret) {
		s.fail(w, r, http.StatusForbidden, "stopping needs the job's secret, in the header "+secretHeader+` or in the body as {"secret":"..."}`)
		return
	}
	reason := cmp.Or(s.clean(in.Reason), "asked for over HTTP")
	s.log.Info("a stop of the job was asked for", "reason", reason, "from", r.RemoteAddr)
	s.opt.Events.StopRequested(reason)
	s.json(w, r, http.StatusAccepted, struct {
		State string `json:"state"`
	}{JobStopping})
}

// ready answers 200 while the job runs with all its containers.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	st := s.Status()
	if st.State == JobRunning && st.Containers.Running >= st.Containers.Wanted {
		s.text(w, r, http.StatusOK, "ok\n")
		return
	}
	s.text(w, r, http.StatusServiceUnavailable, fmt.Sprintf("the job is %s, %d of %d containers run\n",
		st.State, st.Containers.Running, st.Containers.Wanted))
}
