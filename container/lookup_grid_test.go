//go:build grid

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"heddle/coordinator"
	"heddle/internal/grid"
	"heddle/system"
	"heddle/table"
)

// cities is a service with faults.
type cities struct {
	t testing.TB

	mu     sync.Mutex
	down   bool // it answers 500 to everything
	calls  int
	failed map[string]int // by fault
	keys   []time.Time    // when each key was asked for or written
	asked  map[string]int // reads of a code
	seen   map[string]string
	counts table.Counts
}

func cityOf(code string) (string, bool) { return "city of " + code, !strings.HasSuffix(code, "7") }

func (c *cities) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.calls++
	n, down := c.calls, c.down
	now := time.Now()
	fail := func(what string, code int) {
		c.failed[what]++
		c.mu.Unlock()
		http.Error(w, what, code)
	}
	codes := r.URL.Query()["code"]
	put := map[string]string{}
	switch r.URL.Path {
	case "/counts":
		defer c.mu.Unlock()
		if err := json.NewDecoder(r.Body).Decode(&c.counts); err != nil {
			c.t.Error(err)
		}
		return
	case "/seen":
		if err := json.NewDecoder(r.Body).Decode(&put); err != nil {
			c.t.Error(err)
		}
	}
	for range len(codes) + len(put) {
		c.keys = append(c.keys, now)
	}
	if len(codes) > lookUpBatch || len(put) > lookUpBatch {
		c.t.Errorf("a call has %d keys", len(codes)+len(put))
	}
	switch {
	case down:
		fail("down", http.StatusInternalServerError)
		return
	case n%7 == 3:
		fail("500", http.StatusInternalServerError)
		return
	case n%97 == 5: // the answer comes when nobody waits for it any more; a write has been done
		c.failed["late"]++
		maps.Copy(c.seen, put)
		c.mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-time.After(10 * lookUpTimeout):
		}
		return
	case n%43 == 9:
		c.failed["cut off"]++
		c.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	maps.Copy(c.seen, put)
	answer := map[string]string{}
	for _, code := range codes {
		c.asked[code]++
		if city, ok := cityOf(code); ok {
			answer[code] = city
		}
	}
	c.mu.Unlock()
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone is the test's own doing
}

// A task that looks things up in a service by HTTP, in a process of its own, on a
// real Kafka: a seventh of the calls fail, some answers come too late and some
// connections break, the service is down for longer than is tried, and the
// process is killed. Each message is answered once all the same, with what the
// service has; the service is never asked faster than allowed, nor for more keys
// at once, and mostly not twice for what it has told.
func TestGridTableOverAService(t *testing.T) {
	t.Parallel()
	g := grid.Use(t, grid.Kafka)
	c := &cities{t: t, failed: map[string]int{}, asked: map[string]int{}, seen: map[string]string{}}
	service := httptest.NewServer(c)
	defer service.Close()
	j := newGridJob(t, g, "heddle.processing.guarantee", "exactly-once", "task.class", "lookup", "task.commit.ms", "200")
	j.create("in", 2)
	j.create("out", 2)
	j.create("totals", 1)
	f := newFleet(t, j)
	f.c.stderr = f.said
	start := func(execution string) {
		cmd := f.c.processOf("0", execution, serviceAddress+"="+service.URL)
		dead := make(chan struct{})
		go func() {
			defer close(dead)
			_ = cmd.Wait() // looked at in cmd.ProcessState
		}()
		f.live["0"], f.dead["0"] = cmd, dead
		f.reported(execution, func(coordinator.Report) bool { return true })
	}
	var want []string
	feed := func(n int) {
		records := make([][]system.Record, 2)
		for i := range n {
			p := i % 2
			answer := []string{fmt.Sprintf("%d/%d", p, f.fed[p])}
			var codes []string
			for k := range 5 {
				code := fmt.Sprint((f.fed[p]*3 + p + k*41) % 211)
				city, ok := cityOf(code)
				if !ok {
					city = "nowhere"
				}
				codes, answer = append(codes, code), append(answer, code+"="+city)
			}
			f.fed[p]++
			want = append(want, strings.Join(answer, " "))
			records[p] = append(records[p], system.Record{At: int32(p) + 1, Value: []byte(strings.Join(codes, " "))})
		}
		for _, r := range records {
			j.produce("in", r...)
		}
	}
	began := time.Now()
	start("exec_1")
	feed(200)
	f.caughtUp("exec_1")

	// Killed in the middle of it.
	feed(400)
	f.reported("exec_1", func(r coordinator.Report) bool { return r.Counters.Processed > 300 })
	if err := f.live["0"].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-f.dead["0"]

	// Down for longer than is tried: the container ends and says why.
	c.mu.Lock()
	c.down = true
	c.mu.Unlock()
	cmd := f.c.processOf("0", "exec_2", serviceAddress+"="+service.URL)
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != exitFailed {
		t.Errorf("without its service it ended with %v", err)
	}
	for _, says := range []string{`table \"cities\": `, "the service says 500 Internal Server Error"} {
		if n, _ := f.said.Lines(0, says); n == 0 {
			t.Errorf("it does not say %s:\n%s", says, tailOfText(f.said.String()))
		}
	}
	c.mu.Lock()
	c.down = false
	c.mu.Unlock()

	start("exec_3")
	f.caughtUp("exec_3")
	f.end("0", "exec_3")
	took := time.Since(began)
	var got []string
	for _, m := range j.read("out") {
		got = append(got, string(m.ValueBytes))
	}
	d := grid.Tally(want, got)
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("answers: %s; %d calls with %d keys in %v, failed: %v; the last process's table: %+v", d, c.calls, len(c.keys), took.Round(time.Millisecond), c.failed, c.counts)
	if !d.Exact() {
		t.Errorf("not exact: %s", d)
	}
	for _, w := range want {
		place, _, _ := strings.Cut(w, " ")
		if c.seen[place] != w {
			t.Errorf("the service was told %q of %s, want %q", c.seen[place], place, w)
		}
	}
	if len(c.seen) != len(want) {
		t.Errorf("the service was told of %d messages, want %d", len(c.seen), len(want))
	}
	for _, fault := range []string{"500", "late", "cut off", "down"} {
		if c.failed[fault] == 0 {
			t.Errorf("the service never failed by %q: %v", fault, c.failed)
		}
	}
	// Of three processes each may ask for a code once, and again when an answer
	// is lost.
	for code, n := range c.asked {
		if n > 2*3 {
			t.Errorf("%s was told %d times", code, n)
		}
	}
	// Within any second there are no more keys than the rate and a burst of each
	// process: two never run at once, but one may follow another within it. What is
	// timed is when they come, and on a busy machine a second's keys may come
	// closer together than they were sent.
	for i := lookUpRate + 2*lookUpBurst; i < len(c.keys); i++ {
		if within := c.keys[i].Sub(c.keys[i-lookUpRate-2*lookUpBurst]); within < time.Second/2 {
			t.Errorf("%d keys within %v", lookUpRate+2*lookUpBurst, within)
			break
		}
	}
	if c.counts.Hits == 0 || c.counts.Retries == 0 || c.counts.Failures != 0 {
		t.Errorf("the table's counts: %+v", c.counts)
	}
}
