package coordinator

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"heddle/config"
	"heddle/jobmodel"
)

// Options are what a Server is made of.
type Options struct {
	// Model is served to the containers, without the secrets of its Config; its
	// containers' credentials are the ones that are accepted.
	Model jobmodel.JobModel
	// Config is shown under /ui/api/v1/config, with secrets masked, and names
	// the secret values that are masked wherever they turn up in messages. It is
	// Model.Config if empty.
	Config config.Config
	// Secret is the job's; without one nobody is let in: neither containers nor
	// stops.
	Secret []byte
	State  State
	Events Events
	// Executions gives the containers of the cluster that processes were started
	// in, also those that have ended, oldest first; nil if there are none.
	Executions func() []Execution
	// Logger is slog.Default() if nil; Now is time.Now if nil.
	Logger *slog.Logger
	Now    func() time.Time
	// PollWait is how long a container's question for commands is held open;
	// 25 s if 0.
	PollWait time.Duration
	// ReportEvery is how often a container is asked to report at least; 1 s if
	// 0. With many containers it is more, so that there are at most about 500
	// reports a second.
	ReportEvery time.Duration
}

// Limits of the server.
const (
	// maxReport bounds a container's report: some 10,000 tasks.
	maxReport = 16 << 20
	// maxSmall bounds all other bodies.
	maxSmall = 64 << 10
	// maxShown bounds the tasks of a page.
	maxShown = 200
	// maxText bounds messages in reports.
	maxText = 8 << 10
)

// Server is the coordinator's HTTP server (Samza: HttpServer with JobServlet,
// LocalityServlet, ContainerHeartbeatServlet). Its paths:
//
//	GET /                                  a container's credential: the JobModel; else a redirect to ui/
//	GET /locality[?processorId=ID]         as Samza's
//	GET /containerHeartbeat?executionContainerId=ID   as Samza's
//	GET /api/v1/containers/ID/next?after=N&executionContainerId=E   a container's commands, held open
//	POST /api/v1/containers/ID/report      a container's Report
//	POST /api/v1/containers/ID/answer?question=Q      a container's Answer
//	GET /ui/                               the page
//	GET /ui/state                          the page of the stores
//	GET /ui/api/v1/status, tasks[?container=ID], executions, config, stores
//	GET /ui/api/v1/state/STORE[?task=&key=&prefix=&from=&to=&limit=&cursor=&mode=&count=]
//	POST, PUT /ui/api/v1/stop              with the job's secret
//	GET /metrics, /healthz, /readyz        also below /ui/, where YARN's proxy reaches them
//
// Samza answers every other path with the JobModel; here it is 404.
type Server struct {
	opt      Options
	log      *slog.Logger
	now      func() time.Time
	allowed  credentials
	secret   string
	model    []byte
	modelGz  func() []byte
	config   []byte
	masks    *strings.Replacer
	boxes    map[string]*mailbox
	closing  chan struct{}
	closeOne sync.Once

	states *states
	asked  questions

	mu    sync.Mutex
	board *board

	// questionWithin is how long a container has for an answer; newID names
	// questions and scans.
	questionWithin time.Duration
	newID          func() string

	// headerTimeout and readTimeout bound how long a request may take to come.
	headerTimeout, readTimeout time.Duration

	http     *http.Server
	listener net.Listener
	url      string
	serveErr chan error
}

// NewServer makes a server that does not listen yet.
func NewServer(o Options) (*Server, error) {
	if o.State == nil || o.Events == nil {
		return nil, errors.New("make the coordinator's server: State and Events are needed")
	}
	if o.Config.Len() == 0 {
		o.Config = o.Model.Config
	}
	s := &Server{
		opt: o, log: o.Logger, now: o.Now,
		masks:   masks(o.Config, o.Secret),
		boxes:   map[string]*mailbox{},
		closing: make(chan struct{}),
		board:   newBoard(o.Model, sideStreams(o.Config)...),
		states:  newStates(o.Config, o.Model),

		questionWithin: questionWithin,
		newID:          rand.Text,

		headerTimeout: 10 * time.Second,
		readTimeout:   time.Minute,
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.opt.PollWait <= 0 {
		s.opt.PollWait = 25 * time.Second
	}
	if s.opt.ReportEvery <= 0 {
		s.opt.ReportEvery = ReportEvery(0)
	}
	ids := o.Model.ContainerIDs()
	if len(o.Secret) > 0 {
		s.allowed = newCredentials(o.Secret, ids)
		s.secret = SecretText(o.Secret)
	}
	for _, id := range ids {
		s.boxes[id] = &mailbox{}
	}
	// Encoded once: hundreds of containers ask at the same moment.
	served := o.Model
	served.Config = served.Config.WithoutSecrets()
	s.model = jobmodel.Encode(served)
	s.modelGz = sync.OnceValue(func() []byte { return zip(s.model) })
	var err error
	if s.config, err = encode(o.Config.Redacted().Map()); err != nil {
		return nil, fmt.Errorf("make the coordinator's server: %w", err)
	}
	return s, nil
}

// masks replaces the values of secrets, and the job's own, wherever they turn up
// in an error message or a metric. Values too short to be told from ordinary
// words are left.
func masks(cfg config.Config, secret []byte) *strings.Replacer {
	var pairs []string
	for _, v := range cfg.Secrets() {
		if len(v) >= 6 {
			pairs = append(pairs, v, config.Mask)
		}
	}
	if len(secret) > 0 {
		pairs = append(pairs, SecretText(secret), config.Mask)
	}
	return strings.NewReplacer(pairs...)
}

// clean masks and bounds a text that came from elsewhere.
func (s *Server) clean(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return s.masks.Replace(text)
}

// Listen begins to serve on this host's address and port
// (cluster-manager.jobcoordinator.url.port; 0: any free one). If the host's name
// does not lead to an address of this machine, it listens on all of them. URL
// gives the address then.
func (s *Server) Listen(host string, port int) error {
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return fmt.Errorf("find this host's name for the coordinator's server: %w", err)
		}
	}
	l, err := listen(host, port)
	var dns *net.DNSError
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.As(err, &dns) || err == nil && onlyHere(host, l) {
		if l != nil {
			_ = l.Close()
		}
		s.log.Info("the coordinator's server listens on all addresses of this machine, since its name does not lead to one that others reach", "host", host)
		l, err = listen("", port)
	}
	if err != nil {
		if port != 0 {
			return fmt.Errorf("listen on port %d for the coordinator's server (cluster-manager.jobcoordinator.url.port; 0 takes a free one): %w", port, err)
		}
		return fmt.Errorf("listen for the coordinator's server on %s: %w", host, err)
	}
	s.listener = l
	s.url = "http://" + net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)) + "/"
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.headerTimeout,
		ReadTimeout:       s.readTimeout,
		WriteTimeout:      s.opt.PollWait + time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.serveErr = make(chan error, 1)
	go func() {
		err := s.http.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.serveErr <- err
	}()
	return nil
}

func listen(host string, port int) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}

// onlyHere tells whether a name leads to a loopback address, as a machine's own
// name does on Debian: other machines, where the name leads elsewhere, would not
// be heard. Who names a loopback address means it.
func onlyHere(host string, l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback() && net.ParseIP(host) == nil && !strings.EqualFold(host, "localhost")
}

// URL is where the server listens, "http://host:port/"; empty before Listen.
// Containers get it as SAMZA_COORDINATOR_URL; the tracking URL is URL + "ui/".
func (s *Server) URL() string { return s.url }

// Shutdown ends all waiting polls, lets running answers finish until ctx ends,
// and closes the server. It may be called without Listen, and twice.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeOne.Do(func() { close(s.closing) })
	if s.http == nil {
		return nil
	}
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return fmt.Errorf("shut the coordinator's server down: %w", err)
	}
	return nil
}

// Send leaves a command for an execution of a container, which takes it at once
// if it is asking. The execution makes sure that a replacement does not get what
// was meant for its predecessor; "" stands for whichever asks. It gives the
// command's number, or 0 if the model has no such container.
func (s *Server) Send(containerID, executionID, kind string, args map[string]string) int64 {
	b := s.boxes[containerID]
	if b == nil {
		return 0
	}
	return b.put(executionID, kind, args)
}

// Report takes a container's report, as POST .../report does; the runner of a
// job in one process calls it directly.
func (s *Server) Report(containerID string, r Report) Reply {
	if !s.opt.State.Alive(r.ExecutionID) {
		return Reply{Alive: false, NextReport: s.reportEvery().Milliseconds()}
	}
	r.LastError = s.clean(r.LastError)
	r.Tasks = slices.Clone(r.Tasks)
	for i := range r.Tasks {
		r.Tasks[i].LastError = s.clean(r.Tasks[i].LastError)
	}
	s.mu.Lock()
	s.board.apply(containerID, r, s.now())
	s.mu.Unlock()
	s.opt.Events.ContainerReport(containerID, r)
	return Reply{Alive: true, NextReport: s.reportEvery().Milliseconds()}
}

func (s *Server) reportEvery() time.Duration {
	return max(s.opt.ReportEvery, ReportEvery(len(s.boxes)))
}

// Status is what GET /ui/api/v1/status answers.
func (s *Server) Status() Status {
	j, containers := s.opt.State.Job(), slices.Clone(s.opt.State.Containers())
	j.Diagnostics = s.clean(j.Diagnostics)
	for i := range containers {
		containers[i].LastExit = s.clean(containers[i].LastExit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.board.status(j, containers, s.now())
}

// Tasks is what GET /ui/api/v1/tasks answers: the tasks of a container, or of
// all for "".
func (s *Server) Tasks(containerID string) []TaskStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.board.tasks(containerID)
}

// ServeHTTP routes by hand: Go's ServeMux answers paths that are not clean by a
// redirect to an absolute path, which leads out of YARN's proxy.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
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
	case "/ui/style.css", "/ui/page.js":
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

const (
	jsonType = "application/json"
	textType = "text/plain; charset=utf-8"
)

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

// body reads a request's body up to a size.
func (s *Server) body(w http.ResponseWriter, r *http.Request, size int64) ([]byte, bool) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		s.fail(w, r, http.StatusUnsupportedMediaType, "the body must not be compressed")
		return nil, false
	}
	var buf bytes.Buffer
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, size))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		s.fail(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", size))
		return nil, false
	case err != nil:
		s.fail(w, r, http.StatusBadRequest, "the body could not be read")
		return nil, false
	}
	return buf.Bytes(), true
}

type failJSON struct {
	Error string `json:"error"`
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
	s.json(w, r, code, failJSON{message})
}

func (s *Server) json(w http.ResponseWriter, r *http.Request, code int, v any) {
	b, err := encode(v)
	if err != nil {
		s.log.Error("an answer could not be encoded", "path", r.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.send(w, r, code, jsonType, b, nil)
}

func (s *Server) text(w http.ResponseWriter, r *http.Request, code int, body string) {
	s.send(w, r, code, textType, []byte(body), nil)
}

// send writes an answer, compressed if the other side takes that and it is worth
// it; zipped gives the compressed form if there is one already.
func (s *Server) send(w http.ResponseWriter, r *http.Request, code int, kind string, body []byte, zipped func() []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	if len(body) > 1024 && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		if zipped != nil {
			body = zipped()
		} else {
			body = zip(body)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
			continue
		}
		q, has := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !has {
			return true
		}
		f, err := strconv.ParseFloat(q, 64)
		return err == nil && f > 0
	}
	return false
}

func zip(b []byte) []byte {
	var buf bytes.Buffer
	buf.Grow(len(b)/8 + 64)
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(b) // a bytes.Buffer does not fail
	_ = z.Close()
	return buf.Bytes()
}
