package coordinator

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"

	"heddle/config"
	"heddle/storage"
	"heddle/task"
)

// stateRequest is what somebody wants to see.
type stateRequest struct {
	store, mode, op string
	// tasks are places; all if nobody named one. named: just these are to be
	// asked, also for a key that is likely to be elsewhere.
	tasks    []int
	named    bool
	from, to []byte
	limit    int
	cursor   cursor
}

// cursor says where the next page begins.
type cursor struct {
	Task string `json:"t"`
	// Scan and Page name the place that the container holds; "" begins the task.
	Scan string `json:"s,omitzero"`
	Page int    `json:"p,omitzero"`
	// Execution is that of the container which holds it.
	Execution string `json:"x,omitzero"`
}

func (c cursor) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Page < 0 || c.Task == "" {
		return c, refuse(http.StatusBadRequest, "the cursor is none that an answer gave")
	}
	return c, nil
}

// parse reads the parameters of a request; no I/O.
func (st *states) parse(store string, q url.Values) (r stateRequest, err error) {
	switch {
	case !st.on:
		return r, refuse(http.StatusForbidden, "the job's state is not shown: %s=false", config.HeddleStateQueries.Name())
	case st.problem != nil:
		return r, refuse(http.StatusInternalServerError, "the job's stores: %v", st.problem)
	}
	r = stateRequest{store: store, mode: ModeCommitted, op: OpRange, limit: defaultLimit}
	keys, ok := st.keys[store]
	if !ok {
		return r, refuse(http.StatusNotFound, "the job has no store %q%s", store, st.names())
	}
	for name := range q {
		switch name {
		case "task", "all", "key", "from", "to", "prefix", "limit", "cursor", "mode", "count":
		default:
			return r, refuse(http.StatusBadRequest, "the parameter %q is not known; there are task, all, key, from, to, prefix, limit, cursor, mode and count", name)
		}
	}
	if v := q.Get("mode"); v != "" {
		if r.mode = v; v != ModeCommitted && v != ModeLive {
			return r, refuse(http.StatusBadRequest, "mode=%s: expected %s or %s", v, ModeCommitted, ModeLive)
		}
	}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return r, refuse(http.StatusBadRequest, "limit=%s: expected a number from 1 to %d", v, maxPageEntries)
		}
		r.limit = min(n, maxPageEntries)
	}
	if r.tasks, err = st.places(q.Get("task")); err != nil {
		return r, err
	}
	r.named = q.Get("task") != "" || q.Has("all")
	if r.cursor, err = parseCursor(q.Get("cursor")); err != nil {
		return r, err
	}
	if err := r.bounds(keys, q); err != nil {
		return r, refuse(http.StatusBadRequest, "store %q: %v", store, err)
	}
	return r, nil
}

// bounds reads what keys are asked for.
func (r *stateRequest) bounds(keys task.Serde, q url.Values) (err error) {
	ranged := q.Has("from") || q.Has("to")
	switch {
	case q.Has("key") && (ranged || q.Has("prefix")) || ranged && q.Has("prefix"):
		return errors.New("give key, or prefix, or from and to")
	case q.Has("key") && q.Has("count"):
		return errors.New("count takes no key")
	case q.Has("key"):
		r.op = OpGet
		r.from, err = storage.ParseKey(keys, q.Get("key"))
		return err
	}
	if q.Has("count") {
		r.op = OpCount
	}
	if q.Has("prefix") {
		if r.from, err = storage.ParsePrefix(keys, q.Get("prefix")); err == nil {
			r.to = storage.EndOf(r.from)
		}
		return err
	}
	if q.Has("from") {
		if r.from, err = storage.ParseKey(keys, q.Get("from")); err != nil {
			return err
		}
	}
	if q.Has("to") {
		r.to, err = storage.ParseKey(keys, q.Get("to"))
		if err == nil && len(r.to) == 0 {
			err = errors.New("no key is less than the empty one: leave out to")
		}
	}
	return err
}
