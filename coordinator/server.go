package coordinator

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
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
// Samza answers every other path with the JobModel; here it is 404. A server that
// only this machine reaches answers only under its own names, all else is 403.
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
	door     door
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
	return reportEvery(s.opt.ReportEvery, len(s.boxes))
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

const (
	jsonType = "application/json"
	textType = "text/plain; charset=utf-8"
)
