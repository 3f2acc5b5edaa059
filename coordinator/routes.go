package coordinator

import (
	"fmt"
	"net/http"
	"strings"
)

// ServeHTTP routes by hand: Go's ServeMux answers paths that are not clean by a
// redirect to an absolute path, which leads out of YARN's proxy.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if !s.door.admits(r.Host) {
		s.fail(w, r, http.StatusForbidden, fmt.Sprintf("this page is for this machine alone and does not answer to the name %q; open %sui/", r.Host, s.url))
		return
	}
	path := r.URL.Path
	// A link that was written for the root but comes by the proxy, which puts
	// ui/ before all that it passes on.
	if rest, ok := strings.CutPrefix(path, "/ui/ui/"); ok {
		path = "/ui/" + rest
	}
	switch path {
	case "/":
		s.get(w, r, s.root)
	case "/ui", "/ui/ui":
		s.get(w, r, func(w http.ResponseWriter, r *http.Request) { redirect(w, "ui/") })
	case "/locality":
		s.get(w, r, s.locality)
	case "/containerHeartbeat":
		s.get(w, r, s.heartbeat)
	case "/ui/":
		s.get(w, r, s.page)
	case "/ui/state":
		s.get(w, r, s.statePage)
	case "/ui/live":
		s.get(w, r, s.live)
	case "/ui/style.css", "/ui/page.js", "/ui/state.js":
		s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.asset(w, r, strings.TrimPrefix(path, "/ui/")) })
	case "/ui/api/v1/status":
		s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.json(w, r, http.StatusOK, s.Status()) })
	case "/ui/api/v1/tasks":
		s.get(w, r, s.tasks)
	case "/ui/api/v1/executions":
		s.get(w, r, s.executions)
	case "/ui/api/v1/stores":
		s.get(w, r, s.stores)
	case "/ui/api/v1/config":
		s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.send(w, r, http.StatusOK, jsonType, s.config, nil) })
	case "/ui/api/v1/stop":
		s.only(w, r, s.stop, http.MethodPost, http.MethodPut)
	case "/metrics", "/ui/metrics":
		s.get(w, r, s.metrics)
	case "/healthz", "/ui/healthz":
		s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.text(w, r, http.StatusOK, "ok\n") })
	case "/readyz", "/ui/readyz":
		s.get(w, r, s.ready)
	default:
		if store, ok := strings.CutPrefix(path, "/ui/api/v1/state/"); ok && store != "" {
			s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.state(w, r, store) })
			return
		}
		if id, what, ok := containerPath(path); ok {
			switch what {
			case "answer":
				s.only(w, r, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, id) }, http.MethodPost, http.MethodPut)
			case "next":
				s.get(w, r, func(w http.ResponseWriter, r *http.Request) { s.next(w, r, id) })
			default:
				s.only(w, r, func(w http.ResponseWriter, r *http.Request) { s.report(w, r, id) }, http.MethodPost, http.MethodPut)
			}
			return
		}
		s.fail(w, r, http.StatusNotFound, "there is no such page; the job's pages begin at /ui/")
	}
}

// containerPath takes /api/v1/containers/ID/next, .../report and .../answer
// apart.
func containerPath(path string) (id, what string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/api/v1/containers/")
	if !ok {
		return "", "", false
	}
	id, what, ok = strings.Cut(rest, "/")
	return id, what, ok && id != "" && (what == "next" || what == "report" || what == "answer")
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	s.only(w, r, h, http.MethodGet, http.MethodHead)
}

func (s *Server) only(w http.ResponseWriter, r *http.Request, h http.HandlerFunc, methods ...string) {
	for _, m := range methods {
		if r.Method == m {
			h(w, r)
			return
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	s.fail(w, r, http.StatusMethodNotAllowed, "use "+strings.Join(methods, " or "))
}

// redirect sends to a path relative to the one asked for. http.Redirect would
// make it absolute.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

func (s *Server) root(w http.ResponseWriter, r *http.Request) {
	credential, given := bearer(r)
	if !given {
		redirect(w, "ui/")
		return
	}
	if _, ok := s.allowed.container(credential); !ok {
		s.unauthorized(w, r)
		return
	}
	// An execution that was given up before it began must not begin: another has
	// its tasks.
	if e := r.URL.Query().Get("executionContainerId"); e != "" && !s.opt.State.Alive(e) {
		s.notAlive(w, r)
		return
	}
	s.send(w, r, http.StatusOK, jsonType, s.model, s.modelGz)
}

func (s *Server) notAlive(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, http.StatusConflict, "this execution of the container is not, or no longer, the one that counts")
}

func bearer(r *http.Request) (credential string, given bool) {
	kind, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(credential), strings.EqualFold(kind, "Bearer")
}

func (s *Server) unauthorized(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="heddle"`)
	s.fail(w, r, http.StatusUnauthorized, "the credential is not one of a container of this job")
}
