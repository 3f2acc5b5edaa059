package coordinator

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"heddle/config"
	"heddle/jobmodel"
	"heddle/serde"
	"heddle/storage"
	"heddle/system"
	"heddle/task"
)

// StatePage is the answer of GET /ui/api/v1/state/STORE.
type StatePage struct {
	Store string `json:"store"`
	Mode  string `json:"mode"`
	// Entries are in the order of the tasks' names, and of the encoded keys in
	// each.
	Entries []StateEntry `json:"entries"`
	// Count is the number of entries that were counted for this page.
	Count int64 `json:"count,omitzero"`
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
	// Count is the number of entries that were counted in this task.
	Count int64 `json:"count,omitzero"`
}

// StoreStatus is one store in the answer of GET /ui/api/v1/stores.
type StoreStatus struct {
	Name      string `json:"name"`
	Engine    string `json:"engine"`
	Changelog string `json:"changelog,omitzero"`
	KeySerde  string `json:"keySerde"`
	MsgSerde  string `json:"msgSerde"`
	// SideInputs are the streams, "system.stream", that fill the store instead of
	// a task; with Shared the tasks of a container have one copy.
	SideInputs []string `json:"sideInputs,omitzero"`
	Shared     bool     `json:"shared,omitzero"`
	// Entries and Bytes are sums over the tasks that tell them, of a shared store
	// those of one copy; -1: no task tells. Behind counts the messages of the side
	// inputs that are not in the store yet, of a shared one in the copy that is
	// furthest behind; -1: not known, or the store has none.
	Entries int64       `json:"entries"`
	Bytes   int64       `json:"bytes"`
	Behind  int64       `json:"behind"`
	Tasks   []StoreTask `json:"tasks"`
}

// StoreTask is a task's part of a store.
type StoreTask struct {
	Task       string `json:"task"`
	Container  string `json:"container"`
	State      string `json:"state"`
	Entries    int64  `json:"entries"`
	Bytes      int64  `json:"bytes"`
	Behind     int64  `json:"behind"`
	LastCommit int64  `json:"lastCommit,omitzero"`
	// RestoreDone of RestoreTotal changelog records, or messages of side inputs,
	// are restored; LeftMs is about how long the rest takes. Of a shared store all
	// tasks of a container tell the same.
	RestoreDone   int64 `json:"restoreDone,omitzero"`
	RestoreTotal  int64 `json:"restoreTotal,omitzero"`
	RestoreLeftMs int64 `json:"restoreLeftMs,omitzero"`
	// Downloaded of Download bytes of a snapshot have come.
	Downloaded int64 `json:"downloaded,omitzero"`
	Download   int64 `json:"download,omitzero"`
	// Source and SnapshotAt are as in StoreReport.
	Source     string `json:"source,omitzero"`
	SnapshotAt int64  `json:"snapshotAt,omitzero"`
}

// OldestSnapshot is when the task's snapshot was taken whose newest is the
// oldest, in ms; 0: a task has none, or it is not known.
func (s StoreStatus) OldestSnapshot() int64 {
	var oldest int64
	for i, t := range s.Tasks {
		if i == 0 || t.SnapshotAt < oldest {
			oldest = t.SnapshotAt
		}
	}
	return oldest
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

// states is the server's part for the state of tasks.
type states struct {
	on     bool
	stores []config.StoreConfig
	keys   map[string]task.Serde
	shared map[string]bool
	// problem is why the stores are not known.
	problem error
	tasks   []taskPlace // by name
	// owners are the tasks that read a partition of the inputs, if all inputs
	// have as many.
	owners map[int32][]int
	count  int32
	busy   chan struct{}
}

type taskPlace struct{ name, container string }

func newStates(c config.Config, m jobmodel.JobModel) *states {
	st := &states{on: config.HeddleStateQueries.Of(c), keys: map[string]task.Serde{}, shared: map[string]bool{}, busy: make(chan struct{}, maxStateRequests)}
	if st.stores, st.problem = config.Stores(c); st.problem != nil {
		return st
	}
	for _, s := range st.stores {
		st.shared[s.Name] = s.Shared
		if st.keys[s.Name], st.problem = keySerde(c, s); st.problem != nil {
			return st
		}
	}
	for id, con := range m.Containers {
		for name := range con.Tasks {
			st.tasks = append(st.tasks, taskPlace{name, id})
		}
	}
	slices.SortFunc(st.tasks, func(a, b taskPlace) int { return CompareTasks(a.name, b.name) })
	st.owners, st.count = owners(m, st.tasks)
	return st
}

func keySerde(c config.Config, s config.StoreConfig) (task.Serde, error) {
	if s.KeySerde == "" {
		return serde.Bytes{}, nil
	}
	alias, err := config.Serde(c, s.KeySerde, config.StoreKeySerde.Name(s.Name))
	if err != nil {
		return nil, err
	}
	return serde.New(alias.Name)
}

// CompareTasks orders names of tasks so that "Partition 10" comes behind
// "Partition 9".
func CompareTasks(a, b string) int {
	x, m := splitNumber(a)
	y, n := splitNumber(b)
	switch {
	case x != y:
		return strings.Compare(x, y)
	case m != n:
		return m - n
	}
	return strings.Compare(a, b)
}

func splitNumber(s string) (string, int) {
	head := strings.TrimRight(s, "0123456789")
	n, err := strconv.Atoi(s[len(head):])
	if err != nil {
		return s, 0
	}
	return head, n
}

// owners gives the tasks that read each partition of the inputs, as places in
// tasks, and the number of partitions: it is known where all inputs but the
// broadcast ones have as many.
func owners(m jobmodel.JobModel, tasks []taskPlace) (map[int32][]int, int32) {
	place := map[string]int{}
	for i, t := range tasks {
		place[t.name] = i
	}
	readers := map[jobmodel.Input][]int{}
	for _, c := range m.Containers {
		for _, t := range c.Tasks {
			for _, in := range t.Inputs {
				readers[in] = append(readers[in], place[t.Name])
			}
		}
	}
	partitions := map[jobmodel.Stream]int32{}
	out := map[int32][]int{}
	for in, who := range readers {
		if len(who) > 1 {
			continue // broadcast: no key is one task's because of it
		}
		partitions[in.StreamID()] = max(partitions[in.StreamID()], in.Partition+1)
		if !slices.Contains(out[in.Partition], who[0]) {
			out[in.Partition] = append(out[in.Partition], who[0])
		}
	}
	var count int32
	for _, n := range partitions {
		if count != 0 && n != count {
			return nil, 0
		}
		count = n
	}
	return out, count
}

// likely are the tasks, as places, whose input partitions a key falls on, by
// Samza's partitioner and by Kafka's. The store's keys need not be those of the
// inputs, so the others may have it all the same.
func (st *states) likely(store string, key []byte) []int {
	if st.count == 0 {
		return nil
	}
	var out []int
	add := func(p int32) {
		for _, i := range st.owners[p] {
			if !slices.Contains(out, i) {
				out = append(out, i)
			}
		}
	}
	if v, err := st.keys[store].Decode(key); err == nil {
		if p, ok := system.KeyPartition(v, st.count); ok {
			add(p)
		}
	}
	add(system.BytesPartition(key, st.count))
	slices.Sort(out)
	return out
}

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

// names lists the stores there are, behind a sentence.
func (st *states) names() string {
	if len(st.stores) == 0 {
		return ", nor any other"
	}
	var names []string
	for _, s := range st.stores {
		names = append(names, s.Name)
	}
	return "; there are " + strings.Join(names, ", ")
}

// places are the named task, or all.
func (st *states) places(name string) ([]int, error) {
	all := make([]int, len(st.tasks))
	for i, t := range st.tasks {
		if t.name == name {
			return []int{i}, nil
		}
		all[i] = i
	}
	if name == "" {
		return all, nil
	}
	const shown = 20
	var names []string
	for _, t := range st.tasks[:min(shown, len(st.tasks))] {
		names = append(names, t.name)
	}
	more := ""
	if len(st.tasks) > shown {
		more = fmt.Sprintf(" and %d more", len(st.tasks)-shown)
	}
	return nil, refuse(http.StatusNotFound, "the job has no task %q; there are %s%s", name, strings.Join(names, ", "), more)
}

// state answers GET /ui/api/v1/state/STORE.
func (s *Server) state(w http.ResponseWriter, r *http.Request, store string) {
	page, err := s.State(r.Context(), store, r.URL.Query())
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
	p.Tasks = append(p.Tasks, StateTask{t.name, t.container, a.CommittedAt, a.Count})
	p.Count += a.Count
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

// restoring says how far the restore of a task has come, behind a sentence.
func (s *Server) restoring(t taskPlace) string {
	var done, total int64
	for _, ts := range s.Tasks(t.container) {
		if ts.Name != t.name {
			continue
		}
		for _, r := range ts.Restores {
			done, total = done+r.Done, total+r.Total
		}
	}
	s.mu.Lock()
	if row := s.board.rows[t.container]; row != nil {
		for _, r := range row.report.Restores {
			done, total = done+r.Done, total+r.Total
		}
	}
	s.mu.Unlock()
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s restored)", percent(done, total))
}

// Stores is what GET /ui/api/v1/stores answers.
func (s *Server) Stores() ([]StoreStatus, error) {
	if s.states.problem != nil {
		return nil, s.states.problem
	}
	tasks := map[string]TaskStatus{}
	for _, t := range s.Tasks("") {
		tasks[t.Name] = t
	}
	shared := map[string]Report{} // what containers say of shared stores
	s.mu.Lock()
	for id, row := range s.board.rows {
		shared[id] = Report{SideInputs: row.report.SideInputs, Restores: row.report.Restores}
	}
	s.mu.Unlock()
	out := []StoreStatus{}
	for _, c := range s.states.stores {
		st := StoreStatus{Name: c.Name, Engine: c.Engine, KeySerde: c.KeySerde, MsgSerde: c.MsgSerde, Entries: -1, Bytes: -1, Behind: -1, Tasks: []StoreTask{}}
		if c.Logged() {
			st.Changelog = c.Changelog.System + "." + c.Changelog.Stream
		}
		st.Shared = c.Shared
		for _, in := range c.SideInputs {
			st.SideInputs = append(st.SideInputs, in.String())
		}
		for _, place := range s.states.tasks {
			t := storeTask(c.Name, place, tasks[place.name], shared[place.container])
			st.Tasks = append(st.Tasks, t)
			if c.Shared {
				st.Entries, st.Bytes, st.Behind = max(st.Entries, t.Entries), max(st.Bytes, t.Bytes), max(st.Behind, t.Behind)
				continue
			}
			st.Entries, st.Bytes, st.Behind = sum(st.Entries, t.Entries), sum(st.Bytes, t.Bytes), sum(st.Behind, t.Behind)
		}
		out = append(out, st)
	}
	return out, nil
}

// sum adds where at least one is known.
func sum(a, b int64) int64 {
	if a < 0 || b < 0 {
		return max(a, b)
	}
	return a + b
}

func storeTask(store string, place taskPlace, t TaskStatus, shared Report) StoreTask {
	st := StoreTask{Task: place.name, Container: place.container, State: t.State, Entries: -1, Bytes: -1, LastCommit: t.LastCommit}
	st.Behind = behind(store, slices.Concat(t.SideInputs, sideStatus(shared.SideInputs)))
	for _, r := range t.Stores {
		if r.Store == store {
			st.Entries, st.Bytes, st.Source, st.SnapshotAt = r.Entries, r.Bytes, r.Source, r.SnapshotAt
		}
	}
	for _, r := range slices.Concat(t.Restores, shared.Restores) {
		if r.Store == store {
			st.RestoreDone, st.RestoreTotal, st.RestoreLeftMs = r.Done, r.Total, r.LeftMs
			st.Source, st.Downloaded, st.Download = r.Source, r.Downloaded, r.Download
		}
	}
	return st
}

// behind adds up what is missing in a store; -1: not known.
func behind(store string, positions []SideInputStatus) int64 {
	n := int64(-1)
	for _, i := range positions {
		if i.Store == store {
			n = sum(n, i.Lag)
		}
	}
	return n
}

// Restore adds up how far the store's restore is in all tasks, a shared store's
// in all containers; what is left is what the slowest has left.
func (s StoreStatus) Restore() RestoreReport {
	r := RestoreReport{Store: s.Name}
	seen := map[string]bool{}
	for _, t := range s.Tasks {
		if s.Shared && seen[t.Container] {
			continue
		}
		seen[t.Container] = true
		r.Done += t.RestoreDone
		r.Total += t.RestoreTotal
		r.LeftMs = max(r.LeftMs, t.RestoreLeftMs)
		r.Downloaded += t.Downloaded
		r.Download += t.Download
	}
	return r
}

type storesJSON struct {
	Stores []StoreStatus `json:"stores"`
	// Queries is false when heddle.state.queries switches them off.
	Queries bool `json:"queries"`
}

func (s *Server) stores(w http.ResponseWriter, r *http.Request) {
	all, err := s.Stores()
	if err != nil {
		s.fail(w, r, http.StatusInternalServerError, s.clean(err.Error()))
		return
	}
	s.json(w, r, http.StatusOK, storesJSON{all, s.states.on})
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
