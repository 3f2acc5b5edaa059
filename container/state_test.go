package container

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/checkpoint"
	"heddle/config"
	"heddle/container/events"
	"heddle/coordinator"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/task"
)

// stateJob is a container that counts words, with its pages, as a job in one
// process has them: what is asked goes by HTTP to the server, over the link to the
// container, and to the task's goroutine.
type stateJob struct {
	*rig
	c     *Container
	pages *localPages
	end   func() error
}

// countWord counts the message's value in the store "counts".
func countWord(ctx task.Context, m *task.Message) error {
	return increment(ctx, string(m.ValueBytes))
}

func newStateJob(t *testing.T, partitions int32, change func(*rig)) *stateJob {
	t.Helper()
	r := newRig(t, partitions).store().set("heddle.home", t.TempDir())
	r.newTask = calls{process: countWord}.factory()
	if change != nil {
		change(r)
	}
	return startStateJob(r)
}

// startStateJob starts a job, which ends with the test.
func startStateJob(r *rig) *stateJob {
	t := r.t
	t.Helper()
	j := &stateJob{rig: r}
	j.c, j.end = r.begin(context.Background())
	model := jobmodel.JobModel{Containers: map[string]jobmodel.Container{"0": r.model()}}
	cfg := config.New(r.settings)
	j.pages = serveLocal(cfg, model, []*Container{j.c}, []*measures{newMeasures(cfg, "0")}, func(string) {}, events.Discard{}, slog.New(slog.DiscardHandler))
	if j.pages.end == nil {
		t.Fatal("there are no pages")
	}
	t.Cleanup(func() {
		j.c.Stop("the test is over")
		if err := j.end(); err != nil {
			t.Errorf("the container ended with %v", err)
		}
		if err := j.pages.close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// get asks by HTTP.
func (j *stateJob) get(path string) (int, string) {
	j.t.Helper()
	req, err := http.NewRequestWithContext(j.t.Context(), http.MethodGet, j.pages.server.URL()+"ui/"+path, nil)
	if err != nil {
		j.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		j.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		j.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// page asks for a page of the store counts; it waits while the job starts.
func (j *stateJob) page(parameters ...string) coordinator.StatePage {
	j.t.Helper()
	v := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		v.Set(parameters[i], parameters[i+1])
	}
	for {
		code, body := j.get("api/v1/state/counts?" + v.Encode())
		if code == http.StatusServiceUnavailable && j.t.Context().Err() == nil {
			continue
		}
		if code != http.StatusOK {
			j.t.Fatalf("%v: %d %s", v, code, body)
		}
		var p coordinator.StatePage
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			j.t.Fatal(err)
		}
		return p
	}
}

// pageLimit is how many entries the page of the stores shows at once.
const pageLimit = 50

// checkpointAt is a checkpoint of the store counts at a changelog offset.
func checkpointAt(offset int64) checkpoint.Checkpoint {
	return checkpoint.Checkpoint{ID: checkpoint.NewID(time.Now()), Changelogs: map[string]checkpoint.Changelog{
		"counts": {Partition: system.Partition{System: "mem", Stream: "log"}, Offset: fmt.Sprint(offset)},
	}}
}

// countOf is what a page counted; -1: nothing.
func countOf(p coordinator.StatePage) int64 {
	if p.Count == nil {
		return -1
	}
	return *p.Count
}

func shown(p coordinator.StatePage) string {
	var out []string
	for _, e := range p.Entries {
		out = append(out, fmt.Sprintf("%s:%s=%s", strings.TrimPrefix(e.Task, "Partition "), strings.Trim(string(e.Key), `"`), e.Value))
	}
	return strings.Join(out, " ")
}

// until asks until the answer is as wanted.
func (j *stateJob) until(want string, parameters ...string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), 20*time.Second)
	defer cancel()
	for {
		got := shown(j.page(parameters...))
		if got == want {
			return
		}
		if ctx.Err() != nil {
			j.t.Fatalf("%v: it says %q, want %q", parameters, got, want)
		}
	}
}

func TestLiveAndCommittedState(t *testing.T) {
	j := newStateJob(t, 1, func(r *rig) { r.fill(0, "a", "a", "b") })
	j.until("0:a=2 0:b=1", "mode", "live")
	if got := shown(j.page()); got != "" {
		t.Errorf("committed, before the first commit: %q", got)
	}
	if p := j.page("key", "a"); shown(p) != "" || p.Mode != "committed" {
		t.Errorf("%+v", p)
	}
	j.c.CommitAll()
	j.until("0:a=2 0:b=1")
	j.fill(0, "a", "c")
	j.until("0:a=3 0:b=1 0:c=1", "mode", "live")
	if got := shown(j.page()); got != "0:a=2 0:b=1" {
		t.Errorf("committed: %q", got)
	}
	if p := j.page("key", "a", "mode", "live"); shown(p) != "0:a=3" || p.Tasks[0].CommittedAt == 0 {
		t.Errorf("%+v", p)
	}
}

func TestStateIsReadPageByPageAsOfOneMoment(t *testing.T) {
	j := newStateJob(t, 3, func(r *rig) {
		for p := range int32(3) {
			for i := range 100 {
				r.fill(p, fmt.Sprintf("k%03d", i))
			}
		}
	})
	for {
		if p := j.page("count", "true", "mode", "live"); countOf(p) == 300 {
			break
		}
	}
	j.c.CommitAll()
	for {
		if p := j.page("count", "true"); countOf(p) == 300 {
			break
		}
	}
	var got []string
	cursor := ""
	for pages := 0; ; pages++ {
		parameters := []string{"limit", "7"}
		if cursor != "" {
			parameters = append(parameters, "cursor", cursor)
		}
		p := j.page(parameters...)
		for _, e := range p.Entries {
			if string(e.Value) != "1" {
				// The task under way is as it was when its first page was read; a
				// later one may be as of a later commit.
				if e.Task == "Partition 0" {
					t.Fatalf("%s of %s is %s: it is not as of the first page", e.Key, e.Task, e.Value)
				}
			}
			got = append(got, e.Task+string(e.Key))
		}
		if len(p.Entries) > 7 {
			t.Fatalf("a page of %d entries, the limit is 7", len(p.Entries))
		}
		if pages == 2 {
			// The tasks go on meanwhile.
			for i := range 100 {
				j.fill(0, fmt.Sprintf("k%03d", i), fmt.Sprintf("z%03d", i))
			}
			j.until("0:k050=2", "key", "k050", "mode", "live", "task", "Partition 0")
			j.c.CommitAll()
			j.until("0:k050=2", "key", "k050", "task", "Partition 0")
		}
		if cursor = p.Cursor; cursor == "" {
			break
		}
	}
	if len(got) != 300 || !slices.IsSorted(got) {
		t.Errorf("%d entries, sorted: %v", len(got), slices.IsSorted(got))
	}
	if unique := slices.Compact(slices.Clone(got)); len(unique) != 300 {
		t.Errorf("%d of them are different", len(unique))
	}
}

func TestStateRangesAndKeys(t *testing.T) {
	j := newStateJob(t, 2, func(r *rig) {
		r.fill(0, "a", "ab", "abc", "b")
		r.fill(1, "ab", "c")
	})
	j.until("0:a=1 0:ab=1 0:abc=1 0:b=1 1:ab=1 1:c=1", "mode", "live")
	j.c.CommitAll()
	j.until("0:a=1 0:ab=1 0:abc=1 0:b=1 1:ab=1 1:c=1")
	for want, parameters := range map[string][]string{
		"0:ab=1 0:abc=1 1:ab=1":       {"prefix", "ab"},
		"0:ab=1 0:abc=1 0:b=1 1:ab=1": {"from", "ab", "to", "c"},
		"1:c=1":                       {"key", "c"},
		"0:ab=1 1:ab=1":               {"key", "ab", "all", "true"},
		"1:ab=1":                      {"key", "ab", "task", "Partition 1"},
		"0:b=1 1:c=1":                 {"from", "b"},
		"":                            {"key", "nobody"},
		"0:a=1 0:ab=1 0:abc=1 1:ab=1": {"to", "b"},
		"0:a=1 0:ab=1 0:abc=1":        {"to", "b", "limit", "3"},
		"1:ab=1 1:c=1":                {"task", "Partition 1"},
		"0:abc=1":                     {"from", "abc", "to", "abd"},
		"0:a=1 0:ab=1 0:abc=1 0:b=1":  {"task", "Partition 0", "mode", "live"},
	} {
		if got := shown(j.page(parameters...)); got != want {
			t.Errorf("%v: %q, want %q", parameters, got, want)
		}
	}
	if p := j.page("count", "true", "prefix", "ab"); countOf(p) != 3 || len(p.Entries) != 0 || len(p.Tasks) != 2 || *p.Tasks[0].Count != 2 {
		t.Errorf("count: %+v", p)
	}
	// That a task has none is known; of entries that were not counted nothing is.
	if code, body := j.get("api/v1/state/counts?count=true&prefix=abc"); code != http.StatusOK || strings.Count(body, `"count":0`) != 1 || strings.Count(body, `"count":1`) != 2 {
		t.Errorf("count where a task has none: %d %s", code, body)
	}
	if code, body := j.get("api/v1/state/counts?prefix=abc"); code != http.StatusOK || strings.Contains(body, `"count"`) {
		t.Errorf("a range that is not counted: %d %s", code, body)
	}
	for want, c := range map[string]struct {
		code int
		path string
	}{
		`no store \"cunts\"; there are counts`:                   {404, "cunts"},
		`no task \"x\"; there are Partition 0, Partition 1`:      {404, "counts?task=x"},
		"expected committed or live":                             {400, "counts?mode=now"},
		"expected a number from 1":                               {400, "counts?limit=-1"},
		"give key, or prefix, or from and to":                    {400, "counts?key=a&prefix=b"},
		"count takes no key":                                     {400, "counts?key=a&count=true"},
		`the parameter \"kye\" is not known`:                     {400, "counts?kye=a"},
		"the cursor is none that an answer gave":                 {400, "counts?cursor=%25"},
		"ask for the range again":                                {410, "counts?cursor=eyJ0IjoiUGFydGl0aW9uIDAiLCJzIjoieCIsInAiOjF9"},
		"no key is less than the empty one":                      {400, "counts?to="},
		"the cursor is that of another task":                     {400, "counts?task=Partition+1&cursor=eyJ0IjoiUGFydGl0aW9uIDAifQ"},
		"key {\\\"base64\\\":\\\"!\\\"}: illegal base64 data at": {400, "counts?key=" + url.QueryEscape(`{"base64":"!"}`)},
	} {
		if code, body := j.get("api/v1/state/" + c.path); code != c.code || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s; want %d with %q", c.path, code, body, c.code, want)
		}
	}
}

func TestAScanIsHeldForItsNextPageOnly(t *testing.T) {
	j := newStateJob(t, 1, func(r *rig) { r.fill(0, "a", "b", "c") })
	j.until("0:a=1 0:b=1 0:c=1", "mode", "live")
	first := j.page("limit", "1", "mode", "live")
	again := []string{"limit", "1", "mode", "live", "cursor", first.Cursor}
	if got := shown(j.page(again...)); got != "0:b=1" {
		t.Errorf("the second page: %q", got)
	}
	// The same page a second time: the place has moved on.
	code, body := j.get("api/v1/state/counts?limit=1&mode=live&cursor=" + url.QueryEscape(first.Cursor))
	if code != http.StatusGone {
		t.Errorf("%d %s", code, body)
	}
	// More scans than are held: the oldest goes.
	first = j.page("limit", "1")
	if first.Cursor != "" {
		t.Fatalf("nothing is committed, but there is a next page: %+v", first)
	}
	first = j.page("limit", "1", "mode", "live")
	for range maxScans {
		j.page("limit", "1", "mode", "live")
	}
	if code, body := j.get("api/v1/state/counts?limit=1&mode=live&cursor=" + url.QueryEscape(first.Cursor)); code != http.StatusGone {
		t.Errorf("%d %s", code, body)
	}
}

func TestQueriesCanBeSwitchedOff(t *testing.T) {
	j := newStateJob(t, 1, func(r *rig) { r.set("heddle.state.queries", "false").fill(0, "the-secret-key") })
	code, body := j.get("api/v1/state/counts")
	if code != http.StatusForbidden || !strings.Contains(body, "heddle.state.queries=false") {
		t.Errorf("%d %s", code, body)
	}
	for _, path := range []string{"state", "state?store=counts&op=key&q=the-secret-key", "state?store=counts&mode=live"} {
		if code, body := j.get(path); code != http.StatusOK && code != http.StatusForbidden || strings.Contains(body, "<td>the-secret-key") || strings.Contains(body, "<form") ||
			!strings.Contains(body, "heddle.state.queries=false") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body := j.get("api/v1/stores"); code != http.StatusOK || !strings.Contains(body, `"queries":false`) {
		t.Errorf("%d %s", code, body)
	}
}

func TestStateOfATaskThatIsRestored(t *testing.T) {
	hold := make(chan struct{})
	waited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	let := sync.OnceFunc(func() { close(hold) })
	j := newStateJob(t, 1, func(r *rig) {
		r.newTask = calls{process: countWord, init: func(task.Context) error { <-hold; return nil }}.factory()
		for i := range 10 {
			if _, err := r.broker.Append("log", 0, []byte(fmt.Sprint(i)), make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
		}
		r.checkpoints.last["Partition 0"] = checkpointAt(9)
	})
	t.Cleanup(let)
	for {
		code, body := j.get("api/v1/state/counts?mode=live")
		if code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", code, body)
		}
		if strings.Contains(body, "% restored)") {
			break
		}
		if waited.Err() != nil {
			t.Fatalf("it says %s", body)
		}
	}
	code, body := j.get("state?store=counts")
	if code != http.StatusOK || !strings.Contains(body, "<progress") || !strings.Contains(body, "10 of 10 records") {
		t.Errorf("the page does not show the restore: %d %s", code, body)
	}
	let()
	if p := j.page("count", "true"); countOf(p) != 10 {
		t.Errorf("%d entries, want 10", countOf(p))
	}
}

// TestSnapshotOfThePastRun: a job whose state is on its disk shows its newest
// snapshot from its start on, without one of its own and without a commit.
func TestSnapshotOfThePastRun(t *testing.T) {
	r := newRig(t, 1).store().set("stores.counts.factory", "pebble", "job.logged.store.base.dir", t.TempDir(),
		"heddle.home", t.TempDir(), "heddle.snapshot.uri", "file://"+t.TempDir(), "heddle.snapshot.interval.ms", "1")
	r.newTask = calls{process: countWord}.factory()
	r.fill(0, "a")
	c, end := r.begin(t.Context())
	for at := int64(0); at == 0; {
		c.CommitAll() // a snapshot is taken at one
		for _, task := range c.Report().Tasks {
			for _, s := range task.Stores {
				at = s.SnapshotAt
			}
		}
	}
	c.Stop("it is enough")
	if err := end(); err != nil {
		t.Fatal(err)
	}
	r.set("heddle.snapshot.interval.ms", "600000")
	j := startStateJob(r)
	for {
		code, body := j.get("api/v1/stores")
		if code == http.StatusOK && strings.Contains(body, `"source":"local state"`) && strings.Contains(body, `"snapshotAt":1`) {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%d %s", code, body)
		}
	}
}

func TestStatePage(t *testing.T) {
	const odd = `<script>alert("x")</script>`
	j := newStateJob(t, 1, func(r *rig) {
		r.fill(0, odd)
		for i := range pageLimit + 10 {
			r.fill(0, fmt.Sprintf("k%03d", i))
		}
	})
	j.until("0:k000=1", "mode", "live", "key", "k000")
	for {
		if p := j.page("count", "true", "mode", "live"); countOf(p) == pageLimit+11 {
			break
		}
	}
	code, body := j.get("state?store=counts&op=from&q=&task=&mode=live")
	if code != http.StatusOK || !strings.Contains(body, "k000") || strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;") {
		t.Errorf("%d %s", code, body)
	}
	i := strings.Index(body, "next page")
	if i < 0 {
		t.Fatalf("there is no next page: %s", body)
	}
	next := body[strings.LastIndex(body[:i], `href="`)+6 : i-2]
	if code, body := j.get(strings.ReplaceAll(next, "&amp;", "&")); code != http.StatusOK || !strings.Contains(body, fmt.Sprintf("k%03d", pageLimit+9)) || strings.Contains(body, "next page") {
		t.Errorf("the next page: %d %s", code, body)
	}
	if _, body := j.get("state?store=counts&op=key&q=nobody&mode=live"); !strings.Contains(body, "nothing") {
		t.Errorf("nothing found: %s", body)
	}
	if code, body := j.get("state?store=cunts"); code != http.StatusOK || !strings.Contains(body, "no store") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := j.get("state?store=counts&op=key&q=&mode=nonsense"); code != http.StatusOK || !strings.Contains(body, "expected committed or live") {
		t.Errorf("%d %s", code, body)
	}
	// All links of a page are relative.
	for _, part := range strings.Split(body, `href="`)[1:] {
		if link, _, _ := strings.Cut(part, `"`); strings.HasPrefix(link, "/") || strings.Contains(link, "://") {
			t.Errorf("the link %q is not relative", link)
		}
	}
}

// A shared store is in every task: it is counted and listed once.
func TestASharedStoreIsListedOnce(t *testing.T) {
	j := newStateJob(t, 3, func(r *rig) {
		if err := r.broker.Create(system.StreamSpec{Name: "users", Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		r.set("stores.counts.changelog", "", "stores.counts.side.inputs", "mem.users", "stores.counts.msg.serde", "string", "heddle.stores.counts.shared", "true")
		r.newTask = calls{}.factory()
		delete(r.settings, "stores.counts.changelog")
		r.user(0, "a", "1")
		r.user(1, "b", "2")
	})
	j.until(`0:a="1" 0:b="2"`)
	if p := j.page("count", "true"); countOf(p) != 2 {
		t.Errorf("%+v", p)
	}
	if got := shown(j.page("task", "Partition 2")); got != `2:a="1" 2:b="2"` {
		t.Errorf("a task by its name: %q", got)
	}
	if got := shown(j.page("key", "b")); got != `0:b="2"` {
		t.Errorf("a key: %q", got)
	}
	first := j.page("limit", "1")
	if got := shown(j.page("limit", "1", "cursor", first.Cursor)); got != `0:b="2"` {
		t.Errorf("the second page: %q", got)
	}
	for {
		_, body := j.get("api/v1/stores")
		if strings.Contains(body, `"entries":2,"bytes"`) && strings.Contains(body, `"sideInputs":["mem.users"]`) && strings.Contains(body, `"shared":true`) {
			break
		}
		if strings.Contains(body, `"entries":6`) {
			t.Fatalf("it is counted once for each task: %s", body)
		}
	}
}
